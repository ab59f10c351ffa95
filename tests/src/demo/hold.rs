//! The laboratory stays, for the reader to look around.

use std::{
    io::{IsTerminal, stdin},
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use anyhow::Result;
use nix::sys::termios::{FlushArg, tcflush};

use super::stage::Stage;
use crate::lab::{binaries, wait};

/// Time between two looks whether a signal has come.
const POLL: Duration = Duration::from_millis(100);

/// Says how to look around and waits for Enter, `SIGINT` or `SIGTERM`.
pub(crate) fn hold(stage: &mut Stage) -> Result<()> {
    for line in ways(stage)? {
        stage.screen.say(&line);
    }
    let (entered, enter) = mpsc::channel();
    if stdin().is_terminal() {
        // What was typed while the steps ran was not meant for this question.
        let _ = tcflush(stdin(), FlushArg::TCIFLUSH);
        // Left behind when a signal comes first: it ends with the process.
        thread::spawn(move || stdin().read_line(&mut String::new()).map(|_| entered.send(())));
        stage.screen.say("\nEnter or Ctrl-C takes it down.");
        while matches!(enter.recv_timeout(POLL), Err(RecvTimeoutError::Timeout)) && !wait::interrupted() {}
    } else {
        stage.screen.say("\nSIGINT or SIGTERM takes it down.");
        while !wait::interrupted() {
            thread::sleep(POLL);
        }
    }
    Ok(())
}

/// Commands that work as they stand here.
fn ways(stage: &Stage) -> Result<Vec<String>> {
    let (lab, lbctl) = (&stage.lab, binaries::lbctl()?);
    let mut lines = vec!["\nThe laboratory stays. Look around, as root:".to_owned()];
    for router in &lab.routers {
        lines.push(format!("  {} --socket {} status", lbctl.display(), router.socket().display()));
    }
    let router = &lab.routers[0];
    for command in ["list", "stats", "conns | head", "server n2 drain", "server n2 enable", "failover"] {
        lines.push(format!("  {} --socket {} {command}", lbctl.display(), router.socket().display()));
    }
    for map in find_maps(&router.pins()) {
        lines.push(format!("  bpftool map dump pinned {} | head -40", map.display()));
    }
    let client = lab.client()?.name();
    lines.push(format!("  ip netns exec {client} curl http://192.0.2.10/ http://192.0.2.11/"));
    lines.push(format!("  ip netns exec {client} ip neigh"));
    lines.push(format!("  ip netns exec {} ip address", router.namespace().name()));
    lines.push(format!("  less {}", router.log_file().display()));
    Ok(lines)
}

/// The pinned maps that are worth a look, wherever below `folder` they are.
fn find_maps(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.flatten().map(|entry| entry.path()) {
        if path.is_dir() {
            found.extend(find_maps(&path));
        } else if ["SERVICES", "REALS", "FLOWS"].iter().any(|name| path.ends_with(name)) {
            found.push(path);
        }
    }
    found.sort();
    found
}
