//! The role engine of a router: heartbeats, time and commands in; heartbeats, a role and the next deadline out.
//! It has no I/O and no clock. [`transition`] is the table; here stand the facts that its events are made of.
//!
//! Whoever drives it hands over everything that has arrived before it says what time it is: a router that was
//! frozen must learn what happened meanwhile before it acts on its own silence.

mod cause;
mod command;
mod condition;
mod facts;
mod history;
mod lag;
mod lease;
mod maintenance;
mod peer;
mod settings;
mod timers;
mod transition;
mod witness;

use std::{collections::VecDeque, time::Instant};

pub use cause::Cause;
pub use command::Refusal;
pub use condition::Condition;
pub use history::Transition;
pub use lag::{Behind, Positions};
pub use lease::Lease;
pub use maintenance::{Forced, HoldRefusal, Maintenance};
pub use peer::{Path, Peer};
pub use settings::Settings;

use self::{
    facts::rank_of,
    history::History,
    lag::Lag,
    lease::Tenure,
    timers::Timers,
    transition::{Event, State, Step, step},
    witness::Witness,
};
use super::{
    Role,
    guard::{Admission, Guard},
    heartbeat::{Heartbeat, Ignored},
};

/// What others must know or do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// The role has changed.
    Role(Transition),
    /// The role stays active, but the peer was active too, or was silent for a while and may have been: the network must
    /// be told again whose the addresses are.
    Reannounce,
    /// The peer is silent, and an answer of a witness to a question from now on is waited for.
    AskWitness,
    /// Heartbeats arrive on this path again.
    PathUp(usize),
    /// A path has been silent for `dead_after`.
    PathDown(usize),
    /// The operator's hold on this router has ended by itself: the peer is held active too, and comes first.
    Released,
}

/// The role engine of one router.
#[derive(Clone, Debug)]
pub struct Engine {
    settings: Settings,
    /// What speaks against this router.
    condition: Condition,
    state: State,
    cause: Cause,
    since: Instant,
    /// The data plane has stayed active across the restart of the daemon, and the role is not decided yet.
    resumes: bool,
    /// The operator gave the role away: it is not taken back for the priority's sake.
    held: bool,
    /// What the operator holds this router in.
    maintenance: Option<Maintenance>,
    /// This router could be active as well as its peer is, as far as it knows by itself.
    ready: bool,
    /// What the heartbeats say of the copy of connections.
    lag: Lag,
    /// See [`is_unrelieved`](Self::is_unrelieved).
    unrelieved: bool,
    /// Since when the peer has been active beside this active router.
    rival_from: Option<Instant>,
    /// Sequence of the heartbeat sent last.
    sequence: u64,
    /// Sequence of the first heartbeat that said this router leaves.
    leaving_from: u64,
    guard: Guard,
    peer: Peer,
    witness: Witness,
    timers: Timers,
    tenure: Tenure,
    history: History,
    notices: VecDeque<Notice>,
}

impl Engine {
    /// An engine that starts now. `resume`: the data plane was found active, its connections still running.
    #[must_use]
    pub fn new(settings: Settings, resume: bool, now: Instant) -> Self {
        let mut engine = Self {
            condition: Condition::default(),
            state: State::Starting,
            cause: Cause::Started,
            since: now,
            resumes: resume,
            held: false,
            maintenance: None,
            ready: true,
            lag: Lag::default(),
            unrelieved: false,
            rival_from: None,
            sequence: 0,
            leaving_from: 0,
            guard: Guard::new(settings.incarnation, settings.paths),
            peer: Peer::new(settings.paths, now),
            witness: Witness::new(now),
            timers: Timers::new(now),
            tenure: Tenure::default(),
            history: History::default(),
            notices: VecDeque::new(),
            settings,
        };
        if engine.alone() {
            engine.enter(State::Active, Cause::NoPeer, now);
        }
        engine
    }

