//! Tasks that check real sockets on loopback addresses. What is waited for always comes; no time is asserted.

use std::{net::Ipv4Addr, sync::Arc};

use lb_common::{IPPROTO_TCP, ServiceKey};
use tokio::{
    io::AsyncWriteExt,
    net::{TcpListener, TcpSocket},
    sync::Notify,
    time::timeout,
};

use super::*;
use crate::config::{Expect, Probe};

/// After this a test gives up: far more than a busy machine needs.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn the_first_result_is_reported_then_flips_alone() {
    let mut server = Server::start().await;
    let (mut checkers, mut reports) = checkers();
    checkers.set([(server.real, connect(10))].into());
    assert_report(&mut reports, server.real, true, "connected").await;
    server.wait_for_checks(5).await;
    server.stop().await;
    assert_report(&mut reports, server.real, false, "connection refused").await;
    assert_eq!(checkers.details()[&server.real], "connection refused");
    server.listen().await;
    assert_report(&mut reports, server.real, true, "connected").await;
}

#[tokio::test]
async fn a_server_that_is_down_at_first_is_reported() {
    let mut server = Server::start().await;
    server.stop().await;
    let (mut checkers, mut reports) = checkers();
    // The interval is longer than the patience: the first check is immediate.
    checkers.set([(server.real, connect(10 * PATIENCE.as_millis() as u64))].into());
    assert_report(&mut reports, server.real, false, "connection refused").await;
}

#[tokio::test]
async fn a_check_that_is_the_same_goes_on_undisturbed() {
    let mut server = Server::start().await;
    let (mut checkers, mut reports) = checkers();
    for _ in 0..5 {
        checkers.set([(server.real, connect(10))].into());
        server.wait_for_checks(2).await;
    }
    server.stop().await;
    assert_report(&mut reports, server.real, true, "connected").await;
    assert_report(&mut reports, server.real, false, "connection refused").await;
}

#[tokio::test]
async fn a_server_on_its_way_back_is_known_until_it_is_up() {
    let mut server = Server::start().await;
    server.stop().await;
    let (mut checkers, mut reports) = checkers();
    let rise = 1_000_000;
    checkers.set([(server.real, Check { rise, ..connect(10) })].into());
    assert!(!checkers.settling().is_empty(), "nothing is known of it yet");
    assert_report(&mut reports, server.real, false, "connection refused").await;
    assert!(checkers.settling().is_empty());
    let mut turns = checkers.turns();
    server.listen().await;
    timeout(PATIENCE, turns.changed()).await.unwrap().unwrap();
    assert!(!checkers.settling().is_empty());
    checkers.set([(server.real, Check { rise: 2, ..connect(10) })].into());
    assert_report(&mut reports, server.real, true, "connected").await;
    assert!(checkers.settling().is_empty(), "it has ceased before it is said to be up");
}

#[tokio::test]
async fn a_changed_check_keeps_the_health_until_it_contradicts() {
    let server = Server::start().await;
    let (mut checkers, mut reports) = checkers();
    checkers.set([(server.real, connect(10))].into());
    assert_report(&mut reports, server.real, true, "connected").await;
    let expect = |text: &str| Check {
        probe: Probe::SendExpect { send: vec![], expect: Expect::Prefix(text.into()) },
        ..connect(10)
    };
    checkers.set([(server.real, expect("hel"))].into());
    until(|| checkers.details()[&server.real].starts_with("answered as expected")).await;
    // Had the change begun anew, a second report of health would come first.
    checkers.set([(server.real, expect("bye"))].into());
    assert_report(&mut reports, server.real, false, "answered \"hello\"").await;
    assert!(reports.is_empty());
}

#[tokio::test]
async fn a_removed_server_is_not_checked_and_comes_back_as_new() {
    let server = Server::start().await;
    let (mut checkers, mut reports) = checkers();
    checkers.set([(server.real, connect(10))].into());
    assert_report(&mut reports, server.real, true, "connected").await;
    let handle = checkers.tasks[&server.real].handle.abort_handle();
    checkers.set(BTreeMap::new());
    assert_eq!(checkers.details(), BTreeMap::new());
    until(|| handle.is_finished()).await;
    checkers.set([(server.real, connect(10))].into());
    assert_report(&mut reports, server.real, true, "connected").await;
}

#[tokio::test]
async fn two_services_check_one_server_apart() {
    let server = Server::start().await;
    let other = RealId { service: ServiceKey::new(IPPROTO_TCP, [192, 0, 2, 10], 443), ..server.real };
    let (mut checkers, mut reports) = checkers();
    let refused = Check { probe: expect_nothing_of("hello"), ..connect(10) };
    checkers.set([(server.real, connect(10)), (other, refused)].into());
    let mut health = BTreeMap::new();
    for _ in 0..2 {
        let report = timeout(PATIENCE, reports.recv()).await.unwrap().unwrap();
        health.insert(report.real, report.healthy);
    }
    assert_eq!(health, [(server.real, true), (other, false)].into());
}

