//! A role that the operator holds a router in: for work on it, or on its peer.

use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{Engine, Event, Notice, State};
use crate::ha::{Role, heartbeat::Heartbeat};

/// The role that a router is held in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Forced {
    /// Never active, whatever becomes of the peer.
    Standby,
    /// Active before any peer that is not held active itself.
    Active,
}

/// What the operator holds a router in, and what for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Maintenance {
    /// The role.
    pub role: Forced,
    /// What for, in the operator's words; may be empty.
    pub reason: String,
}

/// Why a router is not held in a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HoldRefusal {
    /// It stands alone.
    #[error("no peer is configured: this router is always active")]
    NoPeer,
    /// Nobody would be active.
    #[error("the peer is not alive: it would leave nobody active")]
    PeerDead,
    /// Nobody would be active.
    #[error("the peer is held standby by its operator: it would leave nobody active")]
    PeerHeldStandby,
    /// Nobody would be active.
    #[error("the peer is handing its role to this router")]
    PeerLeaves,
    /// Two routers would be held active.
    #[error("the peer is held active by its operator: release it there first")]
    PeerHeldActive,
    /// The daemon stops.
    #[error("this router is stopping")]
    Stopping,
}

impl Forced {
    /// Name as status shows it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Standby => "standby",
            Self::Active => "active",
        }
    }

    /// Its place in the order of routers: before everything that speaks for or against one.
    pub(super) const fn rank(forced: Option<Self>) -> u8 {
        match forced {
            Some(Self::Standby) => 0,
            None => 1,
            Some(Self::Active) => 2,
        }
    }
}

impl Maintenance {
    /// One sentence, or the rest of one.
    #[must_use]
    pub fn words(&self) -> String {
        let held = format!("held {} by the operator", self.role.name());
        if self.reason.is_empty() { held } else { format!("{held}: {}", self.reason) }
    }
}

impl Engine {
    /// Holds this router in a role until it is released, or releases it. The peer hears of it at once.
    ///
    /// # Errors
    ///
    /// Why it is not held: nobody would be active, or two routers would be held active.
    pub fn hold(&mut self, maintenance: Option<Maintenance>, now: Instant) -> Result<(), HoldRefusal> {
        self.wake(now);
        if let Some(wanted) = &maintenance {
            self.judge(wanted.role)?;
        }
        let was_standby = self.is_kept_standby();
        self.put(maintenance);
        if !self.alone() && !self.timers.listens(now) {
            self.timers.send_now(now);
        }
        if was_standby && !self.is_kept_standby() {
            self.catch_up(now);
        }
        self.leave_if_misplaced(now);
        Ok(())
    }

    /// Goes on with what the operator said to an earlier life of this router. To be called before anything else.
    pub fn restore(&mut self, maintenance: Option<Maintenance>) {
        if !self.alone() {
            self.put(maintenance);
        }
    }

    /// What the operator holds this router in.
    #[must_use]
    pub const fn maintenance(&self) -> Option<&Maintenance> {
        self.maintenance.as_ref()
    }

    /// The role that this router is held in.
    pub(super) fn forced(&self) -> Option<Forced> {
        self.maintenance.as_ref().map(|maintenance| maintenance.role)
    }

    /// Whether this router must not become active. One whose data plane is active still goes on until its peer can take over.
    pub(super) fn is_kept_standby(&self) -> bool {
        let passive = matches!(self.state, State::Starting | State::Standby);
        passive && !self.resumes && self.forced() == Some(Forced::Standby)
    }

    /// What follows where this router would become active for `event`.
    pub(super) fn unless_kept(&self, event: Event) -> Event {
        if self.is_kept_standby() { Event::Held } else { event }
    }

    /// Of two routers that are held active, after they could not hear each other, the one of the lower rank is released.
    pub(super) fn release_beside(&mut self, heartbeat: &Heartbeat) {
        let both = self.forced() == Some(Forced::Active) && heartbeat.forced == Some(Forced::Active);
        if both && super::rank_of(heartbeat) > self.rank() {
            self.maintenance = None;
            self.notices.push_back(Notice::Released);
        }
    }

    /// Gives the role to a standby peer that is to have it, now that something speaks against this router.
    pub(super) fn leave_if_misplaced(&mut self, now: Instant) {
        let said = self.peer.said.as_ref().filter(|said| self.peer.alive() && said.role == Role::Standby);
        if let Some(event) = said.and_then(|said| self.misplaced_beside(said, now)) {
            self.apply(event, now);
        }
    }

    fn put(&mut self, maintenance: Option<Maintenance>) {
        // Who holds a router active wants the role that was given away before.
        self.held &= maintenance.as_ref().is_none_or(|wanted| wanted.role == Forced::Standby);
        self.maintenance = maintenance;
    }

    fn judge(&self, wanted: Forced) -> Result<(), HoldRefusal> {
        let said = self.peer.said.as_ref().filter(|_| self.peer.alive());
        let forwards = self.role().forwards() || self.resumes;
        if self.alone() {
            return Err(HoldRefusal::NoPeer);
        }
        if matches!(self.state, State::Stopping | State::Stopped) {
            return Err(HoldRefusal::Stopping);
        }
        match (wanted, said.map(|said| (said.role, said.forced))) {
            (Forced::Standby, None) if forwards => Err(HoldRefusal::PeerDead),
            (Forced::Standby, Some((_, Some(Forced::Standby)))) => Err(HoldRefusal::PeerHeldStandby),
            (Forced::Standby, Some((Role::Leaving, _))) => Err(HoldRefusal::PeerLeaves),
            (Forced::Active, Some((_, Some(Forced::Active)))) => Err(HoldRefusal::PeerHeldActive),
            (Forced::Standby | Forced::Active, _) => Ok(()),
        }
    }

    /// A router that was held standby does what it would have done when its peer turned silent.
    fn catch_up(&mut self, now: Instant) {
        if !self.peer.silent {
            return;
        }
        if self.needs_witness() {
            self.witness.wait(now);
            self.notices.push_back(Notice::AskWitness);
        } else {
            self.apply(Event::PeerSilent, now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_name_the_reason_if_there_is_one() {
        let held = |role, reason: &str| Maintenance { role, reason: reason.to_owned() }.words();
        assert_eq!(held(Forced::Standby, ""), "held standby by the operator");
        assert_eq!(held(Forced::Active, "new cables"), "held active by the operator: new cables");
    }
}
