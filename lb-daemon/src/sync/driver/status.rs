//! The copy as the API shows it.

use std::{collections::BTreeMap, time::Instant};

use crate::{
    api::types::SyncStatus,
    ha::{engine::Positions, heartbeat::Position},
    sync::{receiver::Counts, secure, sender::Progress},
};

/// What is going on.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// Nothing is copied.
    Off,
    /// The role is not decided yet.
    Waiting,
    /// Active, and no peer is connected; what the next one would be told, if it is one that was here a moment ago.
    Alone(Position),
    /// Active, and a peer is connected; what it has been told.
    Sending(Progress, Position),
    /// Standby without a stream.
    Connecting {
        /// Why.
        detail: Option<String>,
        /// What it has of the last one.
        applied: Position,
    },
    /// Standby with a stream.
    Receiving {
        /// How much of the full transfer is done.
        percent: u8,
        /// Whether this router has had everything.
        complete: bool,
        /// What it has.
        applied: Position,
    },
}

/// Why a stream was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rejected {
    /// Not from the peer's address on that path.
    Stranger,
    /// Too many handshakes at once.
    Busy,
    /// No greeting in time.
    Timeout,
    /// Another key, or changed on the way.
    WrongKey,
    /// Another version.
    Version,
    /// It broke before it began.
    Broken,
}

/// A direction of the copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// To the peer.
    Serving,
    /// From the peer.
    Following,
}

/// All there is to tell.
#[derive(Debug)]
pub(super) struct State {
    /// Where neither direction is copied.
    idle: Phase,
    serving: Option<Phase>,
    following: Option<Phase>,
    pub(super) totals: Totals,
    rejected: BTreeMap<Rejected, u64>,
}

/// Records since the start.
#[derive(Debug, Default)]
pub(super) struct Totals {
    pub(super) sent: u64,
    received: Counts,
}

impl Phase {
    /// See [`Handle::in_sync`](super::Handle::in_sync).
    pub(super) const fn is_in_sync(&self) -> bool {
        match self {
            Self::Off | Self::Alone(_) | Self::Sending(..) => true,
            Self::Waiting | Self::Connecting { .. } => false,
            Self::Receiving { complete, .. } => *complete,
        }
    }
}

impl Rejected {
    pub(super) const fn of(error: &secure::Error) -> Self {
        match error {
            secure::Error::Io(_) => Self::Broken,
            secure::Error::Version | secure::Error::Malformed(_) => Self::Version,
            secure::Error::NotAuthentic => Self::WrongKey,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Stranger => "stranger",
            Self::Busy => "busy",
            Self::Timeout => "timeout",
            Self::WrongKey => "wrong_key",
            Self::Version => "version",
            Self::Broken => "broken",
        }
    }
}

impl Totals {
    /// Adds what a receiver has counted.
    pub(super) fn add(&mut self, counts: &Counts) {
        self.received.received += counts.received;
        self.received.applied += counts.applied;
        self.received.unlisted += counts.unlisted;
        for (cause, count) in &counts.refused {
            *self.received.refused.entry(*cause).or_default() += count;
        }
    }
}

impl State {
    /// `copies`: whether connections are copied at all.
    pub(super) fn new(copies: bool) -> Self {
        let idle = if copies { Phase::Waiting } else { Phase::Off };
        Self { idle, serving: None, following: None, totals: Totals::default(), rejected: BTreeMap::new() }
    }

    /// Notes what is going on in one direction.
    pub(super) fn set(&mut self, side: Side, phase: Option<Phase>) {
        match side {
            Side::Serving => self.serving = phase,
            Side::Following => self.following = phase,
        }
    }

    /// See [`Handle::in_sync`](super::Handle::in_sync).
    pub(super) fn is_in_sync(&self) -> bool {
        self.phase().is_in_sync()
    }

    /// Whether anything is told to the peer, or would be.
    pub(super) const fn is_serving(&self) -> bool {
        self.serving.is_some()
    }

    /// Whether a stream from the peer stands that has told everything.
    pub(super) const fn is_following(&self) -> bool {
        matches!(self.following, Some(Phase::Receiving { complete: true, .. }))
    }

