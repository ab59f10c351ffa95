//! Network namespaces for unit tests.

use std::{process::Command, thread};

use nix::{
    sched::{CloneFlags, unshare},
    unistd::geteuid,
};

/// Runs `test` on this thread.
pub(crate) fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
}

/// Runs `test` on a thread with a network namespace of its own, loopback up, which ends with the thread.
pub(crate) fn in_namespace(test: impl Future<Output = ()> + Send + 'static) {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: a network namespace needs root");
        return;
    }
    let thread = thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).unwrap();
        ip("link set lo up");
        run(test);
    });
    thread.join().expect("the test in the namespace");
}

/// Runs `ip` with these words in the namespace of this thread, and returns what it prints.
pub(crate) fn ip(words: &str) -> String {
    let output = Command::new("ip").args(words.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {words}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
