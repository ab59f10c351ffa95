//! The tasks that look: one for each track.

use std::collections::BTreeMap;

use tokio::{
    select,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::{Report, probe};
use crate::{
    config::{Track, TrackProbe},
    health::state::Hysteresis,
    topology::Topology,
};

/// Watches tracks until it is dropped.
#[derive(Debug)]
pub struct Watchers {
    reports: mpsc::Sender<Report>,
    network: watch::Receiver<Topology>,
    tasks: BTreeMap<String, Task>,
}

impl Watchers {
    /// Watches nothing so far. The first finding of each track and every flip goes to `reports`; while that is full, the
    /// tracks wait.
    pub fn new(reports: mpsc::Sender<Report>, network: watch::Receiver<Topology>) -> Self {
        Self { reports, network, tasks: BTreeMap::new() }
    }

    /// Watches these tracks from now on, and no others. A new or changed one is looked at at once, and its first finding
    /// counts; one that is the same goes on undisturbed.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn set(&mut self, tracks: &[Track]) {
        self.tasks.retain(|_, task| tracks.contains(&task.track));
        for track in tracks {
            if !self.tasks.contains_key(&track.name) {
                let task = Task::start(track, self.network.clone(), self.reports.clone());
                self.tasks.insert(track.name.clone(), task);
            }
        }
    }

    /// What the last look at the track of this name found, for people; `None` before the first.
    #[must_use]
    pub fn detail(&self, name: &str) -> Option<String> {
        self.tasks.get(name)?.detail.borrow().clone()
    }
}

/// The task of one track. It ends when this is dropped.
#[derive(Debug)]
struct Task {
    track: Track,
    detail: watch::Receiver<Option<String>>,
    handle: JoinHandle<()>,
}

impl Task {
    fn start(track: &Track, network: watch::Receiver<Topology>, reports: mpsc::Sender<Report>) -> Self {
        let (details, detail) = watch::channel(None);
        let state = Hysteresis::new(track.rise, track.fall);
        let watcher = Watcher { track: track.clone(), network, state, details, reports };
        Self { track: track.clone(), detail, handle: tokio::spawn(watcher.run()) }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.handle.abort();
    }
}

/// What the task of one track holds.
struct Watcher {
    track: Track,
    network: watch::Receiver<Topology>,
    state: Hysteresis,
    details: watch::Sender<Option<String>>,
    reports: mpsc::Sender<Report>,
}

impl Watcher {
    /// Looks until nobody listens any more.
    async fn run(mut self) {
        let mut ticks = interval(self.track.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let follows_network = matches!(self.track.probe, TrackProbe::Link { .. });
        loop {
            select! {
                _ = ticks.tick() => {}
                // A link that goes down is seen at once. The task ends with the daemon.
                Ok(()) = self.network.changed(), if follows_network => {}
            }
            let network = self.network.borrow_and_update().clone();
            let result = probe::run(&self.track.probe, &network).await;
            if self.take(result).await.is_none() {
                return;
            }
        }
    }

    /// Takes one finding, and reports it if it is the first one or a flip; `None` when nobody listens any more.
    async fn take(&mut self, result: Result<String, probe::Failure>) -> Option<()> {
        let (ok, detail) = match result {
            Ok(detail) => (true, detail),
            Err(failure) if failure.is_local() => {
                self.details.send_replace(Some(format!("not looked at: {failure}")));
                return Some(());
            }
            Err(failure) => (false, failure.to_string()),
        };
        self.details.send_replace(Some(detail.clone()));
        match self.state.observe(ok) {
            None => Some(()),
            Some(ok) => self.reports.send(Report { track: self.track.name.clone(), ok, detail }).await.ok(),
        }
    }
}

#[cfg(test)]
mod tests;
