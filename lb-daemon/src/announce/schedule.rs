//! When to announce: a burst after a takeover and others after it, since one frame may be lost or come before a switch port
//! forwards, and a refresh now and then, for caches that were filled by a router that should not have answered.

use std::time::{Duration, Instant};

use crate::config::Announce;

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
    settings: Announce,
    deadline: Option<Instant>,
    /// Rounds so far.
    sent: usize,
}

impl Schedule {
    /// A burst that begins now.
    pub fn start(now: Instant, settings: Announce) -> Self {
        Self { settings, deadline: Some(now), sent: 0 }
    }

    /// When to call [`poll`](Self::poll) next; `None`: there is nothing left to announce.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Whether to announce now, where that `may` be done.
    pub fn poll(&mut self, now: Instant, may: bool) -> bool {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return false;
        }
        if !may {
            self.deadline = Some(now + RETRY);
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
        let mut schedule = Schedule::start(start, settings);
        step(&mut schedule);
        step(&mut schedule);
        assert_eq!(schedule.next_deadline(), None);
        assert!(!schedule.poll(start + Duration::from_secs(3600), true));
    }

    #[test]
    fn nothing_before_the_deadline() {
        let start = Instant::now();
        let mut schedule = Schedule::start(start, Announce::default());
        assert!(schedule.poll(start, true));
        assert!(!schedule.poll(start, true));
        assert!(!schedule.poll(start + Duration::from_millis(199), true));
        assert_eq!(schedule.next_deadline(), Some(start + Duration::from_millis(200)));
        assert!(schedule.poll(start + Duration::from_millis(200), true));
    }

    #[test]
    fn a_late_round_moves_the_rest() {
        let start = Instant::now();
        let mut schedule = Schedule::start(start, Announce::default());
        let late = start + Duration::from_millis(500);
        assert!(schedule.poll(late, true));
        assert!(!schedule.poll(late, true));
        assert_eq!(schedule.next_deadline(), Some(late + Duration::from_millis(200)));
    }

    #[test]
    fn a_round_waits_until_it_is_allowed_and_none_is_left_out() {
        let start = Instant::now();
        let mut schedule = Schedule::start(start, Announce::default());
        let woken = start + Duration::from_secs(10);
        assert!(!schedule.poll(woken, false));
        assert_eq!(schedule.next_deadline(), Some(woken + RETRY));
        assert!(schedule.poll(woken + RETRY, true));
        assert_eq!(schedule.next_deadline(), Some(woken + RETRY + Duration::from_millis(200)));
    }

    /// Milliseconds from the start to each of the first rounds.
    fn rounds_of(settings: Announce, count: usize) -> Vec<u128> {
        let start = Instant::now();
        let mut schedule = Schedule::start(start, settings);
        (0..count).map(|_| step(&mut schedule).duration_since(start).as_millis()).collect()
    }

    /// Polls at the deadline and returns it.
    fn step(schedule: &mut Schedule) -> Instant {
        let deadline = schedule.next_deadline().unwrap();
        assert!(schedule.poll(deadline, true));
        deadline
    }
}
