//! How far the standby router is behind the active one with the copy of connections, as their heartbeats say: that holds
//! although the stream of the copy may be cut, and neither has noticed.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::Engine;
use crate::ha::{Role, heartbeat::Position};

/// Positions that are remembered until the standby has reached them: with them its age is exact to a heartbeat, and with more
/// to remember it is taken for older than it is.
const MOST: usize = 64;
/// A standby that has been behind for longer is told of before it gets a role, unless heartbeats that are lost may be the reason.
const BEHIND: Duration = Duration::from_secs(1);

/// How far this router is with the copy of connections, in either direction; `None` where none are copied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    /// What it has told, where it is active.
    pub told: Option<Position>,
    /// What it has applied, where it is standby.
    pub applied: Option<Position>,
}

/// How far the standby of the two routers is behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behind {
    /// Records that it lacks; `None`: it has not had everything, or nothing is told to it, so that nobody knows.
    pub records: Option<u64>,
    /// For how long, at least, it has lacked the oldest of them; zero where it lacks none.
    pub age: Duration,
    /// Whether a takeover without the active router's data plane would cost connections: nobody knows how many the standby lacks, or
    /// it has lacked some for a second, and for longer than heartbeats may be lost.
    pub is_far: bool,
}

/// What the engine remembers of both positions.
#[derive(Clone, Debug, Default)]
pub(super) struct Lag {
    own: Positions,
    /// Records that the standby lacks, where the two say so: `None` within for nobody knows.
    lacks: Option<Option<u64>>,
    /// Positions of the active router that the standby has not reached, oldest first, and when they were heard of.
    missing: VecDeque<(Position, Instant)>,
}

impl Lag {
    fn compare(&mut self, told: Position, applied: Position, now: Instant) {
        self.lacks = Some(applied.lacks(&told));
        if applied.has(&told) {
            self.missing.clear();
            return;
        }
        if applied.session == told.session {
            self.missing.retain(|(position, _)| applied.lacks(position).is_some_and(|records| records > 0));
        }
        let is_full = self.missing.len() >= MOST;
        match self.missing.back_mut() {
            Some((last, _)) if *last == told => {}
            Some((last, _)) if is_full => *last = told,
            Some(_) | None => self.missing.push_back((told, now)),
        }
    }

    fn forget(&mut self) {
        self.lacks = None;
        self.missing.clear();
    }
}

impl Engine {
    /// Takes in how far the copy of connections is; to be told before the time and before whatever was heard.
    pub fn set_positions(&mut self, positions: Positions, now: Instant) {
        self.lag.own = positions;
        self.compare_positions(now);
    }

    /// How far the standby router is behind; `None` where there is nothing to compare: neither is active, or standby, or one of
    /// them says nothing of it, as an older version does.
    #[must_use]
    pub fn behind(&self, now: Instant) -> Option<Behind> {
        let records = self.lag.lacks?;
        let oldest = self.lag.missing.front();
        let age = oldest.map_or(Duration::ZERO, |(_, since)| now.saturating_duration_since(*since));
        let is_far = records.is_none() || age >= BEHIND.max(self.settings.dead_after);
        Some(Behind { records, age, is_far })
    }

    /// Whether this router could be active as well as the peer is: it says so of itself, and has what the peer has told by its
    /// last heartbeat.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready && self.lag.missing.is_empty()
    }

    /// What this router says in its heartbeats.
    pub(super) const fn position(&self) -> Option<Position> {
        match self.role() {
            Role::Active | Role::Leaving => self.lag.own.told,
            Role::Standby => self.lag.own.applied,
            Role::Starting => None,
        }
    }

    /// Compares what both have said last.
    pub(super) fn compare_positions(&mut self, now: Instant) {
        match self.ends() {
            Some((told, applied)) => self.lag.compare(told, applied, now),
            None => self.lag.forget(),
        }
    }

    /// What the active router has told, and the standby applied.
    fn ends(&self) -> Option<(Position, Position)> {
        let said = self.peer.said.as_ref().filter(|_| self.peer.alive())?;
        match (self.role(), said.role) {
            (Role::Standby, Role::Active | Role::Leaving) => Some((said.position?, self.position()?)),
            (Role::Active | Role::Leaving, Role::Standby) => Some((self.position()?, said.position?)),
            (Role::Standby, Role::Standby | Role::Starting)
            | (Role::Active | Role::Leaving, Role::Active | Role::Leaving | Role::Starting)
            | (Role::Starting, _) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_age_is_that_of_the_oldest_position_that_is_not_reached() {
        let (mut lag, start) = (Lag::default(), Instant::now());
        let oldest = |lag: &Lag| lag.missing.front().map(|(_, since)| since.duration_since(start));
        for (at, told, applied, lacks, age) in [
            (0, 5, 5, 0, None),
            (100, 8, 5, 3, Some(100)),
            (200, 9, 5, 4, Some(100)),
            (300, 9, 8, 1, Some(200)),
            (400, 12, 8, 4, Some(200)),
            (500, 12, 9, 3, Some(400)),
            (600, 12, 12, 0, None),
        ] {
            lag.compare(position(1, told), position(1, applied), start + MS * at);
            assert_eq!((lag.lacks, oldest(&lag)), (Some(Some(lacks)), age.map(|age| MS * age)), "at {at}");
        }
    }

    #[test]
    fn another_copy_lacks_nobody_knows_what_for_as_long_as_the_one_before() {
        let (mut lag, start) = (Lag::default(), Instant::now());
        lag.compare(position(1, 8), position(1, 5), start);
        lag.compare(Position::NONE, position(1, 5), start + MS * 10);
        lag.compare(position(2, 0), position(1, 5), start + MS * 20);
        lag.compare(position(2, 0), Position::NONE, start + MS * 30);
        assert_eq!((lag.lacks, lag.missing.front()), (Some(None), Some(&(position(1, 8), start))));
        // What was missing of the first came with the second.
        lag.compare(position(2, 4), position(2, 2), start + MS * 40);
        assert_eq!(
            (lag.lacks, lag.missing.front()),
            (Some(Some(2)), Some(&(position(2, 4), start + MS * 40)))
        );
    }

    #[test]
    fn with_more_to_remember_it_is_taken_for_older_than_it_is() {
        let (mut lag, start) = (Lag::default(), Instant::now());
        for n in 1..=1000 {
            lag.compare(position(1, n), position(1, 0), start + MS * n as u32);
        }
        assert_eq!((lag.missing.len(), lag.lacks), (MOST, Some(Some(1000))));
        lag.compare(position(1, 1000), position(1, 999), start + MS * 2000);
        assert_eq!(lag.missing, [(position(1, 1000), start + MS * MOST as u32)]);
    }

    const fn position(session: u64, records: u64) -> Position {
        Position { session, records }
    }
}
