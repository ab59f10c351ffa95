//! What the engine is told about its router and the pair.

use std::time::Duration;

use crate::config::{self, Failback, Preference};

/// Settings of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Name of this router.
    pub name: String,
    /// Name of the group that the role is of; empty where there is but one.
    pub group: String,
    /// Random number of this life of the router; never 0, never used before.
    pub incarnation: u64,
    /// Hash of the configuration.
    pub config_hash: u64,
    /// Number of paths to the peer; 0: there is no peer.
    pub paths: usize,
    /// Election priority.
    pub priority: u8,
    /// Time between two heartbeats.
    pub interval: Duration,
    /// Silence after which the peer is dead.
    pub dead_after: Duration,
    /// Whether this router takes its role back.
    pub failback: Failback,
    /// Whether there are witnesses: then a router that reaches neither them nor the peer is not active.
    pub witness: bool,
}

impl Settings {
    /// Settings for the configured `peer`, of the group that has this name and, on this router, this preference.
    #[must_use]
    pub fn new(
        name: String,
        peer: &config::Peer,
        (group, preference): (String, Preference),
        config_hash: u64,
        incarnation: u64,
    ) -> Self {
        Self {
            name,
            group,
            incarnation,
            config_hash,
            paths: peer.paths.len(),
            priority: preference.priority,
            interval: peer.interval,
            dead_after: peer.dead_after,
            failback: preference.failback,
            witness: !peer.witnesses.is_empty(),
        }
    }

    /// Settings of a router that stands alone.
    #[must_use]
    pub const fn alone(name: String, group: String) -> Self {
        Self {
            name,
            group,
            incarnation: 1,
            config_hash: 0,
            paths: 0,
            priority: Preference::ALONE.priority,
            interval: Duration::from_secs(1),
            dead_after: Duration::from_secs(3),
            failback: Preference::ALONE.failback,
            witness: false,
        }
    }

    /// Time between two heartbeats while a handover or an introduction is under way.
    pub(super) fn fast(&self) -> Duration {
        self.interval / 4
    }

    /// Heartbeats in a row that may be lost without a takeover.
    pub(super) fn losses(&self) -> usize {
        let heartbeats = self.dead_after.as_nanos() / self.interval.as_nanos().max(1);
        usize::try_from(heartbeats).unwrap_or(usize::MAX).saturating_sub(2)
    }

    /// How long both routers are passive before they elect: what a role change under way needs to be heard.
    pub(super) fn election_after(&self) -> Duration {
        self.interval * 2
    }

    /// Within what time a living peer that hears this router shows it: a heartbeat and its echo may each be lost
    /// for up to `dead_after`.
    pub(super) fn echo_within(&self) -> Duration {
        self.dead_after * 2
    }

    /// How long a router that leaves waits for the peer. A peer that does not hear it takes over within `dead_after`.
    pub(super) fn leave_within(&self) -> Duration {
        self.dead_after + self.interval * 4
    }

    /// How long a router whose peer is silent waits for a witness before it says that it is cut off. Until then one that
    /// starts leaves its data plane as it is.
    pub(super) fn witness_within(&self) -> Duration {
        self.dead_after / 2
    }

    /// How long an active router that was frozen listens before it speaks.
    pub(super) fn listen_for(&self) -> Duration {
        self.interval * 2
    }
}