#[tokio::test]
async fn tasks_end_with_the_checkers_and_with_the_receiver() {
    let server = Server::start().await;
    let (mut checkers, reports) = checkers();
    checkers.set([(server.real, connect(10))].into());
    let handle = checkers.tasks[&server.real].handle.abort_handle();
    drop(reports);
    until(|| handle.is_finished()).await;

    let (mut checkers, _reports) = self::checkers();
    checkers.set([(server.real, connect(10))].into());
    let handle = checkers.tasks[&server.real].handle.abort_handle();
    drop(checkers);
    until(|| handle.is_finished()).await;
}

#[tokio::test]
async fn the_routers_own_trouble_changes_nothing() {
    let (reports, mut received) = mpsc::channel(8);
    let (details, detail) = watch::channel(None);
    let (_check, checks) = watch::channel(connect(10));
    let state = Hysteresis::new(1, 1);
    let (settles, turns) = (watch::Sender::new(true), watch::Sender::new(0));
    let mut checker = Checker { real: real(9), checks, state, details, settles, turns, reports };
    checker.take(Ok("connected".into())).await.unwrap();
    let trouble = || probe::Failure::Connect(std::io::Error::from_raw_os_error(libc::EMFILE));
    checker.take(Err(trouble())).await.unwrap();
    assert_eq!(checker.state.healthy(), Some(true));
    assert_eq!(detail.borrow().as_deref(), Some("not checked: Too many open files (os error 24)"));
    assert!(received.try_recv().unwrap().healthy);
    assert!(received.try_recv().is_err());
}

#[tokio::test(start_paused = true)]
async fn a_server_is_asked_once_in_each_interval_at_its_own_phase() {
    let interval = Duration::from_secs(2);
    let start = Instant::now();
    let mut ticks = ticks(&real(80), interval);
    for round in 0..5 {
        ticks.tick().await;
        let since = start.elapsed();
        let expected = interval * round + phase(&real(80), interval);
        // The timer counts in milliseconds.
        assert!(since >= expected && since <= expected + Duration::from_millis(2), "{since:?} {expected:?}");
    }
}

#[test]
fn phases_spread_over_the_interval() {
    let interval = Duration::from_secs(2);
    let mut quarters = [0; 4];
    for port in 1..=4000 {
        let phase = phase(&real(port), interval);
        assert!(phase < interval);
        quarters[(phase.as_millis() / 500) as usize] += 1;
    }
    assert!(quarters.iter().all(|count| (800..1200).contains(count)), "{quarters:?}");
}

/// A server that says hello to every connection, as long as it listens.
struct Server {
    real: RealId,
    connections: Arc<Notify>,
    accepting: Option<JoinHandle<()>>,
}

impl Server {
    async fn start() -> Self {
        let mut server = Self { real: real(0), connections: Arc::default(), accepting: None };
        server.listen().await;
        server
    }

    /// Listens: on a free port at first, later on the same one.
    async fn listen(&mut self) {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(SocketAddrV4::new(self.real.address, self.real.port).into()).unwrap();
        let listener = socket.listen(64).unwrap();
        self.real.port = listener.local_addr().unwrap().port();
        self.accepting = Some(tokio::spawn(greet(listener, self.connections.clone())));
    }

    /// Refuses connections from now on.
    async fn stop(&mut self) {
        let accepting = self.accepting.take().unwrap();
        accepting.abort();
        let _ = accepting.await;
    }

    /// Waits until it has been asked `count` times more.
    async fn wait_for_checks(&self, count: u32) {
        for _ in 0..count {
            timeout(PATIENCE, self.connections.notified()).await.unwrap();
        }
    }
}

async fn greet(listener: TcpListener, connections: Arc<Notify>) {
    while let Ok((mut stream, _)) = listener.accept().await {
        // A check may be content with the connection.
        let _ = stream.write_all(b"hello").await;
        connections.notify_one();
    }
}

fn checkers() -> (Checkers, mpsc::Receiver<Report>) {
    let (reports, received) = mpsc::channel(64);
    (Checkers::new(reports), received)
}

/// A real server at `port` of an address that only these tests use.
fn real(port: u16) -> RealId {
    let service = ServiceKey::new(IPPROTO_TCP, [192, 0, 2, 10], 80);
    RealId { service, address: Ipv4Addr::new(127, 83, 7, 1), port }
}

fn connect(interval_ms: u64) -> Check {
    let interval = Duration::from_millis(interval_ms);
    Check { probe: Probe::Connect, port: None, interval, timeout: PATIENCE, rise: 2, fall: 2 }
}

fn expect_nothing_of(text: &str) -> Probe {
    Probe::SendExpect { send: vec![], expect: Expect::Prefix(format!("not {text}").into()) }
}

async fn assert_report(reports: &mut mpsc::Receiver<Report>, real: RealId, healthy: bool, detail: &str) {
    let report = timeout(PATIENCE, reports.recv()).await.unwrap().unwrap();
    assert_eq!((report.real, report.healthy), (real, healthy), "{}", report.detail);
    assert!(report.detail.starts_with(detail), "{}", report.detail);
}

async fn until(condition: impl Fn() -> bool) {
    timeout(PATIENCE, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await
    .unwrap();
}
