//! When to announce: a burst after a takeover, since one frame may be lost or come before a switch port forwards, and
//! a refresh now and then, for caches that were filled by a router that should not have answered.

use std::time::{Duration, Instant};

/// Pauses within the burst: it sends at 0 ms, 100 ms, 500 ms, 1 s, 2 s and 4 s.
const BURST: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_millis(400),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];

/// Pause between refreshes after the burst.
const REFRESH: Duration = Duration::from_secs(60);

/// Pause before a round is tried again that was not allowed.
const RETRY: Duration = Duration::from_millis(50);

/// The engine: told the time, it says whether to announce.
///
/// A pause counts from the round before it. A late round therefore moves the rest and none is left out, nor do two
/// ever follow each other at once.
///
/// A process that stood still may no longer be active, and its peer may have announced the addresses. So a round is made only
/// while this router may answer for them, and otherwise waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    deadline: Instant,
    sent: usize,
}

impl Schedule {
    /// A burst that begins now.
    pub fn start(now: Instant) -> Self {
        Self { deadline: now, sent: 0 }
    }

    /// When to call [`poll`](Self::poll) next.
    pub fn next_deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether to announce now, where that `may` be done.
    pub fn poll(&mut self, now: Instant, may: bool) -> bool {
        if now < self.deadline {
            return false;
        }
        if !may {
            self.deadline = now + RETRY;
            return false;
        }
        self.deadline = now + BURST.get(self.sent).copied().unwrap_or(REFRESH);
        self.sent = self.sent.saturating_add(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_and_then_refreshes() {
        let start = Instant::now();
        let mut schedule = Schedule::start(start);
        let rounds: Vec<u128> =
            (0..8).map(|_| step(&mut schedule).duration_since(start).as_millis()).collect();
        assert_eq!(rounds, [0, 100, 500, 1000, 2000, 4000, 64_000, 124_000]);
    }

    #[test]
    fn nothing_before_the_deadline() {
        let start = Instant::now();
        let mut schedule = Schedule::start(start);
        assert!(schedule.poll(start, true));
        assert!(!schedule.poll(start, true));
        assert!(!schedule.poll(start + Duration::from_millis(99), true));
        assert_eq!(schedule.next_deadline(), start + Duration::from_millis(100));
        assert!(schedule.poll(start + Duration::from_millis(100), true));
    }

    #[test]
    fn a_late_round_moves_the_rest() {
        let start = Instant::now();
        let mut schedule = Schedule::start(start);
        let late = start + Duration::from_millis(500);
        assert!(schedule.poll(late, true));
        assert!(!schedule.poll(late, true));
        assert_eq!(schedule.next_deadline(), late + Duration::from_millis(100));
    }

    #[test]
    fn a_round_waits_until_it_is_allowed_and_none_is_left_out() {
        let start = Instant::now();
        let mut schedule = Schedule::start(start);
        let woken = start + Duration::from_secs(10);
        assert!(!schedule.poll(woken, false));
        assert_eq!(schedule.next_deadline(), woken + RETRY);
        assert!(schedule.poll(woken + RETRY, true));
        assert_eq!(schedule.next_deadline(), woken + RETRY + Duration::from_millis(100));
    }

    /// Polls at the deadline and returns it.
    fn step(schedule: &mut Schedule) -> Instant {
        let deadline = schedule.next_deadline();
        assert!(schedule.poll(deadline, true));
        deadline
    }
}
