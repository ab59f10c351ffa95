//! What the operator and the daemon ask of an engine.

use std::time::Instant;

use super::{Condition, Engine, Event, Forced, Settings, State};

/// What is added where the peer gets the role and not all connections: nothing is lost as long as this router forwards.
const MISSING: &str = ", which has not every connection yet: leave this router running until `lbctl conns` here shows none that matters";

/// Why a router does not give its role away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It stands alone.
    #[error("no peer is configured")]
    NoPeer,
    /// Nobody would take the role.
    #[error("the peer is not alive: it would leave nobody active")]
    PeerDead,
    /// The peer would not take it.
    #[error("the peer is held standby by its operator: it would leave nobody active")]
    PeerHeldStandby,
    /// The operator holds it here.
    #[error("this router is held active: `lbctl maintenance off` releases it")]
    HeldActive,
    /// The role would come straight back.
    #[error("the peer has a fault, and this router has none: the role would come straight back")]
    PeerUnfit,
    /// It has not got the role.
    #[error("this router is standby: there is no role to give")]
    Standby,
    /// It does not know its role yet.
    #[error("this router is still starting")]
    Starting,
    /// It is doing so.
    #[error("this router is already handing over")]
    Leaving,
}

impl Engine {
    /// Gives the role to the peer, for the operator. It is not taken back for the priority's sake, until this router
    /// has had to become active again.
    ///
    /// # Errors
    ///
    /// Why the role stays here.
    pub fn failover(&mut self, now: Instant) -> Result<String, Refusal> {
        self.wake(now);
        match self.state {
            State::Active if self.alone() => Err(Refusal::NoPeer),
            State::Active if self.forced() == Some(Forced::Active) => Err(Refusal::HeldActive),
            State::Active if !self.peer.alive() => Err(Refusal::PeerDead),
            State::Active if self.is_peer_kept_standby() => Err(Refusal::PeerHeldStandby),
            State::Active if self.is_fitter_than_peer() => Err(Refusal::PeerUnfit),
            State::Active => {
                let lacks = self.behind(now).is_some_and(|behind| behind.is_far);
                self.apply(Event::Failover, now);
                let peer = self.peer.said.as_ref().map_or("the peer", |heartbeat| heartbeat.name.as_str());
                let lacks = if lacks { MISSING } else { "" };
                Ok(format!("handing the active role to {peer}{lacks}"))
            }
            State::Standby => Err(Refusal::Standby),
            State::Starting => Err(Refusal::Starting),
            State::HandingOver | State::Stopping | State::Stopped => Err(Refusal::Leaving),
        }
    }

    /// Ends the engine: a router that forwards waits, for a bounded time, until the peer has taken over.
    /// [`is_finished`](Self::is_finished) says when.
    pub fn shutdown(&mut self, now: Instant) {
        self.wake(now);
        let forwards = self.role().forwards() || self.resumes;
        let relief = forwards && self.peer.alive() && !self.is_peer_kept_standby();
        self.apply(Event::Stop { relief }, now);
    }

    /// Takes in what speaks against this router from now on. The peer hears of a change at once, and gets the role where it
    /// is the better one.
    pub fn set_condition(&mut self, condition: Condition, now: Instant) {
        self.wake(now);
        if condition == self.condition {
            return;
        }
        self.condition = condition;
        if !self.alone() && !self.timers.listens(now) {
            self.timers.send_now(now);
        }
        self.leave_if_misplaced(now);
    }

    /// Puts other settings in force. The incarnation and the number of paths stay.
    pub fn reconfigure(&mut self, settings: Settings, now: Instant) {
        self.wake(now);
        let Settings { incarnation, paths, .. } = self.settings;
        if settings.witness && !self.settings.witness {
            self.witness.restart_silence(now);
        }
        self.settings = Settings { incarnation, paths, ..settings };
        if !self.alone() && !self.timers.listens(now) {
            self.timers.send_now(now);
        }
    }
}
