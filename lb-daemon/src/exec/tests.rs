//! Real, small shell scripts.

use std::time::Instant;

use super::*;

/// Far more than any script takes that ends.
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_command_gets_its_input_and_its_output_is_one_line() {
    let said = run(&sh("read line; echo \"got $line\"; echo and more >&2"), b"a line\n").await.unwrap();
    assert_eq!(said, "got a line | and more");
}

#[tokio::test]
async fn exit_codes_and_signals_are_failures() {
    let failure = async |script: &str| run(&sh(script), b"").await.unwrap_err().to_string();
    assert_eq!(failure("echo no; exit 3").await, "exit code 3: no");
    assert_eq!(failure("exit 1").await, "exit code 1");
    assert_eq!(failure("kill -TERM $$").await, "killed by signal 15");
}

#[tokio::test]
async fn the_environment_is_scrubbed() {
    let said = run(&sh("env | cut -d= -f1 | sort | tr '\\n' ' '; pwd"), b"").await.unwrap();
    let words: Vec<&str> = said.split_whitespace().filter(|word| !matches!(*word, "_" | "|")).collect();
    assert_eq!(words, ["HOME", "LANG", "LOGNAME", "PATH", "PWD", "USER", "/"], "{said}");
}

#[tokio::test]
async fn a_command_runs_as_its_user_without_other_groups() {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: another user needs root");
        return;
    }
    let nobody = Command { user: "nobody".to_owned(), ..sh("id -un; id -G | wc -w; echo $HOME $USER") };
    let home = User::from_name("nobody").unwrap().unwrap().dir;
    assert_eq!(run(&nobody, b"").await.unwrap(), format!("nobody | 1 | {} nobody", home.display()));
}

#[tokio::test]
async fn what_takes_too_long_is_killed_with_all_that_it_started() {
    let mark = tempfile::NamedTempFile::new().unwrap();
    let script = format!("echo started; sh -c 'sleep 60; echo late > {}' & sleep 60", mark.path().display());
    let command = Command { timeout: Duration::from_millis(300), ..sh(&script) };
    let start = Instant::now();
    let failure = run(&command, b"").await.unwrap_err().to_string();
    assert_eq!(failure, "killed after 300ms: started");
    assert!(start.elapsed() < Duration::from_secs(50), "nobody waited for the script's own end");
}

#[tokio::test]
async fn what_it_leaves_running_is_not_waited_for() {
    let start = Instant::now();
    assert_eq!(run(&sh("sleep 50 & echo done"), b"").await.unwrap(), "done");
    assert!(start.elapsed() < Duration::from_secs(40));
}

#[tokio::test]
async fn much_output_is_read_and_cut_and_input_that_nobody_reads_is_dropped() {
    let said = run(&sh("head -c 1000000 /dev/zero | tr '\\0' x"), &vec![b'y'; 1 << 20]).await.unwrap();
    assert_eq!(said, "x".repeat(OUTPUT_MAX));
}

#[tokio::test]
async fn what_cannot_be_run_is_named() {
    let absent = Command { words: vec!["/nonexistent/x".to_owned(), "y".to_owned()], ..sh("") };
    let failure = run(&absent, b"").await.unwrap_err().to_string();
    assert_eq!(failure, "cannot run /nonexistent/x y: No such file or directory (os error 2)");
    let nobody = Command { user: "no-such-user".to_owned(), ..sh("") };
    assert_eq!(run(&nobody, b"").await.unwrap_err().to_string(), "there is no user \"no-such-user\"");
}

/// A shell script, as the user that the test runs as.
fn sh(script: &str) -> Command {
    let user = User::from_uid(geteuid()).unwrap().unwrap().name;
    Command { words: ["/bin/sh", "-c", script].map(str::to_owned).into(), user, timeout: LONG }
}
