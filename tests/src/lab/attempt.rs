//! A start of `lbd` that is expected to be refused, and what it must leave as it was.

use std::{fs, os::unix::fs::MetadataExt, path::Path, process::Command, process::Output, process::Stdio};

use anyhow::{Context, Result};

use super::{binaries, router::Router, run::run};

/// Seconds after which a daemon that was not refused is stopped.
const LIMIT: &str = "20";

/// How a program has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Exit code; 124 where the program had to be stopped, `None` where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self { code: output.status.code(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
    }
}

/// Runs `lbd` on the configuration file of `router`, beside the one that may run there, until it ends. `wrapper` is a
/// program with arguments that becomes `lbd`, such as `setpriv`; none where it is empty. `arguments` follow those
/// that name the file.
///
/// # Errors
/// When it cannot be started.
pub fn attempt(router: &Router, wrapper: &[&str], arguments: &[&str]) -> Result<Ended> {
    let lbd = reachable(router, &binaries::lbd()?)?;
    let mut command = router.namespace().command("timeout");
    command.arg(LIMIT).args(wrapper).arg(lbd).arg("--config").arg(router.config_file()).args(arguments);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    Ok(output.into())
}

/// Runs `lbctl` against `router`, as another user where `wrapper` says so.
///
/// # Errors
/// When it cannot be started.
pub fn lbctl(router: &Router, wrapper: &[&str], arguments: &[&str]) -> Result<Ended> {
    let lbctl = reachable(router, &binaries::lbctl()?)?;
    let mut command = router.namespace().command("timeout");
    command.arg(LIMIT).args(wrapper).arg(lbctl).arg("--socket").arg(router.socket()).args(arguments);
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    Ok(output.into())
}

/// Everything of `router` that a refused start must leave alone, as text: links with their programs, addresses, and the
/// pins; also the socket and the time at which it was made.
///
/// # Errors
/// When something of it cannot be read.
pub fn picture(router: &Router) -> Result<String> {
    let name = router.namespace().name();
    let links = run(Command::new("ip").args(["-n", name, "-details", "-oneline", "link"]))?;
    let addresses = run(Command::new("ip").args(["-n", name, "-oneline", "address"]))?;
    let mut files = Vec::new();
    list(&router.pins(), &mut files)?;
    files.extend(fs::metadata(router.socket()).map(|socket| format!("socket {}", socket.ino())).ok());
    files.sort();
    Ok(format!("{links}{addresses}{}", files.join("\n")))
}

/// Every file below `folder` with its inode, which a pin that was replaced would not have.
fn list(folder: &Path, files: &mut Vec<String>) -> Result<()> {
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        files.push(format!("{} {}", entry.path().display(), entry.metadata()?.ino()));
        if entry.file_type()?.is_dir() {
            list(&entry.path(), files)?;
        }
    }
    Ok(())
}

/// A copy of `program` that every user can run: the folder it was built in may be closed to others. It is written by a
/// process of its own, for a file that this one has open for writing could be inherited by a child of another thread,
/// and then not be run ("text file busy").
fn reachable(router: &Router, program: &Path) -> Result<std::path::PathBuf> {
    let folder = router.pins().parent().context("pins are in the router's folder")?.join("bin");
    let copy = folder.join(program.file_name().context("a program has a name")?);
    if !copy.exists() {
        run(Command::new("install").args(["-D", "-m", "0755"]).arg(program).arg(&copy))?;
    }
    Ok(copy)
}
