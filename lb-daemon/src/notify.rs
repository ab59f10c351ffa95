//! Tells commands of the operator's what happens to this router. Nobody waits for them: a takeover least of all.
//!
//! There are two lanes, each with one command at a time and in the order of the events: one for the commands that stand for a
//! state, so that the last one to run stands for the last state, and one for the command that hears of everything.

use std::net::Ipv4Addr;

use serde::Serialize;
use tokio::{
    sync::mpsc::{self, error::TrySendError},
    task::JoinHandle,
};
use tracing::{info, warn};

use crate::{
    config::{Command, Notify},
    exec,
};

/// Commands that may wait in a lane. More of them are for a router in such trouble that the newest are of no use either.
const WAITING: usize = 32;

/// Something that has happened, as a command reads it: one JSON object on its standard input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// What.
    pub event: Kind,
    /// Name of this router.
    pub router: String,
    /// The group that it is about, where there are groups and it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Its role now: `"active"`, `"standby"`, `"starting"` or `"leaving"`; `"mixed"` where its groups have different ones.
    pub role: String,
    /// Its role before, where that has changed.
    pub previous_role: Option<String>,
    /// Why, one sentence.
    pub reason: String,
    /// When, as RFC 3339 has it, in UTC.
    pub time: String,
    /// The other router; absent for one that stands alone.
    pub peer: Option<Peer>,
    /// Who claims which address; only where that is what has happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conflict: Option<Conflict>,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The role has changed.
    Role,
    /// This router has got a fault.
    Fault,
    /// It has none any more.
    Recovered,
    /// Somebody else claims an address that is not his.
    Conflict,
    /// He does so no more.
    ConflictOver,
    /// The operator holds this router in a role, or has released it.
    Maintenance,
}

/// The other router as this one sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Peer {
    /// Its name, once heard.
    pub name: Option<String>,
    /// Its role as it says, once heard.
    pub role: Option<String>,
    /// Whether it is heard.
    pub alive: bool,
}

/// Somebody else claims an address that is not his.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// The address.
    pub address: Ipv4Addr,
    /// Interface that it was heard on.
    pub interface: String,
    /// Whoever claims it.
    pub mac: String,
    /// Who that is: `"a stranger"`, `"the peer"` or `"real server …"`.
    pub claimed_by: String,
}

impl Event {
    /// The command that stands for what has happened, if `commands` has one.
    fn command<'a>(&self, commands: &'a Notify) -> Option<&'a Command> {
        match (self.event, self.role.as_str()) {
            (Kind::Role, "active") => commands.active.as_ref(),
            (Kind::Role, "standby") => commands.standby.as_ref(),
            (Kind::Fault, _) => commands.fault.as_ref(),
            (Kind::Role | Kind::Recovered | Kind::Maintenance | Kind::Conflict | Kind::ConflictOver, _) => {
                None
            }
        }
    }
}

/// The lanes. Dropped, it kills what runs.
#[derive(Debug)]
pub struct Notifier {
    states: Lane,
    events: Lane,
}

impl Notifier {
    /// A notifier with nothing to do.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn start() -> Self {
        Self { states: Lane::start(), events: Lane::start() }
    }

    /// Has the `commands` told of `event`, each when those before it have ended. Returns at once.
    pub fn tell(&self, event: &Event, commands: &Notify) {
        let Ok(input) = serde_json::to_vec(event) else { return };
        for (lane, command) in
            [(&self.states, event.command(commands)), (&self.events, commands.event.as_ref())]
        {
            if let Some(command) = command {
                lane.add(Job { command: command.clone(), input: input.clone() });
            }
        }
    }

    /// Waits until everything that was told has been heard.
    pub async fn finish(self) {
        for lane in [self.states, self.events] {
            lane.finish().await;
        }
    }
}

/// A command that is due.
#[derive(Debug)]
struct Job {
    command: Command,
    input: Vec<u8>,
}

/// Commands one after the other.
#[derive(Debug)]
struct Lane {
    jobs: mpsc::Sender<Job>,
    task: Running,
}

impl Lane {
    fn start() -> Self {
        let (jobs, queue) = mpsc::channel(WAITING);
        Self { jobs, task: Running(tokio::spawn(run(queue))) }
    }

    fn add(&self, job: Job) {
        if let Err(TrySendError::Full(job) | TrySendError::Closed(job)) = self.jobs.try_send(job) {
            warn!("{} is not run: {WAITING} commands are waiting already", job.command.words.join(" "));
        }
    }

    async fn finish(self) {
        let Self { jobs, mut task } = self;
        drop(jobs);
        // It has ended, or panicked, and then there is nothing to wait for.
        let _ = (&mut task.0).await;
    }
}

/// The task of a lane. It ends when this is dropped, and the command that it runs is killed.
#[derive(Debug)]
struct Running(JoinHandle<()>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn run(mut queue: mpsc::Receiver<Job>) {
    while let Some(Job { command, input }) = queue.recv().await {
        let words = command.words.join(" ");
        match exec::run(&command, &input).await {
            Ok(said) if said.is_empty() => info!("{words}: exit code 0"),
            Ok(said) => info!("{words}: exit code 0: {said}"),
            Err(failure) => warn!("{words}: {failure}"),
        }
    }
}

#[cfg(test)]
mod tests;
