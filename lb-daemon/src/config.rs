//! The validated configuration. What stands here is right: [`parse`] has turned every mistake of the file into an
//! error before, all of them at once.
//!
//! The text goes through `decode` into the tables of `raw` (what each key holds), and through `check` into the types
//! below (what the keys mean together).

mod announce;
mod check;
mod command;
mod decode;
mod errors;
mod fingerprint;
mod group;
mod host_address;
mod key;
mod load;
mod raw;
mod suggest;
mod track;
mod values;

#[cfg(test)]
mod tests;

pub use announce::{Announce, AnnounceForm};
pub use command::{Command, Notify};
pub use errors::{Error, Errors};
pub use group::{Group, Preference};
pub use host_address::HostAddress;
pub use key::{Key, Keys};
pub use load::{Host, load, parse};
pub use track::{Track, TrackProbe};

use std::{collections::BTreeSet, net::Ipv4Addr, path::PathBuf, time::Duration};

use ipnet::Ipv4Net;
use lb_common::{Method, Scheduler, ServiceKey};

use crate::mac::Mac;

/// Everything `lbd.toml` says.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// This router.
    pub router: Router,
    /// The other router of the pair; `None` for a router that stands alone.
    pub peer: Option<Peer>,
    /// What this router watches about itself, in the order of the file.
    pub tracks: Vec<Track>,
    /// Commands that are told what happens.
    pub notify: Notify,
    /// How floating addresses are announced.
    pub announce: Announce,
    /// Groups with a role of their own, in the order of their names; none: everything has one role.
    pub groups: Vec<Group>,
    /// Virtual addresses, in the order of the file.
    pub vips: Vec<Vip>,
    /// Virtual services, in the order of the file.
    pub services: Vec<Service>,
    /// Sizes of the data plane.
    pub limits: Limits,
    /// Paths and switches of the daemon itself.
    pub daemon: Daemon,
}

/// This router.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Router {
    /// Name, shown in status and sent to the peer.
    pub name: String,
    /// Interfaces that the XDP program is attached to.
    pub interfaces: BTreeSet<String>,
    /// The floating gateway of NAT real servers, held by the active router.
    pub nat_router: Option<Vip>,
    /// The virtual MAC address of all floating addresses, where there are no groups; `None`: they are at the interface's own.
    pub virtual_mac: Option<Mac>,
}

/// An address that moves with the role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Vip {
    /// Address and prefix length, as set on the interface.
    pub address: Ipv4Net,
    /// Interface that holds it.
    pub interface: String,
}

/// The pair.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    /// Election priority, `1..=255`: the higher one becomes active where both may. Never equal on both routers.
    pub priority: u8,
    /// Time between two heartbeats, `20 ms..=60 s`.
    pub interval: Duration,
    /// Silence on every path after which the peer is dead; at least three intervals.
    pub dead_after: Duration,
    /// Whether a router that returns takes its role back.
    pub failback: Failback,
    /// UDP port of heartbeats on both routers.
    pub port: u16,
    /// Shared keys.
    pub keys: Keys,
    /// Hosts that tell a router whose peer is silent whether it is itself cut off; may be none.
    pub witnesses: Vec<HostAddress>,
    /// Paths, at least one.
    pub paths: Vec<HeartbeatPath>,
    /// How connections are copied from the active router to the other.
    pub sync: ConnectionSync,
}

/// How connections are copied between the routers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionSync {
    /// Whether they are.
    pub enabled: bool,
    /// TCP port of the stream on both routers, on the addresses of the heartbeat paths.
    pub port: u16,
    /// Whether TCP connections whose handshake is not over, and UDP flows of one datagram, are copied too.
    pub half_open: bool,
}

/// One way between the routers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeartbeatPath {
    /// Own address on this path.
    pub local: HostAddress,
    /// The peer's address on this path, of the same family, and on the same interface where it is link-local.
    pub remote: HostAddress,
}

