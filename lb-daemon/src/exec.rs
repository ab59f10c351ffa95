//! Runs a command of the operator's: as a user of its own, with an environment of its own, for a bounded time.

use std::{
    io,
    os::fd::OwnedFd,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use humantime::format_duration;
use nix::{
    sys::signal::{Signal, killpg},
    unistd::{Pid, User, geteuid},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::unix::pipe,
    process::{Child, ChildStdin},
    select,
    time::timeout,
};

use crate::config::Command;

/// Where programs are looked for by what the command itself starts.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The most of a command's output that is kept, in bytes.
const OUTPUT_MAX: usize = 512;

/// Why a command was no success.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no such user.
    #[error("there is no user \"{0}\"")]
    NoUser(String),
    /// It could not be started.
    #[error("cannot run {0}: {1}")]
    Start(String, io::Error),
    /// It was still running when its time was over, and has been killed.
    #[error("killed after {}{}", format_duration(*.0), said(.1))]
    TooLong(Duration, String),
    /// It ended, but not with exit code 0.
    #[error("{}{}", ended(*.0), said(.1))]
    Ended(ExitStatus, String),
}

impl Failure {
    /// Whether the command was not run for want of the router's own resources.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let Self::Start(_, error) = self else { return false };
        matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::EAGAIN | libc::ENOMEM))
    }
}

/// Runs `command` with `input` on its standard input. Returns what it printed on standard output and standard error, on one
/// line, cut after 512 bytes. Must be called within a tokio runtime. Dropped, it kills the command.
///
/// # Errors
/// When the command does not end with exit code 0 within its time.
pub async fn run(command: &Command, input: &[u8]) -> Result<String, Failure> {
    let (mut child, mut output) = start(command)?;
    let stdin = child.stdin.take();
    let mut group = Group(child.id());
    let mut kept = Vec::new();
    let ended = timeout(command.timeout, finish(&mut child, stdin, input, &mut output, &mut kept)).await;
    let Ok(ended) = ended else {
        group.kill();
        // Killed, it ends at once.
        let _ = child.wait().await;
        return Err(Failure::TooLong(command.timeout, one_line(&kept)));
    };
    // What it has left running is its own business.
    group.0 = None;
    match ended {
        Err(error) => Err(Failure::Start(words(command), error)),
        Ok(status) if status.success() => Ok(one_line(&kept)),
        Ok(status) => Err(Failure::Ended(status, one_line(&kept))),
    }
}

/// Starts `command`; what it prints comes out of the pipe.
fn start(command: &Command) -> Result<(Child, pipe::Receiver), Failure> {
    let user = User::from_name(&command.user).ok().flatten();
    let user = user.ok_or_else(|| Failure::NoUser(command.user.clone()))?;
    let failed = |error: io::Error| Failure::Start(words(command), error);
    let (reader, writer) = io::pipe().map_err(failed)?;
    let (program, arguments) =
        command.words.split_first().ok_or_else(|| failed(io::ErrorKind::NotFound.into()))?;
    let mut process = tokio::process::Command::new(program);
    process
        .args(arguments)
        .env_clear()
        .envs([("PATH", PATH), ("USER", &user.name), ("LOGNAME", &user.name), ("LANG", "C.UTF-8")])
        .env("HOME", &user.dir)
        .current_dir("/")
        .process_group(0)
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(writer.try_clone().map_err(failed)?)
        .stderr(writer);
    if user.uid != geteuid() {
        // This also drops every supplementary group.
        process.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    let child = process.spawn().map_err(failed)?;
    let output = pipe::Receiver::from_owned_fd(OwnedFd::from(reader)).map_err(failed)?;
    Ok((child, output))
}

/// Feeds the command and takes its output until it ends. What it has started and left running may keep the pipe open: that
/// is not waited for.
async fn finish(
    child: &mut Child,
    stdin: Option<ChildStdin>,
    input: &[u8],
    output: &mut pipe::Receiver,
    kept: &mut Vec<u8>,
) -> io::Result<ExitStatus> {
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A command that does not read is none the worse for it.
            let _ = stdin.write_all(input).await;
        }
    };
    tokio::pin!(feed);
    let mut buffer = [0; 4096];
    let (mut fed, mut open) = (false, true);
    let status = loop {
        select! {
            () = &mut feed, if !fed => fed = true,
            read = output.read(&mut buffer), if open => match read {
                Ok(len @ 1..) => keep(kept, buffer.get(..len).unwrap_or_default()),
                Ok(0) | Err(_) => open = false,
            },
            status = child.wait() => break status?,
        }
    };
    while open && let Ok(len @ 1..) = output.try_read(&mut buffer) {
        keep(kept, buffer.get(..len).unwrap_or_default());
    }
    Ok(status)
}

fn keep(kept: &mut Vec<u8>, more: &[u8]) {
    let room = OUTPUT_MAX - kept.len().min(OUTPUT_MAX);
    kept.extend_from_slice(more.get(..room).unwrap_or(more));
}

/// The process group of a command that runs: itself, and what it has started.
struct Group(Option<u32>);

impl Group {
    fn kill(&mut self) {
        if let Some(leader) = self.0.take().and_then(|id| i32::try_from(id).ok()) {
            // Gone already: fine.
            let _ = killpg(Pid::from_raw(leader), Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

fn words(command: &Command) -> String {
    command.words.join(" ")
}

/// Output as one line for people.
fn one_line(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    text.split(|c: char| c.is_control())
        .filter(|line| !line.trim().is_empty())
        .collect::<Vec<_>>()
        .join(" | ")
}

fn said(output: &str) -> String {
    if output.is_empty() { String::new() } else { format!(": {output}") }
}

fn ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests;
