//! A child process in a process group of its own, that never outlives its handle.

use std::{
    os::unix::process::CommandExt,
    process::{Child, Command, ExitStatus},
    time::Duration,
};

use anyhow::{Context, Result};
use nix::{
    sys::signal::{Signal, killpg},
    unistd::Pid,
};

use super::wait::until;

/// A running child. Dropping it kills the whole group.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
}

impl Process {
    /// Starts `command`. A group of its own keeps a terminal's Ctrl-C, which is meant for the demo, away from it.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let child = command.process_group(0).spawn().with_context(|| format!("cannot start {command:?}"))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// The child as the standard library knows it, for its pipes.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends a signal to the whole group.
    ///
    /// # Errors
    /// When the group has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        killpg(self.group(), signal).with_context(|| format!("cannot send {signal} to {}", self.name))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// When it still runs after `timeout`.
    pub fn wait(&mut self, timeout: Duration) -> Result<ExitStatus> {
        let mut status = None;
        let name = self.name.clone();
        until(&format!("{name} to end"), timeout, || {
            status = self.child.try_wait()?;
            Ok(status.is_some())
        })?;
        status.with_context(|| format!("{name} has no exit status"))
    }

    /// Asks it to end by `SIGTERM` and waits for that.
    ///
    /// # Errors
    /// When it does not end within `timeout`.
    pub fn terminate(&mut self, timeout: Duration) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait(timeout)
    }

    /// Kills the group at once. A process that has ended already is no error.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn kill(&mut self) -> Result<()> {
        if self.is_running() {
            self.signal(Signal::SIGKILL)?;
            self.child.wait().with_context(|| format!("cannot wait for {}", self.name))?;
        }
        Ok(())
    }

    fn group(&self) -> Pid {
        // The kernel's process ids are below 2^22 (PID_MAX_LIMIT in include/linux/threads.h).
        Pid::from_raw(self.child.id().cast_signed())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("{error:#}");
        }
    }
}
