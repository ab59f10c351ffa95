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
