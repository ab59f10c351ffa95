//! What a router watches about itself.

use std::time::Duration;

use super::{Command, HostAddress};

/// A thing that is watched, and what follows when it fails.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Track {
    /// Unique name.
    pub name: String,
    /// What is watched.
    pub probe: TrackProbe,
    /// Time from the start of one look to the start of the next.
    pub interval: Duration,
    /// Successes in a row that end a failure, at least 1.
    pub rise: u32,
    /// Failures in a row that make one, at least 1.
    pub fall: u32,
    /// What the priority is lowered by while it fails; 0 for nothing.
    pub weight: u8,
    /// While it fails, the router is active only where its peer is dead, or has a fault too.
    pub fault: bool,
    /// Names of the groups that it counts for; empty for all.
    pub groups: Vec<String>,
}

/// What is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TrackProbe {
    /// An interface is up and has a carrier.
    Link {
        /// The interface.
        interface: String,
    },
    /// A host answers with an ICMP echo.
    Gateway {
        /// The host.
        address: HostAddress,
        /// Interface that it is asked from; by the routing table where absent.
        interface: Option<String>,
        /// Time that an echo may take.
        timeout: Duration,
    },
    /// A command ends with exit code 0.
    Script(Command),
}
