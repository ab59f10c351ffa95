//! The engine of the active router: what its peer is told of the flow table, and when. It has no I/O and no clock.
//!
//! It works in steps, each of which looks at a bounded part of the table and makes at most one batch, so that whoever drives
//! it is never held up for long. A new session begins with a full transfer, a walk over the whole table. From then on only
//! changes are told: the program marks the buckets that have changed, and the [`shadow`] says what of their entries the peer
//! has not heard. Marks that nobody has taken yet cost nothing and are never lost: when the peer is slow, they wait, and
//! only the latest state of a flow is told.

mod scan;
mod shadow;
mod window;

use std::time::{Duration, Instant};

use self::{scan::Scan, shadow::Shadow, window::Window};
use super::{
    record::Record,
    segments::Segments,
    wire::{Batch, MAX_RECORDS, Place},
};
use crate::{
    datapath::{Clock, FlowTable},
    ha::heartbeat::Position,
};

pub use window::Unexpected;

/// Time from one look at the marks to the next. A change is told within twice of it, unless there is too much to tell.
pub const PACE: Duration = Duration::from_millis(50);
/// Time after which a receiver is told that there is nothing to tell.
pub const LIFE_SIGN: Duration = Duration::from_secs(1);
/// A peer that is behind by more is not in sync.
const BEHIND: Duration = Duration::from_secs(1);
/// Buckets that one step looks at.
const SLICE: u32 = 1024;
/// Time from one look to the next while nobody listens, and there is something to tell: room is for a minute of changes, not for
/// a second of them.
const PACE_UNHEARD: Duration = Duration::from_secs(2);

/// The sender of one session after another.
#[derive(Debug)]
pub struct Sender {
    incarnation: u64,
    session: u64,
    /// Whether TCP connections whose handshake is not over, and UDP flows of one datagram, are told too.
    half_open: bool,
    shadow: Shadow,
    scan: Scan,
    window: Window,
    /// Batches after which the peer has all that had changed before a moment.
    milestone: Option<(u64, Instant)>,
    /// The peer has all that had changed before this.
    covered: Option<Instant>,
    last_made: Instant,
    /// Whether a peer is connected.
    is_heard: bool,
    /// Records of this session so far.
    records: u64,
    sent: u64,
}

/// Whether there is more to do at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Another step at once.
    Now,
    /// A step at this time, or when the peer has acknowledged something.
    At(Instant),
}

/// How far the peer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// How much of the full transfer is done, in percent.
    pub percent: u8,
    /// The peer has acknowledged all that had changed before this; `None` before the full transfer is over.
    pub covered: Option<Instant>,
    /// Records that it has not acknowledged.
    pub unacknowledged: usize,
}

impl Progress {
    /// How old the oldest change may be that the peer has not acknowledged; `None` before the full transfer is over.
    pub fn behind(&self, now: Instant) -> Option<Duration> {
        self.covered.map(|moment| now.saturating_duration_since(moment))
    }

    /// Whether the full transfer is over, and the peer behind by less than a second.
    pub fn is_in_sync(&self, now: Instant) -> bool {
        self.behind(now).is_some_and(|behind| behind < BEHIND)
    }
}

impl Sender {
    /// A sender of the router with this incarnation. `session` is a random number, not 0, that no sender had before.
    pub fn new(incarnation: u64, session: u64, half_open: bool, table: &dyn FlowTable, now: Instant) -> Self {
        Self {
            incarnation,
            session,
            half_open,
            shadow: Shadow::new(table.buckets().len()),
            scan: Scan::new(table.buckets().len(), now),
            window: Window::default(),
            milestone: None,
            covered: None,
            last_made: now,
            is_heard: true,
            records: 0,
            sent: 0,
        }
    }

    /// Answers a receiver that has connected. Where it has heard of this session, and still has what it acknowledged, the
    /// session goes on; otherwise one with the number `fresh`, like that of [`new`](Self::new), begins.
    pub fn welcome(&mut self, hello: &Place, fresh: u64, now: Instant) -> Place {
        if hello.session != self.session || !self.window.resume(hello.position) {
            self.session = fresh;
            self.shadow.clear();
            self.scan = Scan::new(self.shadow.buckets(), now);
            self.window = Window::default();
            self.milestone = None;
            self.covered = None;
            self.records = 0;
        }
        self.is_heard = true;
        let position = self.window.acknowledged();
        Place { incarnation: self.incarnation, session: self.session, position }
    }

    /// The stream is lost. What changes from now on waits for the next one, as far as there is room, and the [position](Self::position)
    /// says that the peer lacks it.
    pub const fn lose(&mut self) {
        self.is_heard = false;
    }

    /// The peer has applied all up to this batch.
    ///
    /// # Errors
    /// When it never got that one.
    pub fn acknowledge(&mut self, position: u64) -> Result<(), Unexpected> {
        self.window.acknowledge(position)?;
        if let Some((sequence, moment)) = self.milestone
            && position >= sequence
        {
            self.milestone = None;
            self.covered = Some(moment);
        }
        Ok(())
    }

    /// Looks at a part of the table.
    pub fn step(&mut self, table: &dyn FlowTable, clock: &Clock, segments: &Segments, now: Instant) -> Next {
        if !self.window.has_room() {
            return Next::At(now + PACE);
        }
        let mut records = Vec::new();
        let view = shadow::View { table, clock, segments, half_open: self.half_open };
        let (shadow, room) = (&mut self.shadow, MAX_RECORDS - shadow::MOST);
        let mut look = |bucket| {
            shadow.compare(bucket, &view, &mut records);
            records.len() <= room
        };
        let step = self.scan.step(table.changes(), SLICE, now, &mut look);
        let is_last = step.walk_ended;
        let is_quiet = self.is_heard && now.saturating_duration_since(self.last_made) >= LIFE_SIGN;
        if !records.is_empty() || is_last || is_quiet {
            self.make(records, is_last, now);
        }
        if let Some(began) = step.covers
            && self.milestone.is_none()
        {
            self.reach(began);
        }
        if self.is_heard || self.window.records() == 0 { step.next } else { Next::At(now + PACE_UNHEARD) }
    }

    /// The next batch to be sent.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Batch> {
        self.window.next(now)
    }

    /// How far the peer is.
    pub fn progress(&self) -> Progress {
        let unacknowledged = self.window.records();
        Progress { percent: self.scan.percent(), covered: self.covered, unacknowledged }
    }

    /// What the peer has been told when it has all that is on its way.
    pub const fn position(&self) -> Position {
        Position { session: self.session, records: self.records }
    }

    /// Records told since this was asked last.
    pub const fn take_sent(&mut self) -> u64 {
        std::mem::replace(&mut self.sent, 0)
    }

    fn make(&mut self, records: Vec<Record>, is_last: bool, now: Instant) {
        self.sent += records.len() as u64;
        self.records += records.len() as u64;
        self.last_made = now;
        self.window.push(records, is_last, self.scan.percent(), now);
    }

    /// Everything that had changed before `moment` is in the batches made so far.
    fn reach(&mut self, moment: Instant) {
        let sequence = self.window.made();
        if sequence == self.window.acknowledged() {
            self.covered = Some(moment);
        } else {
            self.milestone = Some((sequence, moment));
        }
    }
}
