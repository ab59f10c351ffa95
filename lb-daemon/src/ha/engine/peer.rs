//! What is known of the peer: what it said last, and when it and each path were heard.

use std::time::{Duration, Instant};

use crate::ha::{Role, heartbeat::Heartbeat};

/// The peer as this router sees it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// What it said last.
    pub said: Option<Heartbeat>,
    /// When that was.
    pub heard: Option<Instant>,
    /// When it was seen to have heard this router last.
    pub(super) heard_us: Option<Instant>,
    /// Start of the silence that is going on: the last heartbeat, or the end of an absence of our own.
    pub(super) silent_from: Instant,
    /// The silence has lasted for `dead_after`, and has been acted on.
    pub(super) silent: bool,
    /// Since when it says without a break that it is active.
    pub(super) active_from: Option<Instant>,
    /// Since when it says without a break that it is not active.
    pub(super) passive_from: Option<Instant>,
    /// Every path.
    pub paths: Vec<Path>,
}

/// One way to the peer.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// Whether heartbeats arrive on it.
    pub alive: bool,
    /// When one arrived last.
    pub heard: Option<Instant>,
    /// Start of the silence that is going on.
    pub(super) silent_from: Instant,
}

impl Peer {
    pub(super) fn new(paths: usize, now: Instant) -> Self {
        let path = Path { alive: false, heard: None, silent_from: now };
        Self {
            said: None,
            heard: None,
            heard_us: None,
            silent_from: now,
            silent: false,
            active_from: None,
            passive_from: None,
            paths: vec![path; paths],
        }
    }

    /// Whether it has been heard within `dead_after`.
    #[must_use]
    pub const fn alive(&self) -> bool {
        self.heard.is_some() && !self.silent
    }

    /// Whether it was seen, within `within`, to hear this router.
    pub(super) fn hears_us(&self, now: Instant, within: Duration) -> bool {
        self.heard_us.is_some_and(|heard| now.saturating_duration_since(heard) < within)
    }

    /// Takes in news of the peer.
    pub(super) fn hear(&mut self, heartbeat: &Heartbeat, now: Instant) {
        self.heard = Some(now);
        self.silent_from = now;
        self.silent = false;
        match heartbeat.role {
            Role::Active => {
                self.active_from.get_or_insert(now);
                self.passive_from = None;
            }
            Role::Starting | Role::Standby => {
                self.passive_from.get_or_insert(now);
                self.active_from = None;
            }
            Role::Leaving => {
                self.active_from = None;
                self.passive_from = None;
            }
        }
        self.said = Some(heartbeat.clone());
    }

    /// Takes in that a heartbeat came over `path`. True when that path was down.
    pub(super) fn hear_path(&mut self, path: usize, now: Instant) -> bool {
        let Some(path) = self.paths.get_mut(path) else { return false };
        path.heard = Some(now);
        path.silent_from = now;
        !std::mem::replace(&mut path.alive, true)
    }

    /// The silence has lasted for long enough.
    pub(super) fn mark_silent(&mut self) {
        self.silent = true;
        self.active_from = None;
        self.passive_from = None;
    }

    /// Marks the paths that have been silent for `dead_after`, and names them.
    pub(super) fn mark_silent_paths(&mut self, now: Instant, dead_after: Duration) -> Vec<usize> {
        let due = |path: &Path| path.alive && now.saturating_duration_since(path.silent_from) >= dead_after;
        let silent = self.paths.iter_mut().enumerate().filter(|(_, path)| due(path));
        silent
            .map(|(index, path)| {
                path.alive = false;
                index
            })
            .collect()
    }

    /// This router was absent until now: nothing it did not hear meanwhile counts as silence.
    pub(super) fn restart_silence(&mut self, now: Instant) {
        self.silent_from = now;
        // Nor is what it said before the absence still so.
        self.active_from = None;
        for path in &mut self.paths {
            path.silent_from = now;
        }
    }

    /// The next moment at which a path turns silent.
    pub(super) fn next_path_deadline(&self, dead_after: Duration) -> Option<Instant> {
        self.paths.iter().filter(|path| path.alive).map(|path| path.silent_from + dead_after).min()
    }
}
