//! The tasks that check: one for each real server of a service.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{DefaultHasher, Hash, Hasher},
    net::SocketAddrV4,
    time::Duration,
};

use tokio::{
    select,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, Interval, MissedTickBehavior, interval_at},
};

use super::{Report, probe, state::Hysteresis};
use crate::{config::Check, plan::RealId};

/// Checks real servers until it is dropped.
#[derive(Debug)]
pub struct Checkers {
    reports: mpsc::Sender<Report>,
    /// How often a real server has begun or ceased to settle.
    turns: watch::Sender<u64>,
    tasks: BTreeMap<RealId, Task>,
}

impl Checkers {
    /// Checks nothing so far. The first result of each real server and every flip goes to `reports`; while that is
    /// full, checks wait.
    pub fn new(reports: mpsc::Sender<Report>) -> Self {
        Self { reports, turns: watch::Sender::new(0), tasks: BTreeMap::new() }
    }

    /// Checks these real servers from now on, and no others.
    ///
    /// A new one is checked at once, and then at a moment of its own within each interval, so that checks spread. One
    /// whose check is the same goes on undisturbed. One whose check is another keeps its health until the new check
    /// has contradicted it as often as its `rise` or `fall` says.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn set(&mut self, wanted: BTreeMap<RealId, Check>) {
        self.tasks.retain(|real, _| wanted.contains_key(real));
        for (real, check) in wanted {
            match self.tasks.get(&real) {
                Some(task) => task.set(check),
                None => {
                    self.tasks
                        .insert(real, Task::start(real, check, self.reports.clone(), self.turns.clone()));
                }
            }
        }
    }

    /// Real servers that are yet to be found up, perhaps: the first check is not over, or it was down, its last check has
    /// succeeded, and a few more are to follow.
    pub fn settling(&self) -> BTreeSet<RealId> {
        self.tasks.iter().filter(|(_, task)| *task.settling.borrow()).map(|(real, _)| *real).collect()
    }

    /// Changes whenever [`settling`](Self::settling) may have changed by a check.
    pub fn turns(&self) -> watch::Receiver<u64> {
        self.turns.subscribe()
    }

    /// What the last check of each real server said, for people; those without a result are absent.
    pub fn details(&self) -> BTreeMap<RealId, String> {
        let details = self.tasks.iter().map(|(real, task)| (*real, task.detail.borrow().clone()));
        details.filter_map(|(real, detail)| Some((real, detail?))).collect()
    }
}

/// The task of one real server. It ends when this is dropped.
#[derive(Debug)]
struct Task {
    check: watch::Sender<Check>,
    detail: watch::Receiver<Option<String>>,
    settling: watch::Receiver<bool>,
    handle: JoinHandle<()>,
}

impl Task {
    fn start(real: RealId, check: Check, reports: mpsc::Sender<Report>, turns: watch::Sender<u64>) -> Self {
        let state = Hysteresis::new(check.rise, check.fall);
        let (check, checks) = watch::channel(check);
        let (details, detail) = watch::channel(None);
        let (settles, settling) = watch::channel(true);
        let handle = tokio::spawn(Checker { real, checks, state, details, settles, turns, reports }.run());
        Self { check, detail, settling, handle }
    }

    /// Lets the task go on with `check`, if that is another one.
    fn set(&self, check: Check) {
        self.check.send_if_modified(|current| {
            let changed = *current != check;
            *current = check;
            changed
        });
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// What the task of one real server holds. The state has this one owner, so that a changed check cannot lose a flip.
struct Checker {
    real: RealId,
    checks: watch::Receiver<Check>,
    state: Hysteresis,
    details: watch::Sender<Option<String>>,
    settles: watch::Sender<bool>,
    turns: watch::Sender<u64>,
    reports: mpsc::Sender<Report>,
}

impl Checker {
    /// Checks until nobody listens any more.
    async fn run(mut self) {
        loop {
            let check = self.checks.borrow_and_update().clone();
            self.state.restart(check.rise, check.fall);
            if self.run_check(&check).await.is_none() {
                return;
            }
        }
    }

    /// Makes this check again and again until there is another one; `None` when nobody listens any more.
    async fn run_check(&mut self, check: &Check) -> Option<()> {
        let address = SocketAddrV4::new(self.real.address, self.real.port);
        let mut ticks = ticks(&self.real, check.interval);
        let mut at_once = self.state.healthy().is_none();
        loop {
            let result = select! {
                changed = self.checks.changed() => return changed.ok(),
                result = async {
                    if !at_once {
                        ticks.tick().await;
                    }
                    probe::run(check, address).await
                } => result,
            };
            at_once = false;
            self.take(result).await?;
        }
    }

    /// Takes one result, and reports it if it is the first one or a flip; `None` when nobody listens any more.
    async fn take(&mut self, result: Result<String, probe::Failure>) -> Option<()> {
        let (ok, detail) = match result {
            Ok(detail) => (true, detail),
            Err(failure) if failure.is_local() => {
                // The router's own trouble says nothing about the real server.
                self.details.send_replace(Some(format!("not checked: {failure}")));
                self.settles(false);
                return Some(());
            }
            Err(failure) => (false, failure.to_string()),
        };
        self.details.send_replace(Some(detail.clone()));
        let flip = self.state.observe(ok);
        self.settles(self.state.is_rising());
        match flip {
            None => Some(()),
            Some(healthy) => self.reports.send(Report { real: self.real, healthy, detail }).await.ok(),
        }
    }

    /// Notes whether the real server is on its way back; it has been checked.
    fn settles(&self, settling: bool) {
        if self.settles.send_replace(settling) != settling {
            self.turns.send_modify(|turns| *turns += 1);
        }
    }
}

/// Ticks once in every `interval` from now, at the phase of `real`. A tick that comes while a check still runs is
/// skipped.
fn ticks(real: &RealId, interval: Duration) -> Interval {
    let mut ticks = interval_at(Instant::now() + phase(real, interval), interval);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    ticks
}

/// The moment within `interval` at which `real` is checked: any, but always the same one.
fn phase(real: &RealId, interval: Duration) -> Duration {
    let mut hasher = DefaultHasher::new();
    real.hash(&mut hasher);
    // 16 bits of the hash are plenty: 65536 phases.
    interval * (hasher.finish() & 0xffff) as u32 / 0x1_0000
}

#[cfg(test)]
mod tests;