/// What a returning router with the higher priority does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failback {
    /// Takes its role back once it has heard the peer for `delay`.
    Auto {
        /// Time the returning router waits first.
        delay: Duration,
    },
    /// Waits for the operator.
    Manual,
}

/// A virtual service.
#[derive(Clone, Debug, PartialEq)]
pub struct Service {
    /// Unique name.
    pub name: String,
    /// Protocol, virtual address and port: unique.
    pub key: ServiceKey,
    /// Scheduler.
    pub scheduler: Scheduler,
    /// Health check of every real server of this service; `None`: they are taken for healthy.
    pub check: Option<Check>,
    /// Real servers in the order of the file.
    pub reals: Vec<Real>,
}

/// A real server of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Real {
    /// Name, unique within the service.
    pub name: String,
    /// Address.
    pub address: Ipv4Addr,
    /// Port; the service's own with direct routing.
    pub port: u16,
    /// Weight, `0..=65535`; 0 takes no new connections.
    pub weight: u32,
    /// Forwarding method.
    pub method: Method,
}

/// A health check.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    /// What is asked.
    pub probe: Probe,
    /// Port asked instead of the real server's own.
    pub port: Option<u16>,
    /// Time from the start of one check to the start of the next.
    pub interval: Duration,
    /// Time one check may take in all.
    pub timeout: Duration,
    /// Successes in a row that bring a server back, at least 1.
    pub rise: u32,
    /// Failures in a row that take a server out, at least 1.
    pub fall: u32,
}

/// What a health check asks.
#[derive(Clone, Debug, PartialEq)]
pub enum Probe {
    /// A TCP connection is accepted.
    Connect,
    /// A TCP connection is accepted, `send` written, and what comes back matches `expect`.
    SendExpect {
        /// Bytes written after connecting; may be empty.
        send: Vec<u8>,
        /// What the answer must be.
        expect: Expect,
    },
    /// An HTTP/1.1 request is answered with one of these status codes, and a body that holds `body`.
    Http {
        /// Request path.
        path: String,
        /// `Host` header; the real server's address when absent.
        host: Option<String>,
        /// Accepted status codes, inclusive.
        status: std::ops::RangeInclusive<u16>,
        /// A string the body must hold.
        body: Option<String>,
    },
}

/// What an answer must be.
#[derive(Clone, Debug)]
pub enum Expect {
    /// It starts with these bytes.
    Prefix(Vec<u8>),
    /// Its first 64 KiB match this expression.
    Regex(regex::bytes::Regex),
}

impl PartialEq for Expect {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Prefix(a), Self::Prefix(b)) => a == b,
            (Self::Regex(a), Self::Regex(b)) => a.as_str() == b.as_str(),
            (Self::Prefix(_), Self::Regex(_)) | (Self::Regex(_), Self::Prefix(_)) => false,
        }
    }
}

/// Sizes of the data plane, fixed while it is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections that the flow table has room for.
    pub flows: u32,
    /// Services.
    pub services: u32,
    /// Real servers over all services, at most 65535.
    pub reals: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { flows: 1_048_576, services: 256, reals: 4096 }
    }
}

/// Paths and switches of the daemon itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Daemon {
    /// bpffs directory under which the data plane is pinned.
    pub pin_dir: PathBuf,
    /// Unix socket of the API.
    pub socket: PathBuf,
    /// Level of the XDP program's log.
    pub bpf_log: BpfLog,
}

/// Level of the XDP program's log; `Off` costs nothing, the verifier removes the calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BpfLog {
    /// Silent.
    Off,
    /// Drops for a full flow table or a broken map.
    Warn,
    /// Every dropped packet.
    Info,
    /// New connections too.
    Debug,
}

impl Default for Daemon {
    fn default() -> Self {
        Self { pin_dir: "/sys/fs/bpf/lbd".into(), socket: "/run/lbd/lbd.sock".into(), bpf_log: BpfLog::Off }
    }
}
