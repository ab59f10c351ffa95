//! What a daemon takes of the machine.

use std::fs;

use anyhow::{Context as _, Result};

/// Figures of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Vitals {
    /// Memory of its own, in KiB: the maps that it shares with the kernel are not part of it.
    pub(super) memory: u64,
    /// Open files.
    pub(super) files: u64,
    /// Threads.
    pub(super) threads: u64,
}

/// What a daemon may take more than it took at the start. A sender's copy of the flow table comes and goes with the role.
const MORE: Vitals = Vitals { memory: 32 << 10, files: 32, threads: 16 };

impl Vitals {
    /// Those of a process.
    ///
    /// # Errors
    /// When it has ended.
    pub(super) fn of(pid: u32) -> Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))
            .with_context(|| format!("process {pid} has ended"))?;
        let files = fs::read_dir(format!("/proc/{pid}/fd"))?.count() as u64;
        Ok(Self { memory: field(&status, "RssAnon:"), files, threads: field(&status, "Threads:") })
    }

    /// Whether it takes more than one that took `first` may.
    pub(super) const fn has_grown(&self, first: &Self) -> bool {
        self.memory > first.memory + MORE.memory
            || self.files > first.files + MORE.files
            || self.threads > first.threads + MORE.threads
    }
}

impl std::fmt::Display for Vitals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} KiB, {} files, {} threads", self.memory, self.files, self.threads)
    }
}

/// A number of a status file (proc(5)); 0 where it is missing.
fn field(status: &str, name: &str) -> u64 {
    let mut lines = status.lines().filter_map(|line| line.strip_prefix(name));
    lines.next().and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_takes_something() {
        let vitals = Vitals::of(std::process::id()).unwrap();
        assert!(vitals.memory > 0 && vitals.files > 2 && vitals.threads > 0, "{vitals}");
    }

    #[test]
    fn growth_is_what_is_beyond_the_allowance() {
        let first = Vitals { memory: 1000, files: 20, threads: 5 };
        assert!(!Vitals { files: 20 + MORE.files, ..first }.has_grown(&first));
        assert!(Vitals { files: 21 + MORE.files, ..first }.has_grown(&first));
        assert!(Vitals { memory: 1001 + MORE.memory, ..first }.has_grown(&first));
    }
}