    /// Takes in an authentic heartbeat from the peer's address on `path`.
    ///
    /// # Errors
    ///
    /// Why it was ignored; nothing but the pace of our own heartbeats follows from it then.
    pub fn handle_heartbeat(
        &mut self,
        path: usize,
        heartbeat: &Heartbeat,
        now: Instant,
    ) -> Result<(), Ignored> {
        self.wake(now);
        let answered = self.guard.answered();
        let admission = self.guard.admit(path, heartbeat).inspect_err(|ignored| {
            if *ignored == Ignored::Unproven {
                self.timers.heard_unproven(now);
                self.timers.hasten(now, self.settings.fast());
            }
        })?;
        if self.guard.answered() > answered {
            self.peer.heard_us = Some(now);
            self.tenure.confirm(self.guard.answered());
        }
        if admission != Admission::Late && self.peer.hear_path(path, now) {
            self.notices.push_back(Notice::PathUp(path));
        }
        match admission {
            Admission::Copy | Admission::Late => {}
            Admission::News => self.hear(heartbeat, now),
            Admission::First => {
                self.timers.proven();
                self.tenure.believe();
                self.timers.hasten(now, self.settings.fast());
                self.hear(heartbeat, now);
            }
        }
        Ok(())
    }

    /// Takes in that a witness has answered what it was `asked` then.
    pub fn handle_witness(&mut self, asked: Instant, now: Instant) {
        self.wake(now);
        self.witness.hear(asked);
        if self.needs_witness() && self.peer.silent && self.witness.has_answered() {
            self.apply(self.unless_kept(Event::PeerSilent), now);
        }
    }

