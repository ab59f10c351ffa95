//! The lease: until when the data plane of an active router may answer for the addresses. It ends before the peer can take
//! over, so that a router that is frozen or killed is silent by then.
//!
//! The peer takes over when it has heard nothing for `dead_after`. So the lease counts from a heartbeat that it has heard:
//! at best the one that it has confirmed last.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{Engine, State};
use crate::ha::Role;

/// What the data plane is to do about the addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// Answer for them until then.
    Until(Instant),
    /// Answer for them no longer.
    Released,
}

/// How an engine stands to its lease.
#[derive(Clone, Debug, Default)]
pub(super) struct Tenure {
    /// Heartbeats of the last `dead_after`, by sequence, oldest first: those since the peer believes this life of the router.
    sent: VecDeque<(u64, Instant)>,
    /// The peer believes it.
    is_believed: bool,
    /// The peer has heard this router since it was absent last.
    is_steady: bool,
    /// When the newest of them was sent that the peer has heard.
    confirmed: Option<Instant>,
    /// Until when the lease runs that was given last.
    until: Option<Instant>,
    /// Since when the peer may have taken over without this router knowing.
    doubt: Option<Instant>,
    /// What was said last.
    told: Option<Lease>,
}

impl Tenure {
    /// The peer has answered this life of the router, and so believes the next heartbeat.
    pub(super) const fn believe(&mut self) {
        self.is_believed = true;
    }

    /// A heartbeat is being sent.
    pub(super) fn send(&mut self, sequence: u64, now: Instant, dead_after: Duration) {
        if self.is_believed {
            self.sent.retain(|(_, at)| now.saturating_duration_since(*at) < dead_after);
            self.sent.push_back((sequence, now));
        }
    }

    /// The peer has heard a heartbeat, and all that it is to know of this router with it.
    pub(super) fn confirm(&mut self, sequence: u64) {
        let heard = self.sent.iter().find(|(sent, _)| *sent == sequence).map(|(_, at)| *at);
        self.confirmed = self.confirmed.max(heard);
        self.is_steady |= heard.is_some();
    }

    /// This router was absent until now: what it has said before is no sign any more that the peer waits.
    pub(super) fn interrupt(&mut self, now: Instant) {
        self.sent.clear();
        self.is_steady = false;
        self.doubt = self.doubt.map(|_| now);
    }

    /// Notes that a lease has run out by `now`, whatever kept this router from renewing it.
    pub(super) fn look(&mut self, now: Instant) {
        if self.until.take_if(|until| *until <= now).is_some() {
            self.doubt = Some(now);
        }
    }

    /// The peer has not taken over, or this router has yielded.
    pub(super) const fn be_sure(&mut self) {
        self.doubt = None;
    }

    /// This router does not answer any more.
    pub(super) const fn end(&mut self) {
        self.until = None;
        self.doubt = None;
    }

    /// When the heartbeat was sent that has `later` ones behind it.
    fn earlier(&self, later: usize) -> Option<Instant> {
        let index = self.sent.len().checked_sub(later + 1)?;
        self.sent.get(index).map(|(_, at)| *at)
    }
}

impl Engine {
    /// What the data plane is to do from now on; `None`: what it does. To be done before the [heartbeat](Self::poll_transmit) of
    /// the same moment leaves, and before others hear of the role.
    pub fn poll_lease(&mut self, now: Instant) -> Option<Lease> {
        let lease = self.wanted_lease(now)?;
        (self.tenure.told.replace(lease) != Some(lease)).then_some(lease)
    }

    /// Time that is left of the lease; `None`: there is none.
    #[must_use]
    pub fn lease_left(&self, now: Instant) -> Option<Duration> {
        self.tenure.until.map(|until| until.saturating_duration_since(now)).filter(|left| !left.is_zero())
    }

    /// Whether the peer is alive and has confirmed nothing for long: then this router asks for it more often.
    pub(super) fn lacks_confirmation(&self, now: Instant) -> bool {
        let long = |at: Instant| now.saturating_duration_since(at) >= self.settings.dead_after / 2;
        self.state == State::Active && self.peer.alive() && self.tenure.confirmed.is_none_or(long)
    }

    fn wanted_lease(&mut self, now: Instant) -> Option<Lease> {
        match self.state {
            _ if self.alone() => return None,
            // What a life before this one was given runs on, and out.
            State::Starting => return None,
            State::Stopped if self.unrelieved => return None,
            State::Standby | State::Stopped => {
                self.tenure.end();
                return Some(Lease::Released);
            }
            State::Active | State::HandingOver | State::Stopping => {}
        }
        if self.remains_in_doubt(now) {
            return None;
        }
        let mut until = self.tenable_until().filter(|until| *until > now);
        if self.state == State::Active && self.rival_from.is_none() {
            // What was given holds: a peer that returns from the dead waits as well.
            until = until.max(self.tenure.until);
        }
        self.tenure.until = until;
        match until {
            Some(until) => Some(Lease::Until(until)),
            None => self.rival_from.map(|_| Lease::Released),
        }
    }

    /// Whether it is still unknown who is active. The peer says so, or is silent for as long as it would wait itself.
    fn remains_in_doubt(&mut self, now: Instant) -> bool {
        let Some(from) = self.tenure.doubt else { return false };
        let silent_from = self.peer.heard.map_or(from, |heard| heard.max(from));
        if now.saturating_duration_since(silent_from) < self.settings.dead_after {
            return true;
        }
        self.tenure.be_sure();
        false
    }

    /// Until when the peer cannot have taken over.
    fn tenable_until(&self) -> Option<Instant> {
        let dead_after = self.settings.dead_after;
        // A peer that hears this router leave takes over at once: what is left is for the way of its answer.
        if self.role() == Role::Leaving {
            return self.timers.last_sent().map(|sent| sent + self.settings.interval);
        }
        let confirmed = self.tenure.confirmed.map(|sent| sent + dead_after);
        confirmed.max(self.unconfirmed_until())
    }

    /// The same for a router that is not told by its peer. Not beside one that is active itself.
    fn unconfirmed_until(&self) -> Option<Instant> {
        let Self { settings, .. } = self;
        let until = if self.peer.silent {
            // Dead as far as anybody knows. It waits for `dead_after` if it returns.
            self.timers.last_sent()? + settings.dead_after
        } else if self.rival_from.is_none() && self.tenure.is_steady {
            // One of these has arrived, or there are more losses in a row than the pair stands; half an interval for the way.
            self.tenure.earlier(settings.losses() + 1)? + settings.dead_after - settings.interval / 2
        } else {
            return None;
        };
        if !settings.witness {
            return Some(until);
        }
        // Cut off from both, the peer takes over a question and its answer after the last heartbeat's time is up.
        let seen = self.witness.answered()? + settings.dead_after - settings.interval;
        Some(until.min(seen))
    }
}
