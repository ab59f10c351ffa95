//! A named network namespace: what runs in it and what is set in it.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::Command,
    thread,
};

use anyhow::{Context, Result, anyhow};
use nix::{
    sched::{CloneFlags, setns},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::run::{feed, run};

/// Where `ip netns` keeps its namespaces.
pub const FOLDER: &str = "/run/netns";

/// A network namespace by its name. Dropping it deletes nothing: the lab does, once all processes have ended.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Creates the namespace, with its loopback up and IPv6 off, so that the lab is quiet.
    ///
    /// # Errors
    /// When it exists already, or without the right to create one.
    pub fn create(name: &str) -> Result<Self> {
        run(Command::new("ip").args(["netns", "add", name]))?;
        let namespace = Self::existing(name);
        namespace.enter(|| {
            for scope in ["all", "default"] {
                set_sysctl(&format!("ipv6.conf.{scope}.disable_ipv6"), "1")?;
            }
            run(Command::new("ip").args(["link", "set", "lo", "up"]))
        })??;
        Ok(namespace)
    }

    /// A namespace that exists already.
    pub fn existing(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// Its name, as `ip netns` shows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The file that stands for it.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(FOLDER).join(&self.name)
    }

    /// Runs `work` on a thread of its own inside the namespace, and waits for it.
    ///
    /// # Errors
    /// When the namespace cannot be entered.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        thread::scope(|scope| {
            let inside = scope.spawn(|| self.move_thread().map(|()| work()));
            inside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Moves the calling thread into the namespace for the rest of its life.
    ///
    /// # Errors
    /// When the namespace is gone, or without the right to enter it.
    pub fn move_thread(&self) -> Result<()> {
        let path = self.path();
        let file = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        setns(file, CloneFlags::CLONE_NEWNET).with_context(|| format!("cannot enter {}", self.name))
    }

    /// A command that will run inside the namespace, in the mount namespace of the caller: `nsenter` becomes the
    /// program without a process between.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg("--").arg(program);
        command
    }

    /// Runs lines of `ip -batch` inside the namespace.
    ///
    /// # Errors
    /// When `ip` refuses one; those before it have happened.
    pub fn ip(&self, lines: &str) -> Result<()> {
        feed(Command::new("ip").args(["-n", &self.name, "-batch", "-"]), lines)
    }

    /// Sets `net.<key>` inside the namespace; the key is written with dots.
    ///
    /// # Errors
    /// When there is no such key, or the kernel refuses the value.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        self.enter(|| set_sysctl(key, value))?
    }

    /// Kills every process that still runs inside the namespace.
    ///
    /// # Errors
    /// When they cannot be listed or one cannot be killed.
    pub fn kill_processes(&self) -> Result<()> {
        for word in run(Command::new("ip").args(["netns", "pids", &self.name]))?.split_whitespace() {
            let pid = word.parse().with_context(|| format!("ip netns pids printed {word}"))?;
            match kill(Pid::from_raw(pid), Signal::SIGKILL) {
                // It has ended meanwhile.
                Ok(()) | Err(nix::Error::ESRCH) => {}
                Err(error) => return Err(anyhow!("cannot kill {pid} in {}: {error}", self.name)),
            }
        }
        Ok(())
    }

    /// Deletes the namespace, its interfaces with it.
    ///
    /// # Errors
    /// When `ip netns` cannot.
    pub fn delete(&self) -> Result<()> {
        run(Command::new("ip").args(["netns", "delete", &self.name])).map(drop)
    }
}

/// Sets `net.<key>` of the namespace that the calling thread is in.
fn set_sysctl(key: &str, value: &str) -> Result<()> {
    // `/proc/sys/net` shows the namespace of the thread that opens the file (net/sysctl_net.c).
    let path = format!("/proc/sys/net/{}", key.replace('.', "/"));
    fs::write(&path, value).with_context(|| format!("cannot write {value} to {path}"))
}
