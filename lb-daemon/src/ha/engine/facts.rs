//! What the engine concludes from what it knows: the guards of the [table](super::transition).

use std::{
    cmp::Reverse,
    time::{Duration, Instant},
};

use super::{
    Engine,
    transition::{Election, Rival, State},
};
use crate::{
    config::Failback,
    ha::{Role, heartbeat::Heartbeat},
};

/// The order of routers: the priority, then the incarnation, the lower one first, so that no two are ever equal.
pub(super) type Rank = (u8, Reverse<u64>);

/// The rank of the router that sent `heartbeat`.
pub(super) const fn rank_of(heartbeat: &Heartbeat) -> Rank {
    (heartbeat.priority, Reverse(heartbeat.incarnation))
}

impl Engine {
    /// How this router stands to a peer that is active.
    pub(super) fn rival(&self, heartbeat: &Heartbeat, now: Instant) -> Rival {
        let long = |from: Instant| now.saturating_duration_since(from) >= self.settings.dead_after;
        if self.timers.listens(now) {
            Rival::Successor
        } else if rank_of(heartbeat) > self.rank() {
            Rival::Stronger
        } else if self.rival_from.is_some_and(long) && !self.peer.hears_us(now, self.settings.echo_within()) {
            Rival::Deaf
        } else {
            Rival::Weaker
        }
    }

    /// Which of the two routers becomes active, now that the peer says it is passive.
    pub(super) fn election(&self, heartbeat: &Heartbeat, now: Instant) -> Election {
        let resumes = heartbeat.role == Role::Starting && heartbeat.resumes;
        let both_for_long = self.peer.passive_from.is_some_and(|from| {
            now.saturating_duration_since(from.max(self.since)) >= self.settings.election_after()
        });
        if (self.resumes, self.rank()) < (resumes, rank_of(heartbeat)) {
            Election::Lost
        } else if self.resumes && !resumes {
            Election::Resumed
        } else if self.state == State::Starting || both_for_long {
            Election::Won
        } else {
            Election::Open
        }
    }

    /// The rank of this router.
    pub(super) const fn rank(&self) -> Rank {
        (self.settings.priority, Reverse(self.settings.incarnation))
    }

    /// Whether this router asks the active peer for the role.
    pub(super) fn wants_role(&self, now: Instant) -> bool {
        let Failback::Auto { delay } = self.settings.failback else { return false };
        let outranks = self.peer.said.as_ref().is_some_and(|heartbeat| self.rank() > rank_of(heartbeat));
        let long = self.peer.active_from.is_some_and(|from| now.saturating_duration_since(from) >= delay);
        self.state == State::Standby && !self.held && self.in_sync && outranks && long
    }

    /// Time from this heartbeat to the next: faster while an answer of the peer decides something.
    pub(super) fn pace(&self, now: Instant) -> Duration {
        let peer_leaves =
            self.peer.alive() && self.peer.said.as_ref().is_some_and(|h| h.role == Role::Leaving);
        let introduces = self.timers.heard_unproven_within(now, self.settings.dead_after);
        if self.role() == Role::Leaving || peer_leaves || introduces {
            self.settings.fast()
        } else {
            self.settings.interval
        }
    }

    /// When the silence has lasted for too long; `None` once that has been acted on.
    pub(super) fn silence_deadline(&self) -> Option<Instant> {
        // A living peer needs a round trip to show that it is no recording; bounded, so that a recording cannot
        // keep a lone router from starting.
        let patience = if self.state == State::Starting && self.timers.introduction() { 3 } else { 1 };
        (!self.peer.silent).then(|| self.peer.silent_from + self.settings.dead_after * patience)
    }
}
