//! What goes on all the time, and what is looked at after each trouble.

use std::{
    collections::BTreeSet,
    net::SocketAddrV4,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use lb_common::ConnState;
use lb_daemon::api::types::{Connection, Status};

use super::{act, report::Report, step::Step, vitals::Vitals};
use crate::lab::{
    Lab, R1, R2, api,
    background::{self, Background, Size, respond},
    config::{Config, Track},
    load::{Load, Plan, record::Summary},
    responder::Responder,
    router::Router,
    topology::{DIRECT_VIP, HTTP_PORT, NAT_VIP},
    wait::until,
};

/// Connections and downloads under way all the time.
const SIZE: Size = Size { connections: 100, period: Duration::from_secs(1), downloads: 5 };
/// Bytes a second of each download.
const RATE: u64 = 100_000;
/// New connections a second to each address.
const NEW: u32 = 50;
/// Time in which a pair comes to rest once nothing is wrong: one active router, which is r1, every server up, every connection
/// copied.
const REST: Duration = Duration::from_secs(20);
/// Time in which a flow table is empty once nobody connects any more: a closed connection is remembered for two minutes
/// (TIME_WAIT), and the survey comes now and then.
const EMPTY: Duration = Duration::from_secs(180);

/// Connections whose end may be lost with a router: those of a tenth of a second, which is what the copy may be late by.
const LOST_ENDS: u32 = 2 * NEW / 10;

/// The configuration of both routers.
pub(super) fn configure(config: &mut Config) {
    background::configure(config);
    config.track = config.router.interfaces.iter().map(|interface| Track::link(interface)).collect();
    if let Some(peer) = &mut config.peer {
        peer.failback_delay = "500ms".to_owned();
    }
}

/// Traffic, and the figures of the routers when it began.
pub(super) struct World {
    /// None only while one takes the place of another.
    background: Option<Background>,
    _responders: Vec<Responder>,
    first: [Vitals; 2],
}

/// What a step came to.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    /// Time from the end of the trouble until the pair had come to rest.
    pub(super) rest: Duration,
    /// Requests that were begun meanwhile.
    pub(super) requests: Summary,
    /// What is not as it should be.
    pub(super) problems: Vec<String>,
    /// Figures of both routers.
    pub(super) vitals: [Vitals; 2],
}

impl World {
    pub(super) fn start(lab: &Lab) -> Result<Self> {
        let responders = respond(lab, RATE)?;
        let background = Some(begin(lab)?);
        rest(lab)?;
        Ok(Self { background, _responders: responders, first: vitals(lab)? })
    }

    /// Goes through one step.
    ///
    /// # Errors
    /// When the pair does not come to rest: nothing that follows would mean anything.
    pub(super) fn endure(&mut self, lab: &mut Lab, step: &Step) -> Result<Outcome> {
        let mut problems = Vec::new();
        if !step.keeps_connections() {
            // Those that this step may cut are not those that have lived through everything else.
            self.renew(lab, &mut problems)?;
        }
        let loads = [NAT_VIP, DIRECT_VIP].map(|address| {
            Load::start(lab.client()?, Plan::steady(SocketAddrV4::new(address, HTTP_PORT), NEW))
        });
        act::act(lab, step)?;
        let healed = Instant::now();
        lab.wait_settled()?;
        rest(lab)?;
        let rest = healed.elapsed();
        let mut requests = Summary::default();
        for load in loads {
            requests.add(&Summary::of(&load?.finish()?));
        }
        self.judge(lab, step, &requests, &mut problems)?;
        let vitals = vitals(lab)?;
        for ((now, first), name) in vitals.iter().zip(&self.first).zip(["r1", "r2"]) {
            if now.has_grown(first) {
                problems.push(format!("lbd of {name} has grown: {first} at first, {now} now"));
            }
        }
        Ok(Outcome { rest, requests, problems, vitals })
    }

