//! The moments that an engine waits for.

use std::time::{Duration, Instant};

/// The clock-face of an engine.
#[derive(Clone, Debug)]
pub(super) struct Timers {
    /// When the next heartbeat is due.
    pub(super) next_send: Instant,
    /// When a router that leaves gives up waiting.
    pub(super) leave_by: Option<Instant>,
    /// When the last heartbeat was sent.
    last_sent: Option<Instant>,
    /// When the engine was last given the time.
    last_called: Instant,
    /// Until when an active router that was frozen listens.
    listen_until: Option<Instant>,
    /// When an unproven heartbeat was last heard.
    unproven: Option<Instant>,
    /// An unproven heartbeat was heard, and no proof has followed.
    introduction: bool,
}

impl Timers {
    pub(super) const fn new(now: Instant) -> Self {
        Self {
            next_send: now,
            leave_by: None,
            last_sent: None,
            last_called: now,
            listen_until: None,
            unproven: None,
            introduction: false,
        }
    }

    /// Notes the time; how long ago it was noted before.
    pub(super) fn called(&mut self, now: Instant) -> Duration {
        let gap = now.saturating_duration_since(self.last_called);
        self.last_called = self.last_called.max(now);
        gap
    }

    /// When the last heartbeat was sent.
    pub(super) const fn last_sent(&self) -> Option<Instant> {
        self.last_sent
    }

    /// How long ago that was.
    pub(super) fn mute_for(&self, now: Instant) -> Duration {
        self.last_sent.map_or(Duration::ZERO, |sent| now.saturating_duration_since(sent))
    }

    /// A heartbeat has been sent, and the next follows after `pace`.
    pub(super) fn sent(&mut self, now: Instant, pace: Duration) {
        self.last_sent = Some(now);
        self.next_send = now + pace;
    }

    /// The next heartbeat is due now, but for a listener.
    pub(super) fn send_now(&mut self, now: Instant) {
        self.listen_until = None;
        self.next_send = now;
    }

    /// The next heartbeat is due as soon as `pace` after the last allows it: whatever somebody sends here cannot make
    /// this router send faster.
    pub(super) fn hasten(&mut self, now: Instant, pace: Duration) {
        let soon = self.last_sent.map_or(now, |sent| now.max(sent + pace));
        if self.listen_until.is_none_or(|until| until <= now) {
            self.next_send = self.next_send.min(soon);
        }
    }

    /// Nothing is sent until `until`.
    pub(super) const fn listen_until(&mut self, until: Instant) {
        self.listen_until = Some(until);
        self.next_send = until;
    }

    /// Whether this router was frozen and listens.
    pub(super) fn listens(&self, now: Instant) -> bool {
        self.listen_until.is_some_and(|until| now < until)
    }

    /// When a listener is to be called next, if not before: `interval` after the last time.
    pub(super) fn listening(&self, interval: Duration) -> Option<Instant> {
        self.listens(self.last_called).then(|| self.last_called + interval)
    }

    /// An unproven heartbeat was heard.
    pub(super) const fn heard_unproven(&mut self, now: Instant) {
        self.unproven = Some(now);
        self.introduction = true;
    }

    /// The peer has proven that it lives.
    pub(super) const fn proven(&mut self) {
        self.unproven = None;
        self.introduction = false;
    }

    /// Whether an introduction is under way.
    pub(super) const fn introduction(&self) -> bool {
        self.introduction
    }

    /// Whether an unproven heartbeat was heard within `window`.
    pub(super) fn heard_unproven_within(&self, now: Instant, window: Duration) -> bool {
        self.unproven.is_some_and(|at| now.saturating_duration_since(at) < window)
    }
}
