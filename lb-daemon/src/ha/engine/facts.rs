//! What the engine concludes from what it knows: the guards of the [table](super::transition).

use std::{
    cmp::Reverse,
    time::{Duration, Instant},
};

use super::{
    Cause, Engine, Forced,
    transition::{Election, Event, Rival, State},
};
use crate::{
    config::Failback,
    ha::{Role, heartbeat::Heartbeat},
};

/// The order of routers: what the operator holds them in first, then one without a fault, then the priority, then the
/// incarnation, the lower one first, so that no two are ever equal.
pub(super) type Rank = (u8, bool, u8, Reverse<u64>);

/// The rank of the router that sent `heartbeat`.
pub(super) const fn rank_of(heartbeat: &Heartbeat) -> Rank {
    let forced = Forced::rank(heartbeat.forced);
    (forced, !heartbeat.fault, heartbeat.priority, Reverse(heartbeat.incarnation))
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
        if self.is_kept_standby() || (self.resumes, self.rank()) < (resumes, rank_of(heartbeat)) {
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
    pub(super) fn rank(&self) -> Rank {
        let forced = Forced::rank(self.forced());
        (forced, !self.condition.has_fault(), self.priority(), Reverse(self.settings.incarnation))
    }

    /// The priority now.
    #[must_use]
    pub fn priority(&self) -> u8 {
        self.condition.lower(self.settings.priority)
    }

    /// Whether the priority is lower than configured.
    pub(super) fn is_weak(&self) -> bool {
        self.priority() < self.settings.priority
    }

    /// What it means for this router that the peer, standby, has sent `heartbeat`.
    pub(super) fn beside_standby(&self, heartbeat: &Heartbeat, now: Instant) -> Event {
        if let Some(misplaced) = self.misplaced_beside(heartbeat, now) {
            misplaced
        } else if heartbeat.wants_role && rank_of(heartbeat) > self.rank() {
            Event::PeerAsks { forced: heartbeat.forced == Some(Forced::Active) }
        } else {
            Event::PeerPassive(self.election(heartbeat, now))
        }
    }

    /// Why this router, if active, must give the role to the peer that sent `heartbeat`, standby; `None`: it need not. A peer
    /// that does not hear this router would not take it, nor one that is held standby, and it would be offered for ever.
    pub(super) fn misplaced_beside(&self, heartbeat: &Heartbeat, now: Instant) -> Option<Event> {
        let takes =
            heartbeat.forced != Some(Forced::Standby) && self.peer.hears_us(now, self.settings.echo_within());
        if self.state != State::Active || !takes {
            return None;
        }
        match self.forced() {
            Some(Forced::Standby) => Some(Event::Forced),
            Some(Forced::Active) => None,
            None => (self.condition.has_fault() && !heartbeat.fault).then_some(Event::Unfit),
        }
    }

    /// Whether the peer would not take the role, whatever happens.
    pub(super) fn is_peer_kept_standby(&self) -> bool {
        self.peer.said.as_ref().is_some_and(|said| said.forced == Some(Forced::Standby))
    }

    /// Whether the peer has a fault, and this router has none.
    pub(super) fn is_fitter_than_peer(&self) -> bool {
        !self.condition.has_fault() && self.peer.said.as_ref().is_some_and(|said| said.fault)
    }

    /// Whether this router asks the active peer for the role: its own back, or one that the peer is too weak for.
    pub(super) fn wants_role(&self, now: Instant) -> bool {
        let Some(said) = &self.peer.said else { return false };
        let (Some(active_from), true) = (self.peer.active_from, self.rank() > rank_of(said)) else {
            return false;
        };
        let returns = match self.settings.failback {
            Failback::Auto { delay } => {
                self.is_ready() && now.saturating_duration_since(active_from) >= delay
            }
            Failback::Manual => false,
        };
        let asks = match self.forced() {
            Some(Forced::Active) => true,
            Some(Forced::Standby) => false,
            None => !self.held && (returns || said.weak),
        };
        self.state == State::Standby && asks
    }

    /// Time from this heartbeat to the next: faster while an answer of the peer decides something.
    pub(super) fn pace(&self, now: Instant) -> Duration {
        let peer_leaves =
            self.peer.alive() && self.peer.said.as_ref().is_some_and(|h| h.role == Role::Leaving);
        let introduces = self.timers.heard_unproven_within(now, self.settings.dead_after);
        if self.role() == Role::Leaving || peer_leaves || introduces || self.lacks_confirmation(now) {
            self.settings.fast()
        } else {
            self.settings.interval
        }
    }

    /// Whether this router becomes active without its peer only if a witness answers. The question must be younger than the
    /// silence of the peer is long: an older answer may have come just before this router was cut off from both.
    pub(super) fn needs_witness(&self) -> bool {
        self.settings.witness && matches!(self.state, State::Starting | State::Standby)
    }

    /// When a router without a peer has waited for a witness for too long; `None` where that has been acted on.
    pub(super) fn isolation_deadline(&self) -> Option<Instant> {
        if !self.settings.witness || !self.peer.silent {
            return None;
        }
        match (self.state, self.cause) {
            (State::Active, _) => Some(self.witness.silent_by(self.settings.dead_after)),
            (State::Starting | State::Standby, Cause::Isolated) => None,
            (State::Starting | State::Standby, _) => {
                Some(self.witness.waited_by(self.settings.witness_within()))
            }
            (State::HandingOver | State::Stopping | State::Stopped, _) => None,
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