    /// Lets time pass up to `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.wake(now);
        let silent = self.peer.mark_silent_paths(now, self.settings.dead_after);
        self.notices.extend(silent.into_iter().map(Notice::PathDown));
        if self.silence_deadline().is_some_and(|deadline| deadline <= now) {
            self.peer.mark_silent();
            self.witness.wait(now);
            if self.needs_witness() {
                self.notices.push_back(Notice::AskWitness);
            } else {
                self.apply(self.unless_kept(Event::PeerSilent), now);
            }
        }
        if self.isolation_deadline().is_some_and(|deadline| deadline <= now) {
            self.witness.wait(now);
            self.apply(Event::Isolated, now);
        }
        if self.timers.leave_by.is_some_and(|deadline| deadline <= now) {
            self.apply(Event::Late, now);
        }
    }

    /// When to call [`handle_timeout`](Self::handle_timeout) and [`poll_transmit`](Self::poll_transmit) next; `None`:
    /// not for the sake of time.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        if self.alone() || self.is_finished() {
            return None;
        }
        let paths = self.peer.next_path_deadline(self.settings.dead_after);
        let silence = [self.silence_deadline(), self.isolation_deadline()];
        // One that listens is called in between, or it would take its own silence for another absence.
        let listening = self.timers.listening(self.settings.interval);
        let own = [Some(self.timers.next_send), self.timers.leave_by, listening, paths];
        silence.into_iter().chain(own).flatten().min()
    }

    /// The heartbeat that is due now, to be sent on every path.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Heartbeat> {
        if self.alone() || self.is_finished() || now < self.timers.next_send {
            return None;
        }
        self.sequence += 1;
        self.timers.sent(now, self.pace(now));
        self.tenure.send(self.sequence, now, self.settings.dead_after);
        Some(Heartbeat {
            role: self.role(),
            wants_role: self.wants_role(now),
            resumes: self.resumes,
            fault: self.condition.has_fault(),
            weak: self.is_weak(),
            forced: self.forced(),
            priority: self.priority(),
            cause: self.cause.code(),
            incarnation: self.settings.incarnation,
            sequence: self.sequence,
            config_hash: self.settings.config_hash,
            echo: self.guard.echo(),
            name: self.settings.name.clone(),
            group: self.settings.group.clone(),
            position: self.position(),
        })
    }

    /// What has happened since the last call, oldest first.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    /// The role now.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.state.role()
    }

    /// Why, one sentence.
    #[must_use]
    pub fn reason(&self) -> String {
        self.cause.sentence(self.settings.dead_after)
    }

    /// The same, and what speaks against this router now.
    #[must_use]
    pub fn explanation(&self) -> String {
        let condition = self.condition.words(self.settings.priority);
        let maintenance = self.maintenance.as_ref().map(Maintenance::words);
        let all: Vec<_> = [Some(self.reason()), condition, maintenance].into_iter().flatten().collect();
        all.join("; ")
    }

    /// Since when.
    #[must_use]
    pub const fn since(&self) -> Instant {
        self.since
    }

    /// The peer as this router sees it.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The settings in force.
    #[must_use]
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The last changes of role, newest first.
    pub fn transitions(&self) -> impl Iterator<Item = &Transition> {
        self.history.newest_first()
    }

    /// Whether this router could be active as well as its peer is, as far as it knows by itself: it has had the connections of
    /// the active one, and knows its real servers. One that could not, or [lacks](Self::behind) what the peer has told, does not
    /// take its role back.
    pub const fn set_ready(&mut self, ready: bool) {
        self.ready = ready;
    }

    /// Whether a shutdown has come to its end.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state == State::Stopped
    }

    /// Whether a shutdown has ended with the data plane of this router active, and nobody has taken over from it.
    #[must_use]
    pub const fn is_unrelieved(&self) -> bool {
        self.unrelieved
    }

    const fn alone(&self) -> bool {
        self.settings.paths == 0
    }

    /// Takes in what the peer says.
    fn hear(&mut self, heartbeat: &Heartbeat, now: Instant) {
        // While the peer's daemon was silent, its kernel may have gone on answering for the addresses. Of a peer that
        // says it is active, the table takes care.
        if self.role() == Role::Active && !self.peer.alive() && heartbeat.role != Role::Active {
            self.notices.push_back(Notice::Reannounce);
        }
        self.peer.hear(heartbeat, now);
        self.compare_positions(now);
        self.release_beside(heartbeat);
        if matches!(heartbeat.role, Role::Starting | Role::Standby) {
            self.tenure.be_sure();
        }
        if self.cause == Cause::Isolated && heartbeat.role == Role::Active {
            self.cause = Cause::PeerActive;
        }
        let event = match heartbeat.role {
            // A peer that does not know yet that this router leaves may still yield to it.
            Role::Active if self.role() == Role::Leaving && self.guard.answered() < self.leaving_from => {
                return;
            }
            Role::Active => Event::PeerActive(self.rival(heartbeat, now)),
            Role::Leaving => self.unless_kept(Event::PeerLeaving { fault: heartbeat.fault }),
            Role::Standby => self.beside_standby(heartbeat, now),
            Role::Starting => Event::PeerPassive(self.election(heartbeat, now)),
        };
        self.apply(event, now);
    }

    /// One step of the table.
    fn apply(&mut self, event: Event, now: Instant) {
        match step(self.state, event) {
            Step::Go(state, cause) => self.enter(state, cause, now),
            Step::Reannounce => {
                if self.rival_from.is_none() {
                    self.rival_from = Some(now);
                    self.notices.push_back(Notice::Reannounce);
                }
            }
            Step::Stay => {
                // The rival is gone, and what it announced last may have come after our own announcement.
                if self.rival_from.take().is_some() {
                    self.notices.push_back(Notice::Reannounce);
                }
            }
        }
    }

    fn enter(&mut self, state: State, cause: Cause, now: Instant) {
        let (from, before) = (self.role(), self.cause);
        let forwarded = from.forwards() || self.resumes;
        self.unrelieved = state == State::Stopped && forwarded && cause != Cause::Relieved;
        self.state = state;
        self.cause = cause;
        self.resumes = false;
        self.rival_from = None;
        // What was told to the other is asked of this one now, or the other way round.
        self.compare_positions(now);
        if !state.role().forwards() && state != State::Stopped {
            self.tenure.end();
        }
        self.held = state == State::Standby && (self.held || before == Cause::Operator);
        self.timers.leave_by = None;
        if self.role() == Role::Leaving {
            self.leaving_from = if from == Role::Leaving { self.leaving_from } else { self.sequence + 1 };
            self.timers.leave_by = Some(now + self.settings.leave_within());
        }
        self.timers.send_now(now);
        if self.role() != from {
            self.since = now;
            let reason = self.reason();
            let transition = Transition { at: now, from, to: self.role(), reason };
            self.history.push(transition.clone());
            self.notices.push_back(Notice::Role(transition));
        }
    }

    /// Notes an absence of this router: a late timer, a frozen process, a paused machine.
    fn wake(&mut self, now: Instant) {
        self.tenure.look(now);
        let gap = self.timers.called(now);
        if gap >= self.settings.interval * 3 / 2 {
            self.tenure.interrupt(now);
        }
        if gap < self.settings.dead_after / 2 {
            return;
        }
        self.peer.restart_silence(now);
        self.witness.restart_silence(now);
        if self.role() == Role::Leaving {
            self.timers.leave_by = Some(now + self.settings.leave_within());
        }
        // The peer has taken over, if it lives: listen before saying anything.
        if self.state == State::Active && self.timers.mute_for(now) >= self.settings.dead_after {
            self.timers.listen_until(now + self.settings.listen_for());
        }
    }
}

#[cfg(test)]
mod tests;