    /// How far the copy is in both directions, for the heartbeats.
    pub(super) const fn positions(&self) -> Positions {
        if matches!(self.idle, Phase::Off) {
            return Positions { told: None, applied: None };
        }
        let told = match self.serving {
            Some(Phase::Alone(told) | Phase::Sending(_, told)) => told,
            _ => Position::NONE,
        };
        let applied = match self.following {
            Some(Phase::Connecting { applied, .. } | Phase::Receiving { applied, .. }) => applied,
            _ => Position::NONE,
        };
        Positions { told: Some(told), applied: Some(applied) }
    }

    /// What is going on, from the peer before to the peer.
    fn phase(&self) -> &Phase {
        self.following.as_ref().or(self.serving.as_ref()).unwrap_or(&self.idle)
    }

    /// Counts a stream that was refused; how many there have been for this cause.
    pub(super) fn reject(&mut self, cause: Rejected) -> u64 {
        let total = self.rejected.entry(cause).or_default();
        *total += 1;
        *total
    }
}

/// What the API shows.
pub(super) fn of(state: &State, now: Instant) -> SyncStatus {
    let status = of_phase(state, state.phase(), now);
    // What goes to the peer is told by itself.
    let sent = if state.following.is_some() && state.serving.is_some() { 0 } else { status.sent };
    SyncStatus { sent, ..status }
}

/// The direction to the peer, where there is the other one too.
pub(super) fn out(state: &State, now: Instant) -> Option<SyncStatus> {
    let phase = state.serving.as_ref().filter(|_| state.following.is_some())?;
    let SyncStatus { state: name, in_sync, progress_percent, behind_ms, unacknowledged, sent, .. } =
        of_phase(state, phase, now);
    let counted = SyncStatus::default();
    Some(SyncStatus { state: name, in_sync, progress_percent, behind_ms, unacknowledged, sent, ..counted })
}

fn of_phase(state: &State, phase: &Phase, now: Instant) -> SyncStatus {
    let counts = &state.totals.received;
    let mut status = SyncStatus {
        state: name(phase).to_owned(),
        in_sync: phase.is_in_sync(),
        progress_percent: None,
        behind_ms: None,
        unacknowledged: 0,
        detail: None,
        sent: state.totals.sent,
        received: counts.received,
        applied: counts.applied,
        unlisted: counts.unlisted,
        refused: counts.refused.iter().map(|(cause, count)| (cause.name().to_owned(), *count)).collect(),
        rejected: state.rejected.iter().map(|(cause, count)| (cause.name().to_owned(), *count)).collect(),
    };
    match phase {
        Phase::Off | Phase::Waiting | Phase::Alone(_) => {}
        Phase::Sending(progress, _) => {
            status.in_sync = progress.is_in_sync(now);
            status.progress_percent = Some(progress.percent);
            let millis = progress.behind(now).map(|behind| behind.as_millis());
            status.behind_ms = millis.map(|millis| u64::try_from(millis).unwrap_or(u64::MAX));
            status.unacknowledged = progress.unacknowledged as u64;
        }
        Phase::Connecting { detail, .. } => status.detail.clone_from(detail),
        Phase::Receiving { percent, .. } => status.progress_percent = Some(*percent),
    }
    status
}

/// What is not as it should be.
pub(super) fn warnings(state: &State, now: Instant) -> Vec<String> {
    let phases = state.following.iter().chain(&state.serving);
    phases.filter_map(|phase| warning(phase, now)).collect()
}

fn warning(phase: &Phase, now: Instant) -> Option<String> {
    match phase {
        Phase::Connecting { detail: Some(detail), .. } => {
            Some(format!("connections are not copied from the active router: {detail}"))
        }
        Phase::Sending(progress, _) if !progress.is_in_sync(now) => progress
            .behind(now)
            .map(|behind| format!("the peer is behind with connections by {} ms", behind.as_millis())),
        Phase::Off
        | Phase::Waiting
        | Phase::Alone(_)
        | Phase::Sending(..)
        | Phase::Connecting { detail: None, .. }
        | Phase::Receiving { .. } => None,
    }
}

const fn name(phase: &Phase) -> &'static str {
    match phase {
        Phase::Off => "off",
        Phase::Waiting => "waiting",
        Phase::Alone(_) => "alone",
        Phase::Sending(..) => "sending",
        Phase::Connecting { .. } => "connecting",
        Phase::Receiving { .. } => "receiving",
    }
}
