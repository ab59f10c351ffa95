//! Who is active, seen from outside all the time: one thread a router asks its API, so that one that is frozen or dead
//! holds up nothing.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Result;
use lb_daemon::api::types::Status;

use crate::lab::{Lab, api};

/// Time between two questions.
const PAUSE: Duration = Duration::from_millis(20);
/// What is shown of a router that does not answer.
const SILENT: &str = "silent";

/// The roles of both routers over time. Dropping it ends the watch.
#[derive(Debug)]
pub(crate) struct Roles {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    changes: Mutex<Vec<Change>>,
    stop: AtomicBool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Change {
    at: Instant,
    router: usize,
    role: String,
}

impl Roles {
    /// Starts to watch both routers of `lab`.
    pub(crate) fn watch(lab: &Lab) -> Result<Self> {
        let mut roles = Self { shared: Arc::default(), threads: Vec::new() };
        for (router, socket) in lab.routers.iter().map(crate::lab::router::Router::socket).enumerate() {
            let shared = Arc::clone(&roles.shared);
            let watch = move || shared.watch(router, &socket);
            roles.threads.push(thread::Builder::new().name("roles".into()).spawn(watch)?);
        }
        Ok(roles)
    }

    /// Role of a router now.
    pub(crate) fn of(&self, router: usize) -> String {
        role_at(&self.changes(), router, Instant::now())
    }

    /// When `router` first said after `since` that it is active; at once where it was so already.
    pub(crate) fn active_after(&self, router: usize, since: Instant) -> Option<Instant> {
        let changes = self.changes();
        if role_at(&changes, router, since) == "active" {
            return Some(since);
        }
        let mut later = changes.iter().filter(|change| change.router == router && change.at > since);
        later.find(|change| change.role == "active").map(|change| change.at)
    }

    /// How long both said so at once, from `since` until now.
    pub(crate) fn both_active(&self, since: Instant) -> Duration {
        overlap(&self.changes(), since, Instant::now())
    }

    fn changes(&self) -> Vec<Change> {
        self.shared.changes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Roles {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                eprintln!("the watch of a router's role panicked");
            }
        }
    }
}

impl Shared {
    fn watch(&self, router: usize, socket: &Path) {
        let mut last = String::new();
        while !self.stop.load(Ordering::Relaxed) {
            let role =
                api::get::<Status>(socket, "/v1/status").map_or(SILENT.to_owned(), |status| status.role);
            if role != last {
                last.clone_from(&role);
                let change = Change { at: Instant::now(), router, role };
                self.changes.lock().unwrap_or_else(PoisonError::into_inner).push(change);
            }
            thread::sleep(PAUSE);
        }
    }
}

fn role_at(changes: &[Change], router: usize, at: Instant) -> String {
    let before = changes.iter().rev().find(|change| change.router == router && change.at <= at);
    before.map_or(SILENT.to_owned(), |change| change.role.clone())
}

/// Time between `since` and `until` in which two routers were active.
fn overlap(changes: &[Change], since: Instant, until: Instant) -> Duration {
    let mut moments: Vec<Instant> = changes.iter().map(|change| change.at).collect();
    moments.extend([since, until]);
    moments.retain(|moment| (since..=until).contains(moment));
    moments.sort();
    let both = |at| (0..2).all(|router| role_at(changes, router, at) == "active");
    moments.windows(2).filter(|pair| both(pair[0])).map(|pair| pair[1] - pair[0]).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_overlap_is_where_both_are_active() {
        let start = Instant::now();
        let at = |tenths: u64| start + Duration::from_millis(tenths * 100);
        let change = |tenths, router, role: &str| Change { at: at(tenths), router, role: role.to_owned() };
        let changes = [
            change(0, 0, "active"),
            change(1, 1, "standby"),
            change(3, 1, "active"),
            change(5, 0, "standby"),
            change(8, 0, "active"),
        ];
        assert_eq!(overlap(&changes, at(0), at(7)), Duration::from_millis(200));
        assert_eq!(overlap(&changes, at(4), at(7)), Duration::from_millis(100));
        assert_eq!(overlap(&changes, at(5), at(8)), Duration::ZERO);
        assert_eq!(overlap(&changes, at(5), at(9)), Duration::from_millis(100));
        assert_eq!(role_at(&changes, 0, at(6)), "standby");
        assert_eq!(role_at(&changes, 1, at(0)), SILENT);
    }
}
