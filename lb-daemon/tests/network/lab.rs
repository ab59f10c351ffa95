//! Network namespaces without names: each belongs to a thread, and goes with it.

use std::{
    process::Command,
    sync::mpsc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    sched::{CloneFlags, unshare},
    unistd::{geteuid, gettid},
};

type Job = Box<dyn FnOnce() + Send>;

/// A network namespace, held by a thread that runs jobs in it.
pub(crate) struct Namespace {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// Identifies the namespace to `ip link … netns`.
    tid: i32,
}

impl Namespace {
    pub(crate) fn new() -> Self {
        let (jobs, queue) = mpsc::channel::<Job>();
        let (ready, tid) = mpsc::channel();
        let thread = thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
            ready.send(gettid().as_raw()).expect("the test waits");
            queue.into_iter().for_each(|job| job());
        });
        Self { jobs: Some(jobs), thread: Some(thread), tid: tid.recv().expect("the thread answers") }
    }

    /// Runs a job in the namespace.
    pub(crate) fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        let (answer, result) = mpsc::channel();
        let job = Box::new(move || drop(answer.send(job())));
        self.jobs.as_ref().expect("not dropped").send(job).expect("the thread lives");
        result.recv().expect("the job has not panicked")
    }

    /// Runs `ip` in the namespace and returns what it prints.
    pub(crate) fn ip(&self, arguments: &str) -> String {
        let arguments = arguments.to_owned();
        self.run(move || ip(&arguments))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        self.jobs.take();
        if let Some(thread) = self.thread.take() {
            // A panic there has been reported there.
            drop(thread.join());
        }
    }
}

/// Runs `test` in a fresh network namespace, with its end `lan` of a veth pair up, and the namespace with the other
/// end, `wire`, likewise up. Skips without root.
pub(crate) fn with_peer<F: Future<Output = ()>>(test: impl FnOnce(Namespace) -> F + Send + 'static) {
    run(tokio::runtime::Builder::new_current_thread(), test);
}

/// The same with tokio's clock paused: waiting costs no time, and jumps from one deadline to the next.
pub(crate) fn with_peer_and_paused_clock<F: Future<Output = ()>>(
    test: impl FnOnce(Namespace) -> F + Send + 'static,
) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.start_paused(true);
    run(runtime, test);
}

fn run<F: Future<Output = ()>>(
    mut runtime: tokio::runtime::Builder,
    test: impl FnOnce(Namespace) -> F + Send + 'static,
) {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: network namespaces need root");
        return;
    }
    let body = move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace");
        let peer = Namespace::new();
        ip("link set lo up");
        ip(&format!("link add lan type veth peer name wire netns {}", peer.tid));
        ip("link set lan up");
        peer.ip("link set wire up");
        wait_for_carrier();
        runtime.enable_all().build().expect("a runtime").block_on(test(peer));
    };
    if let Err(panic) = thread::spawn(body).join() {
        std::panic::resume_unwind(panic);
    }
}

/// Until the kernel has noticed the carrier (net/core/link_watch.c), an interface drops what is sent.
fn wait_for_carrier() {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !ip("link show dev lan").contains("state UP") {
        assert!(Instant::now() < deadline, "no carrier on the veth pair");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Runs `ip` in the network namespace of the calling thread and returns what it prints.
pub(crate) fn ip(arguments: &str) -> String {
    let output = Command::new("ip")
        .args(arguments.split_whitespace())
        .output()
        .expect("these tests need ip (iproute2)");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {arguments}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
