//! Address conflicts: somebody else answers or announces an address that this pair of routers holds. Clients then reach whoever
//! they heard last.
//!
//! `engine` decides who is a stranger and when one is gone, `watched` is what it has to know, `ear` hears ARP on the interfaces
//! with such addresses, and the [`Watch`] moves frames and time between them.

mod driver;
mod ear;
pub mod engine;
mod filter;
pub mod watched;

use std::{fmt, net::Ipv4Addr};

pub use driver::{Watch, start};

use crate::mac::Mac;

/// Somebody claims an address that is not his.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// The address.
    pub address: Ipv4Addr,
    /// Interface that it was heard on.
    pub interface: String,
    /// MAC address of whoever claims it.
    pub mac: Mac,
    /// Who that is.
    pub who: Who,
}

/// Who claims an address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Nobody that is known.
    Stranger,
    /// The other router, while this one is active.
    Peer,
    /// A real server for direct routing, by its name: it holds the address, and must not answer ARP for it.
    Server(String),
}

/// A conflict has begun, or is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// It has been noticed.
    Found(Conflict),
    /// Nothing has been heard of it for a while, although it was asked for.
    Over(Conflict),
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stranger => f.write_str("a stranger"),
            Self::Peer => f.write_str("the peer"),
            Self::Server(name) => write!(f, "real server {name}"),
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, interface, mac, who } = self;
        write!(f, "{who}, {mac}, claims {address} on {interface}")?;
        match who {
            Who::Stranger => Ok(()),
            Who::Peer => f.write_str(", although this router is active"),
            Who::Server(_) => f.write_str(": it must not answer ARP for it"),
        }
    }
}
