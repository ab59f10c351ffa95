//! When to announce: a burst after a takeover and others after it, since one frame may be lost or come before a switch port
//! forwards, and a refresh now and then, for caches that were filled by a router that should not have answered.

use std::time::{Duration, Instant};

use crate::config::Announce;

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
    settings: Announce,
    deadline: Option<Instant>,
    /// Rounds so far.
    sent: usize,
    settle: Duration,
}

impl Schedule {
    /// A burst that begins now. `settle`: what the pair needs to decide after this process stood still.
    pub fn start(now: Instant, settings: Announce, settle: Duration) -> Self {
        Self { settings, deadline: Some(now), sent: 0, settle }
    }

    /// When to call [`poll`](Self::poll) next; `None`: there is nothing left to announce.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether to announce now.
    pub fn poll(&mut self, now: Instant) -> bool {
        let Some(deadline) = self.deadline.filter(|deadline| now >= *deadline) else { return false };
        if now.saturating_duration_since(deadline) > FROZEN && !self.settle.is_zero() {
            self.deadline = Some(now + self.settle);
            return false;
        }
        self.sent = self.sent.saturating_add(1);
        self.deadline = self.pause().map(|pause| now + pause);
        true
    }

    /// Time from the round that was sent last to the next.
    fn pause(&self) -> Option<Duration> {
        let Announce { burst, spacing, repeats, delay, refresh, refresh_burst, .. } = self.settings;
        let burst = usize::from(burst);
        let bursts = burst * (usize::from(repeats) + 1);
        let ends = |sent: usize, burst: usize| sent.checked_rem(burst).is_none_or(|rest| rest == 0);
        match self.sent.checked_sub(bursts) {
            None if ends(self.sent, burst) => Some(delay),
            Some(refreshes) if ends(refreshes, usize::from(refresh_burst)) => refresh,
            None | Some(_) => Some(spacing),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_millis(600);

    #[test]
    fn bursts_and_then_refreshes() {
        let rounds = [0, 200, 400, 2400, 2600, 2800, 4800, 5000, 5200, 7200, 7400, 7600, 67_600, 127_600];
        assert_eq!(rounds_of(Announce::default(), 14), rounds);
    }

    #[test]
    fn a_refresh_may_be_a_burst_too() {
        let settings = Announce { burst: 1, repeats: 1, refresh_burst: 2, ..Announce::default() };
        assert_eq!(rounds_of(settings, 6), [0, 2000, 62_000, 62_200, 122_200, 122_400]);
    }

    #[test]
    fn without_refreshes_it_ends_with_the_last_burst() {
        let settings = Announce { burst: 2, repeats: 0, refresh: None, ..Announce::default() };
        let start = Instant::now();
        let mut schedule = Schedule::start(start, settings, SETTLE);
        step(&mut schedule);
        step(&mut schedule);
        assert_eq!(schedule.next_deadline(), None);
        assert!(!schedule.poll(start + Duration::from_secs(3600)));
    }

    #[test]
    fn nothing_before_the_deadline() {
        let start = Instant::now();
        let mut schedule = Schedule::start(start, Announce::default(), SETTLE);
        assert!(schedule.poll(start));
        assert!(!schedule.poll(start));
        assert!(!schedule.poll(start + Duration::from_millis(199)));
        assert_eq!(schedule.next_deadline(), Some(start + Duration::from_millis(200)));
        assert!(schedule.poll(start + Duration::from_millis(200)));
    }

    #[test]
    fn a_late_round_moves_the_rest() {
        let start = Instant::now();
        let mut schedule = Schedule::start(start, Announce::default(), SETTLE);
        let late = start + FROZEN;
        assert!(schedule.poll(late));
        assert!(!schedule.poll(late));
        assert_eq!(schedule.next_deadline(), Some(late + Duration::from_millis(200)));
    }

    #[test]
    fn a_round_after_a_freeze_waits_until_the_pair_has_decided() {
        let start = Instant::now();
        let mut schedule = Schedule::start(start, Announce::default(), SETTLE);
        let woken = start + Duration::from_secs(10);
        assert!(!schedule.poll(woken));
        assert_eq!(schedule.next_deadline(), Some(woken + SETTLE));
        assert!(schedule.poll(woken + SETTLE));
    }

    #[test]
    fn a_router_without_a_peer_has_nothing_to_wait_for() {
        let start = Instant::now();
        let mut schedule = Schedule::start(start, Announce::default(), Duration::ZERO);
        assert!(schedule.poll(start + Duration::from_secs(10)));
    }

    /// Milliseconds from the start to each of the first rounds.
    fn rounds_of(settings: Announce, count: usize) -> Vec<u128> {
        let start = Instant::now();
        let mut schedule = Schedule::start(start, settings, SETTLE);
        (0..count).map(|_| step(&mut schedule).duration_since(start).as_millis()).collect()
    }

    /// Polls at the deadline and returns it.
    fn step(schedule: &mut Schedule) -> Instant {
        let deadline = schedule.next_deadline().unwrap();
        assert!(schedule.poll(deadline));
        deadline
    }
}
