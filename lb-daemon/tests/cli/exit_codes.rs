//! Exit codes and error lines.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio};

use lb_daemon::api::server::ApiError;
use nix::unistd::geteuid;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::{
    fake::{Fake, Outcome, Running, command, lbctl},
    fixture,
};

/// `nobody` by custom; any user that is not root would do.
const NOBODY: u32 = 65_534;

#[tokio::test]
async fn a_refusal_is_1() {
    let running = Running::start(Fake::refusing(ApiError::conflict("this router is standby")));
    let outcome = running.lbctl(&["failover"]).await;
    assert_eq!(outcome, failed(1, "lbctl: this router is standby\n"));
}

#[tokio::test]
async fn with_json_the_error_is_an_object_too() {
    let running = Running::start(Fake::refusing(ApiError::not_found("no real server rs9")));
    let outcome = running.lbctl(&["--json", "server", "rs9", "drain"]).await;
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(1), "lbctl: no real server rs9\n"));
    assert_eq!(
        serde_json::from_str::<Value>(&outcome.stdout).unwrap(),
        json!({"error": "no real server rs9"})
    );
}

#[tokio::test]
async fn wrong_arguments_are_2_and_never_reach_the_daemon() {
    let running = Running::start(Fake::default());
    let cases = [
        &[][..],
        &["nonsense"],
        &["status", "extra"],
        &["server", "rs1"],
        &["server", "rs1", "weight"],
        &["server", "rs1", "weight", "65536"],
        &["server", "rs1", "weight", "-1"],
        &["server", "rs1", "weight", "many"],
        &["server", "rs1", "drain", "5"],
        &["server", "rs1", "explode"],
    ];
    for args in cases {
        let outcome = running.lbctl(args).await;
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""), "{args:?}");
        assert!(outcome.stderr.starts_with("lbctl: "), "{args:?}: {}", outcome.stderr);
    }
    assert!(running.commands().is_empty());
}

#[tokio::test]
async fn no_command_is_2_and_shows_all_of_them() {
    let outcome = Outcome::from(Command::new(env!("CARGO_BIN_EXE_lbctl")).output().await.unwrap());
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
    assert!(outcome.stderr.starts_with("Shows and steers lbd, "), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("\n  failover "), "{}", outcome.stderr);
}

#[tokio::test]
async fn no_daemon_is_3() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("lbd.sock");
    let line = format!("lbctl: lbd does not answer on {}: is it running?\n", socket.display());
    assert_eq!(lbctl(&socket, &["status"]).await, failed(3, &line));
}

#[tokio::test]
async fn no_permission_is_4() {
    let running = Running::start(Fake::default());
    let socket = running.socket();
    let mut command = if geteuid().is_root() {
        // Root may do everything, so another user asks, with a copy that he can reach.
        let program = running.directory().join("lbctl");
        install(&program).await;
        set_mode(running.directory(), 0o755);
        let mut command = Command::new(program);
        command.arg("--socket").arg(&socket).arg("status").uid(NOBODY).gid(NOBODY);
        command
    } else {
        set_mode(&socket, 0o000);
        command(&socket, &["status"])
    };
    let outcome = Outcome::from(command.output().await.unwrap());
    let line = format!("lbctl: no permission to use {}: be root or in its group\n", socket.display());
    assert_eq!(outcome, failed(4, &line));
}

#[tokio::test]
async fn a_reader_that_has_seen_enough_is_no_error() {
    let running = Running::start(Fake { connections: fixture::many_connections(), ..Fake::default() });
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let outcome = writing_to(writer, command(&running.socket(), &["conns"])).await;
    assert_eq!(outcome, Outcome { code: Some(0), stdout: String::new(), stderr: String::new() });
}

#[tokio::test]
async fn output_that_cannot_be_written_is_told() {
    let running = Running::start(Fake::default());
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let outcome = writing_to(full, command(&running.socket(), &["status"])).await;
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.starts_with("lbctl: standard output: "), "{}", outcome.stderr);
}

/// Copies `lbctl` by a process of its own: a file that this one had open for writing could be inherited by the children
/// of other tests, and then not be run ("text file busy").
async fn install(program: &Path) {
    let mut install = Command::new("install");
    install.args(["-m", "0755", env!("CARGO_BIN_EXE_lbctl")]).arg(program);
    assert!(install.status().await.unwrap().success());
}

async fn writing_to(stdout: impl Into<Stdio>, mut command: Command) -> Outcome {
    let child = command.stdout(stdout).stderr(Stdio::piped()).spawn().unwrap();
    child.wait_with_output().await.unwrap().into()
}

fn failed(code: i32, stderr: &str) -> Outcome {
    Outcome { code: Some(code), stdout: String::new(), stderr: stderr.to_owned() }
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}