    /// Ends all traffic, and waits until nothing is left of it on either router.
    ///
    /// A short connection whose end was lost with a router is left as established until its timeout, a quarter of an hour.
    ///
    /// # Errors
    /// When something else is left, or too much of that.
    pub(super) fn end(self, lab: &Lab, report: &mut Report) -> Result<()> {
        println!("Ending every connection, and waiting until the routers have forgotten them.");
        self.background.map_or(Ok(()), Background::finish)?;
        let start = Instant::now();
        let most = (LOST_ENDS * report.losses()) as usize;
        let mut left = [Vec::new(), Vec::new()];
        let emptied = until("both flow tables to be empty", EMPTY, || {
            for (left, router) in left.iter_mut().zip(&lab.routers) {
                *left = api::get::<Vec<Connection>>(&router.socket(), "/v1/connections")?;
            }
            Ok(left.iter().all(|left| left.len() <= most && left.iter().all(is_short_and_established)))
        });
        emptied.with_context(|| format!("left: {left:?}"))?;
        // The survey that counts comes once a second.
        until("the counts to be those of the tables", REST, || {
            let counts = lab.routers.iter().map(counted).collect::<Result<Vec<u64>>>()?;
            Ok(counts.iter().zip(&left).all(|(counted, left)| *counted <= left.len() as u64))
        })?;
        report.emptied(start.elapsed(), left.iter().map(Vec::len).sum());
        Ok(())
    }

    /// What the connections say of a step.
    fn judge(
        &mut self,
        lab: &Lab,
        step: &Step,
        requests: &Summary,
        problems: &mut Vec<String>,
    ) -> Result<()> {
        if step.keeps_requests() && requests.failed() > 0 {
            problems.push(format!("requests failed: {}", requests.failures_in_words()));
        }
        if let Step::Server(index, _) = step {
            let dead = lab.servers[*index].name();
            let lost = self.background.iter().flat_map(Background::lost_asking);
            let lost: BTreeSet<String> = lost.map(|loss| loss.server).collect();
            if lost.iter().any(|server| server != dead) {
                problems.push(format!("{dead} died, and connections with {lost:?} were lost"));
            }
            // Cut before others take their ports.
            self.background = None;
            self.background = Some(begin(lab)?);
        } else if self.background.as_ref().is_some_and(|background| background.lost() > 0) {
            self.renew(lab, problems)?;
        }
        Ok(())
    }

    /// Ends the established connections, each of which must still be whole, and begins others.
    fn renew(&mut self, lab: &Lab, problems: &mut Vec<String>) -> Result<()> {
        let lost: BTreeSet<String> =
            self.background.iter().flat_map(Background::lost_asking).map(|loss| loss.to_string()).collect();
        let ended = self.background.take().map_or(Ok(()), Background::finish);
        problems.extend(ended.err().map(|error| format!("{error:#}, at first {lost:?}")));
        self.background = Some(begin(lab)?);
        Ok(())
    }
}

/// Begins connections, and waits until both routers know them: a fault in the same moment may cost those that the peer has
/// not been told of yet.
fn begin(lab: &Lab) -> Result<Background> {
    let background = Background::start(lab, SIZE)?;
    let known = |router: usize| Ok::<_, anyhow::Error>(background::known(lab, router)? == SIZE.all());
    until("both routers to know every connection", REST, || Ok(known(R1)? && known(R2)?))?;
    Ok(background)
}

/// Connections of all real servers, as a router counts them.
fn counted(router: &Router) -> Result<u64> {
    let services = router.status()?.services;
    let reals = services.iter().flat_map(|service| &service.reals);
    Ok(reals.map(|real| real.active_connections + real.inactive_connections).sum())
}

/// Whether this is one of the connections of a request each, and its end has not been heard of.
fn is_short_and_established(connection: &Connection) -> bool {
    connection.virtual_address.port() == HTTP_PORT && connection.state == ConnState::Established
}

/// Waits until exactly r1 is active, each router knows what the other does, and neither has a fault: what is tracked is well
/// again some time after it is.
fn rest(lab: &Lab) -> Result<()> {
    until("one active router, no fault and every connection copied", REST, || {
        let calm = |index: usize| -> Result<bool> {
            let Status { sync, peer, tracks, .. } = lab.routers[index].status()?;
            let well = tracks.iter().all(|track| track.ok == Some(true));
            Ok(well && sync.is_some_and(|sync| sync.in_sync) && peer.is_some_and(|peer| !peer.fault))
        };
        Ok(lab.active()? == R1 && calm(R1)? && calm(R2)?)
    })
}

fn vitals(lab: &Lab) -> Result<[Vitals; 2]> {
    let of = |index: usize| {
        let router = &lab.routers[index];
        Vitals::of(router.pid().with_context(|| format!("lbd of {} does not run", router.name()))?)
    };
    Ok([of(R1)?, of(R2)?])
}
