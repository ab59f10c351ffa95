//! The established connections that faults are survived with: many that ask again and again, and downloads of which every
//! byte is known, through NAT and through direct routing.

use std::{net::SocketAddrV4, time::Duration};

use anyhow::{Context, Result, bail};
use lb_common::ConnState;
use lb_daemon::api::types::Connection;

use super::{
    Lab, api,
    asking::{Asking, Loss},
    config::{Config, Service},
    crowd::{Crowd, Held},
    downloads::Downloads,
    responder::{Protocol, Responder, allow_open_files},
    topology::{CLIENT, DIRECT_VIP, NAT_VIP, Part},
};

/// Port of the service that is asked for names.
pub const NAMES: u16 = 7000;
/// Port of the service that streams.
pub const STREAM: u16 = 7001;

/// Both kinds of real servers, each with the address of its services.
const PARTS: [Part; 2] = [Part::NatServer, Part::DirectServer];
const ADDRESSES: [std::net::Ipv4Addr; 2] = [NAT_VIP, DIRECT_VIP];
/// Time to connect and be greeted, on a busy machine.
const CONNECT: Duration = Duration::from_secs(20);

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Connections that ask, to each of both addresses.
    pub connections: u32,
    /// Time between two questions of one connection.
    pub period: Duration,
    /// Downloads, from each of both addresses.
    pub downloads: usize,
}

/// Connections under way. Dropping it cuts them.
#[derive(Debug)]
pub struct Background {
    asking: Vec<Asking>,
    downloads: Vec<Downloads>,
}

/// Adds both services by both methods to a router's configuration.
pub fn configure(config: &mut Config) {
    for (part, method) in PARTS.into_iter().zip(["nat", "direct"]) {
        for (name, port) in [("names", NAMES), ("stream", STREAM)] {
            config.service.push(Service::tcp(&format!("{name}-{method}"), port, part));
        }
    }
}

/// Lets every real server serve both, each stream with `rate` bytes a second.
///
/// # Errors
/// When one cannot listen.
pub fn respond(lab: &Lab, rate: u64) -> Result<Vec<Responder>> {
    let mut responders = Vec::new();
    for (port, protocol) in [(NAMES, Protocol::Names), (STREAM, Protocol::Stream { rate })] {
        responders.push(Responder::start(&lab.servers, port, protocol)?);
    }
    Ok(responders)
}

/// Opens so many connections to the service of names at `address`, and holds them.
///
/// # Errors
/// When one cannot be opened.
pub fn hold(lab: &Lab, address: std::net::Ipv4Addr, connections: u32) -> Result<Held> {
    let (namespace, target) = (lab.client()?.clone(), SocketAddrV4::new(address, NAMES));
    Crowd { namespace, sources: vec![CLIENT], target, concurrency: 1, timeout: CONNECT }.hold(0..connections)
}

/// Connections of these services that a router knows and takes for established.
///
/// # Errors
/// When its `lbd` does not answer.
pub fn known(lab: &Lab, router: usize) -> Result<usize> {
    let all: Vec<Connection> = api::get(&lab.routers[router].socket(), "/v1/connections")?;
    let ours = |one: &&Connection| {
        one.state == ConnState::Established && [NAMES, STREAM].contains(&one.virtual_address.port())
    };
    Ok(all.iter().filter(ours).count())
}

impl Size {
    /// All connections.
    pub const fn all(&self) -> usize {
        2 * (self.connections as usize + self.downloads)
    }
}

impl Background {
    /// Starts all of it, against routers that [`configure`] has changed and servers that [`respond`].
    ///
    /// # Errors
    /// When a connection cannot be opened.
    pub fn start(lab: &Lab, size: Size) -> Result<Self> {
        // Both ends of every connection are in this process, and so are those of whatever else is asked meanwhile.
        allow_open_files(4 * u64::from(size.connections) + 16_384)?;
        let mut this = Self { asking: Vec::new(), downloads: Vec::new() };
        for address in ADDRESSES {
            let target = SocketAddrV4::new(address, STREAM);
            this.asking.push(Asking::start(hold(lab, address, size.connections)?, size.period)?);
            this.downloads.push(Downloads::start(lab.client()?, target, size.downloads)?);
        }
        Ok(this)
    }

    /// Answers so far.
    pub fn answers(&self) -> u64 {
        self.asking.iter().map(Asking::answers).sum()
    }

    /// Bytes that each download has received so far.
    pub fn received(&self) -> Vec<u64> {
        self.downloads.iter().flat_map(Downloads::received).collect()
    }

    /// Those of the connections that ask which were lost so far.
    pub fn lost_asking(&self) -> Vec<Loss> {
        self.asking.iter().flat_map(Asking::lost).collect()
    }

    /// Connections and downloads that were lost so far.
    pub fn lost(&self) -> usize {
        self.lost_asking().len() + self.downloads.iter().map(Downloads::broken).sum::<usize>()
    }

    /// Ends all of it.
    ///
    /// # Errors
    /// When any connection was lost at any time, or a byte of a download was not the one that had to come.
    pub fn finish(self) -> Result<()> {
        let Self { asking, downloads } = self;
        for asking in asking {
            let tally = asking.finish()?;
            if !tally.failures.is_empty() {
                bail!("connections were lost: {:?}", tally.failures);
            }
        }
        downloads.into_iter().try_for_each(|downloads| downloads.finish().context("a download was lost"))
    }
}
