//! Third parties that tell a router whose peer is silent whether it is itself cut off.

use std::time::{Duration, Instant};

/// What is known of the witnesses.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    /// When the question was asked that was answered last.
    answered: Option<Instant>,
    /// Start of the silence that is going on: the last answer, or the end of an absence of our own.
    silent_from: Instant,
    /// Only what is asked from then on tells whether this router may be active without its peer.
    waits_from: Instant,
}

impl Witness {
    pub(super) const fn new(now: Instant) -> Self {
        Self { answered: None, silent_from: now, waits_from: now }
    }

    /// A witness has answered what it was `asked` then.
    pub(super) fn hear(&mut self, asked: Instant) {
        self.answered = self.answered.max(Some(asked));
        self.silent_from = self.silent_from.max(asked);
    }

    /// This router was absent until now, or has begun to ask: what it did not hear meanwhile does not count as silence.
    pub(super) const fn restart_silence(&mut self, now: Instant) {
        self.silent_from = now;
        self.waits_from = now;
    }

    /// What was answered so far says nothing of what is the case from now on.
    pub(super) const fn wait(&mut self, now: Instant) {
        self.waits_from = now;
    }

    /// Whether there is an answer since the [wait](Self::wait) began.
    pub(super) fn has_answered(&self) -> bool {
        self.answered.is_some_and(|asked| asked >= self.waits_from)
    }

    /// When the question was asked that was answered last.
    pub(super) const fn answered(&self) -> Option<Instant> {
        self.answered
    }

    /// When the wait will have lasted for `time`.
    pub(super) fn waited_by(&self, time: Duration) -> Instant {
        self.waits_from + time
    }

    /// When the silence will have lasted for `dead_after`.
    pub(super) fn silent_by(&self, dead_after: Duration) -> Instant {
        self.silent_from + dead_after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_counts_from_its_question() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut witness = Witness::new(start);
        assert!(!witness.has_answered());
        witness.hear(start + second * 3);
        // Overtaken on the way.
        witness.hear(start + second);
        assert!(witness.has_answered());
        witness.wait(start + second * 4);
        assert!(!witness.has_answered());
        assert_eq!(witness.waited_by(second), start + second * 5);
        assert_eq!(witness.silent_by(second), start + second * 4);
        witness.restart_silence(start + second * 9);
        assert_eq!(witness.silent_by(second), start + second * 10);
    }
}
