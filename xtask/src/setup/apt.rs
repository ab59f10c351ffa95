//! Installing Debian packages without asking anything.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};

use crate::shell;

/// `--no-remove`: a machine loses nothing through us; apt then fails, and says which packages exclude each other.
const INSTALL: [&str; 4] = ["install", "--yes", "--no-install-recommends", "--no-remove"];

/// Whether packages can be installed here; the error says why not.
pub(super) fn usable() -> Result<(), String> {
    if shell::find("apt-get").is_none() {
        return Err("something is missing, and this system has no apt to install it with".to_owned());
    }
    if shell::is_root() || sudo_asks_nothing() {
        return Ok(());
    }
    Err("something is missing, and only root (or sudo without a password) can install it".to_owned())
}

/// Reads the package lists and installs.
pub(super) fn install(packages: &[&str]) -> Result<()> {
    stream(apt_get().args(["update", "--quiet"]), |line| line.starts_with("Err:"))?;
    // A thousand lines pass while LLVM is installed. "Setting up" is said once a package.
    stream(apt_get().args(INSTALL).args(packages), |line| line.starts_with("Setting up "))
}

/// The command that installs, as a person would type it.
pub(super) fn shown(packages: &[&str]) -> String {
    format!("apt-get {} {}", INSTALL.join(" "), packages.join(" "))
}

fn sudo_asks_nothing() -> bool {
    shell::find("sudo").is_some() && shell::output(shell::command("sudo").args(["-n", "true"])).is_ok()
}

fn apt_get() -> Command {
    // `env` carries the variable over sudo, which clears the environment.
    let words = ["env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", "apt-get"];
    let mut command = shell::command(if shell::is_root() { "env" } else { "sudo" });
    command.args(if shell::is_root() { &words[1..] } else { &words[..] });
    command
}

/// Runs a command and shows the lines that `telling` picks; the last lines of all of them where it fails.
fn stream(command: &mut Command, telling: impl Fn(&str) -> bool) -> Result<()> {
    const LAST: usize = 20;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} does not start", shell::shown(command)))?;
    let mut said = Vec::new();
    for line in BufReader::new(child.stdout.take().context("no pipe to apt")?).lines() {
        let line = line?;
        if telling(&line) {
            println!("  {line}");
        }
        said.push(line);
    }
    let status = child.wait()?;
    if !status.success() {
        let last = &said[said.len().saturating_sub(LAST)..];
        bail!("{} failed: {status}\n{}", shell::shown(command), last.join("\n"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_what_was_said_last() {
        let error = stream(shell::command("sh").args(["-c", "seq 1 40; exit 100"]), |_| false).unwrap_err();
        let text = error.to_string();
        assert!(text.ends_with("\n39\n40"), "{text}");
        assert!(!text.contains("\n20\n"), "{text}");
    }

    #[test]
    fn success_is_quiet() {
        stream(shell::command("sh").args(["-c", "echo chatter"]), |_| false).unwrap();
    }
}
