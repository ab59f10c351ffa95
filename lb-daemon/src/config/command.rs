//! Commands of the operator's that the daemon runs.

use std::time::Duration;

/// A command, without a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Path of the program and its arguments; at least one word.
    pub words: Vec<String>,
    /// User that it runs as.
    pub user: String,
    /// Time that it may take.
    pub timeout: Duration,
}

/// Commands that are told what happens; each may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Notify {
    /// Run when this router has become active.
    pub active: Option<Command>,
    /// Run when this router has become standby.
    pub standby: Option<Command>,
    /// Run when this router has got a fault.
    pub fault: Option<Command>,
    /// Run for every event.
    pub event: Option<Command>,
}
