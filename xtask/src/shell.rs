//! Running programs, and what every command needs to know about where it runs.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};

use crate::builder;

/// Folders of administrator programs, which an ordinary user's (or `su`'s) `PATH` often lacks.
const SBIN: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];

/// Capability numbers of `linux/capability.h` without which no XDP program is loaded in a namespace of its own.
const CAP_NET_ADMIN: u32 = 12;
/// See [`CAP_NET_ADMIN`].
const CAP_SYS_ADMIN: u32 = 21;

/// Lets this process end as other commands do when the reader of its output goes, `head` perhaps. Rust's runtime ignores
/// the signal, and then `println!` panics.
pub(crate) fn end_with_the_reader() {
    // SAFETY: the default action is no handler, so none of this program's code runs in a signal's context; and no
    // other thread exists yet.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").components().fold(PathBuf::new(), |mut path, part| {
        match part {
            std::path::Component::ParentDir => drop(path.pop()),
            other => path.push(other),
        }
        path
    })
}

/// The folder that cargo builds into. This program stands in its folder `debug`.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let own = env::current_exe().context("where this program stands is not known")?;
    own.ancestors().nth(2).map(Path::to_path_buf).context("this program does not stand in a target folder")
}

/// `program`, started in the root of the workspace, with the administrator's folders in its `PATH`.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).env("PATH", path());
    command
}

/// The cargo that runs this program, for a command of its own in the root of the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = builder::cargo();
    command.current_dir(root()).env("PATH", path());
    command
}

/// Runs a command to its end; a failure names it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{} does not start", shown(command)))?;
    if !status.success() {
        bail!("{} failed: {status}", shown(command));
    }
    Ok(())
}

/// Runs a command and returns what it printed to its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("{} does not start", shown(command)))?;
    if !output.status.success() {
        let stderr = String::from_utf8_lossy(&output.stderr);
        bail!("{} failed: {}\n{}", shown(command), output.status, stderr.trim_end());
    }
    String::from_utf8(output.stdout).with_context(|| format!("{} printed no UTF-8", shown(command)))
}

/// A command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or(command.get_program());
    let words = std::iter::once(program).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Where a program stands, if it is installed.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    env::split_paths(&path()).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Whether this process is root.
pub(crate) fn is_root() -> bool {
    // The owner of /proc/self is the effective user of this process (proc(5)).
    fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// Whether this process may load XDP programs and make network namespaces. Root in an ordinary container may not.
pub(crate) fn is_privileged() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let capabilities = effective_capabilities(&status);
    [CAP_NET_ADMIN, CAP_SYS_ADMIN].iter().all(|bit| capabilities & (1 << bit) != 0)
}

/// `1m 5s`, `3.2s`.
pub(crate) fn duration(time: Duration) -> String {
    match time.as_secs() {
        secs @ 60.. => format!("{}m {}s", secs / 60, secs % 60),
        _ => format!("{:.1}s", time.as_secs_f64()),
    }
}

fn path() -> OsString {
    let own = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&own).chain(SBIN.map(PathBuf::from));
    env::join_paths(folders).unwrap_or(own)
}

/// The field `CapEff` of `/proc/<pid>/status` (proc(5)); no capability where it is missing.
fn effective_capabilities(status: &str) -> u64 {
    status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))
        .and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_holds_the_workspace() {
        let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[workspace]"));
        assert!(!root().to_string_lossy().contains(".."));
    }

    #[test]
    fn a_failure_names_the_command() {
        let error = run(command("false").arg("--flag")).unwrap_err();
        assert!(error.to_string().starts_with("false --flag failed"), "{error}");
        let error = output(command("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        assert!(error.to_string().ends_with("why"), "{error}");
    }

    #[test]
    fn output_is_what_was_printed() {
        assert_eq!(output(command("echo").arg("word")).unwrap(), "word\n");
    }

    #[test]
    fn programs_are_found_by_name() {
        assert!(find("sh").is_some());
        assert_eq!(find("no-such-program"), None);
    }

    #[test]
    fn capabilities_are_read_from_the_status_file() {
        assert_eq!(
            effective_capabilities("Name:\tx\nCapEff:\t0000000000201000\nCapBnd:\t0\n"),
            1 << 12 | 1 << 21
        );
        assert_eq!(effective_capabilities("Name:\tx\n"), 0);
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(Duration::from_millis(3_240)), "3.2s");
        assert_eq!(duration(Duration::from_secs(65)), "1m 5s");
    }
}
