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

/// A round this late was missed because the process stood still, frozen or with the whole host. Much longer than a busy
/// machine delays a timer.
const FROZEN: Duration = Duration::from_millis(500);

/// The engine: told the time, it says whether to announce.
///
/// A pause counts from the round before it. A late round therefore moves the rest and none is left out, nor do two
/// ever follow each other at once.
///
/// A process that stood still may no longer be active, and its peer may have announced the addresses. So the round that
/// it wakes up in waits for `settle`, within which the pair decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Schedule {
    deadline: Instant,
    sent: usize,
    settle: Duration,
}

impl Schedule {
    /// A burst that begins now. `settle`: what the pair needs to decide after this process stood still.
    pub fn start(now: Instant, settle: Duration) -> Self {
        Self { deadline: now, sent: 0, settle }
    }

    /// When to call [`poll`](Self::poll) next.
    pub fn next_deadline(&self) -> Instant {
        self.deadline
    }

    /// Whether to announce now.
    pub fn poll(&mut self, now: Instant) -> bool {
        if now < self.deadline {
            return false;
        }
        if now.saturating_duration_since(self.deadline) > FROZEN && !self.settle.is_zero() {
            self.deadline = now + self.settle;
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

    const SETTLE: Duration = Duration::from_millis(600);

    #[test]
    fn a_burst_and_then_refreshes() {
        let start = Instant::now();
        let mut schedule = Schedule::start(start, SETTLE);
        let rounds: Vec<u128> =
            (0..8).map(|_| step(&mut schedule).duration_since(start).as_millis()).collect();
        assert_eq!(rounds, [0, 100, 500, 1000, 2000, 4000, 64_000, 124_000]);
    }

    #[test]
    fn nothing_before_the_deadline() {
        let start = Instant::now();
        let mut schedule = Schedule::start(start, SETTLE);
        assert!(schedule.poll(start));
        assert!(!schedule.poll(start));
        assert!(!schedule.poll(start + Duration::from_millis(99)));
        assert_eq!(schedule.next_deadline(), start + Duration::from_millis(100));
        assert!(schedule.poll(start + Duration::from_millis(100)));
    }

    #[test]
    fn a_late_round_moves_the_rest() {
        let start = Instant::now();
        let mut schedule = Schedule::start(start, SETTLE);
        let late = start + FROZEN;
        assert!(schedule.poll(late));
        assert!(!schedule.poll(late));
        assert_eq!(schedule.next_deadline(), late + Duration::from_millis(100));
    }

    #[test]
    fn a_round_after_a_freeze_waits_until_the_pair_has_decided() {
        let start = Instant::now();
        let mut schedule = Schedule::start(start, SETTLE);
        let woken = start + Duration::from_secs(10);
        assert!(!schedule.poll(woken));
        assert_eq!(schedule.next_deadline(), woken + SETTLE);
        assert!(schedule.poll(woken + SETTLE));
    }

    #[test]
    fn a_router_without_a_peer_has_nothing_to_wait_for() {
        let start = Instant::now();
        let mut schedule = Schedule::start(start, Duration::ZERO);
        assert!(schedule.poll(start + Duration::from_secs(10)));
    }

    /// Polls at the deadline and returns it.
    fn step(schedule: &mut Schedule) -> Instant {
        let deadline = schedule.next_deadline();
        assert!(schedule.poll(deadline));
        deadline
    }
}
