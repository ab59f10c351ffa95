//! Real sockets, on the loopback of a network namespace of each test's own.

mod groups;
mod heartbeat;
mod paths;

use std::{net::SocketAddrV4, time::Instant};

use lb_common::{
    ConnState::{Established, FinWait},
    Scheduler, ServiceKey,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
    time::{sleep, timeout},
};

use super::*;
use crate::{
    config::{Failback, HeartbeatPath, Key, Keys, Peer},
    datapath::{Datapath as _, Op, memory::MemoryDatapath},
    ha::heartbeat::Position,
    namespace::{in_namespace, ip, run},
    sync::tests::fixture::{Table, client, server},
    tables::ServiceTable,
};

const ALPHA: [u8; 4] = [127, 0, 0, 1];
const BETA: [u8; 4] = [127, 0, 0, 2];
const PORT: u16 = 540;
const RR: ServiceKey = ServiceKey::new(6, [192, 0, 2, 1], 80);
const WRR: ServiceKey = ServiceKey::new(6, [192, 0, 2, 1], 81);
const SH: ServiceKey = ServiceKey::new(6, [192, 0, 2, 1], 82);
/// Far more than any step takes: a test that waits this long has failed.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_router_without_a_peer_or_that_copies_nothing_is_in_sync() {
    run(async {
        let off = ConnectionSync { enabled: false, ..settings() };
        for peer in [None, Some(Peer { sync: off, ..peer(ALPHA, BETA, b"key") })] {
            let (_role, role) = watch::channel(state(Role::Standby));
            let (reached, positions) = watch::channel(Positions::default());
            let handle = bind(peer.as_ref())
                .unwrap()
                .start(
                    Arc::new(Table::new(4)),
                    schedules(0),
                    role,
                    watch::channel(Segments::default()).1,
                    reached,
                )
                .unwrap();
            assert!(*handle.in_sync.borrow());
            assert_eq!(*positions.borrow(), Positions { told: None, applied: None });
            assert_eq!((handle.status().state, handle.warnings()), ("off".to_owned(), vec![]));
        }
    });
}

#[test]
fn the_standby_gets_every_connection_and_keeps_them_when_it_takes_over() {
    in_namespace(async {
        let (alpha, beta) = (table(64), table(33));
        for number in 0..50 {
            alpha.open(client(number), server(number % 3), Established);
        }
        let mut first = start(&alpha, ALPHA, BETA, Role::Active);
        let second = start(&beta, BETA, ALPHA, Role::Standby);
        becomes("beta has everything", || beta.flows() == alpha.flows()).await;
        becomes("beta is in sync", || *second.handle.in_sync.borrow()).await;
        becomes("alpha knows", || first.handle.status().in_sync).await;
        assert_eq!(second.handle.status().state, "receiving");
        becomes("both say so", || second.applied().has(&first.told())).await;
        assert_eq!((first.handle.warnings(), second.handle.warnings()), (vec![], vec![]));

        alpha.change(client(3), FinWait);
        becomes("a change is told", || beta.state(client(3)) == Some(FinWait)).await;
        assert!(second.handle.status().applied >= 51);

        // Alpha is lost; beta goes on with what it has, and tells alpha of it when that is back.
        drop(first);
        second.role.send_replace(state(Role::Active));
        becomes("beta is active", || second.handle.status().state == "alone").await;
        assert_eq!(beta.flows().len(), 50);
        assert!(*second.handle.in_sync.borrow());
        beta.open(client(99), server(0), Established);
        first = start(&alpha, ALPHA, BETA, Role::Standby);
        assert!(!*first.handle.in_sync.borrow());
        becomes("alpha has everything", || alpha.flows() == beta.flows()).await;
        becomes("alpha is in sync", || *first.handle.in_sync.borrow()).await;
    });
}

#[test]
fn what_happens_while_the_role_moves_is_told_as_well() {
    in_namespace(async {
        let [(alpha, first), (beta, second)] = in_sync().await;
        second.role.send_replace(state(Role::Active));
        first.role.send_replace(state(Role::Standby));
        alpha.open(client(2), server(1), Established);
        becomes("beta has the last one", || beta.state(client(2)) == Some(Established)).await;
        becomes("beta follows nobody", || second.handle.status().state == "sending").await;
        becomes("alpha serves nobody", || first.handle.status_out().is_none()).await;
        becomes("alpha is in sync", || *first.handle.in_sync.borrow()).await;
        beta.open(client(3), server(2), Established);
        becomes("beta tells", || alpha.flows() == beta.flows() && alpha.flows().len() == 3).await;
    });
}

#[test]
fn the_standby_goes_on_where_the_schedules_of_the_active_router_stand() {
    in_namespace(async {
        let (alpha, beta) = (table(4), table(4));
        let (ours, theirs) = (schedules(7), schedules(0));
        let key = b"0123456789abcdef";
        let _first = start_on(&alpha, Arc::clone(&ours), peer(ALPHA, BETA, key), Role::Active);
        let _second = start_on(&beta, Arc::clone(&theirs), peer(BETA, ALPHA, key), Role::Standby);
        let stands_at = |position| theirs.positions().unwrap() == [(RR, position), (WRR, 7)].into();
        becomes("all positions are told", || stands_at(7)).await;
        ours.set_position(&RR, 8).unwrap();
        becomes("another one, too", || stands_at(8)).await;
    });
}

#[test]
fn a_stream_that_breaks_is_resumed() {
    in_namespace(async {
        let [(alpha, first), (beta, second)] = in_sync().await;
        let (told, got) = (first.handle.status().sent, second.handle.status().received);
        ip("link set lo down");
        alpha.open(client(2), server(0), Established);
        becomes("both give the stream up", || {
            first.handle.status().state == "alone" && second.handle.status().state == "connecting"
        })
        .await;
        assert!(!*second.handle.in_sync.borrow());
        becomes("what beta lacks is told", || second.applied().lacks(&first.told()) == Some(1)).await;
        ip("link set lo up");
        becomes("beta is in sync again", || *second.handle.in_sync.borrow()).await;
        becomes("the new connection is told", || beta.flows() == alpha.flows()).await;
        // It may have been on its way when the stream broke; the other one has been told of once.
        assert_eq!(first.handle.status().sent, told + 1);
        assert_eq!(second.handle.status().received, got + 1);
        assert_eq!(second.handle.status().unlisted, 0);
    });
}

#[test]
fn another_key_is_refused_and_counted() {
    in_namespace(async {
        let (alpha, beta) = (table(4), table(4));
        alpha.open(client(1), server(0), Established);
        let first = start(&alpha, ALPHA, BETA, Role::Active);
        let second = start_with(&beta, peer(BETA, ALPHA, b"another key"), Role::Standby);
        let rejected = || first.handle.status().rejected.get("wrong_key").copied();
        becomes("two attempts are counted", || rejected().is_some_and(|count| count >= 2)).await;
        assert!(!*second.handle.in_sync.borrow() && beta.flows().is_empty());
        assert_eq!(second.handle.warnings().len(), 1, "{:?}", second.handle.warnings());
    });
}

#[test]
fn keys_change_while_the_stream_stands() {
    in_namespace(async {
        let (alpha, beta) = (table(4), table(4));
        let first = start_with(&alpha, peer(ALPHA, BETA, b"the old key"), Role::Active);
        let second = start_with(&beta, peer(BETA, ALPHA, b"the new key"), Role::Standby);
        becomes("the standby calls in vain", || !first.handle.status().rejected.is_empty()).await;
        let both = Keys { others: vec![Key(b"the new key".to_vec())], ..keys(b"the old key") };
        first.handle.set_keys(&both);
        becomes("it is let in with the second key", || *second.handle.in_sync.borrow()).await;
        first.handle.set_keys(&keys(b"another one"));
        alpha.open(client(1), server(0), Established);
        becomes("a stream that stands goes on", || beta.flows() == alpha.flows()).await;
    });
}

#[test]
fn strangers_and_those_who_say_nothing_are_sent_away() {
    in_namespace(async {
        let alpha = table(4);
        let first = start(&alpha, ALPHA, BETA, Role::Active);
        let rejected = |cause: &str| first.handle.status().rejected.get(cause).copied().unwrap_or(0);
        let mut stranger = connect([127, 0, 0, 3]).await;
        is_closed(&mut stranger).await;
        assert_eq!(rejected("stranger"), 1);
        let mut other_version = connect(BETA).await;
        other_version.write_all(b"LBSY\x63").await.unwrap();
        is_closed(&mut other_version).await;
        assert_eq!(rejected("version"), 1);

        // As many as there is room for, and one more, who is sent away at once.
        let mut silent = Vec::new();
        for _ in 0..5 {
            silent.push(connect(BETA).await);
        }
        becomes("one too many", || rejected("busy") >= 1).await;
        becomes("the others in time", || rejected("timeout") >= 4).await;
        drop(silent);

        // And then the peer is let in.
        let beta = table(4);
        let second = start(&beta, BETA, ALPHA, Role::Standby);
        becomes("beta is in sync", || *second.handle.in_sync.borrow()).await;
    });
}

#[test]
fn a_router_that_is_not_active_tells_nothing() {
    in_namespace(async {
        let (alpha, beta) = (table(4), table(4));
        alpha.open(client(1), server(0), Established);
        let first = start(&alpha, ALPHA, BETA, Role::Standby);
        let second = start(&beta, BETA, ALPHA, Role::Standby);
        becomes("both wait", || second.handle.status().detail.is_some()).await;
        assert!(beta.flows().is_empty());
        first.role.send_replace(state(Role::Leaving));
        becomes("it tells while it leaves", || beta.flows().len() == 1).await;
    });
}

/// A running copy, and its role.
struct Running {
    handle: Handle,
    positions: watch::Receiver<Positions>,
    role: watch::Sender<Vec<RoleState>>,
}

impl Running {
    fn told(&self) -> Position {
        self.positions.borrow().told.expect("connections are copied")
    }

    fn applied(&self) -> Position {
        self.positions.borrow().applied.expect("connections are copied")
    }
}

/// Alpha, which is active and has a connection, and beta, which has got that.
async fn in_sync() -> [(Arc<Table>, Running); 2] {
    let (alpha, beta) = (table(64), table(64));
    alpha.open(client(1), server(0), Established);
    let first = start(&alpha, ALPHA, BETA, Role::Active);
    let second = start(&beta, BETA, ALPHA, Role::Standby);
    becomes("beta is in sync", || *second.handle.in_sync.borrow()).await;
    [(alpha, first), (beta, second)]
}

fn start(table: &Arc<Table>, local: [u8; 4], remote: [u8; 4], role: Role) -> Running {
    start_with(table, peer(local, remote, b"0123456789abcdef"), role)
}

fn start_with(table: &Arc<Table>, peer: Peer, role: Role) -> Running {
    start_on(table, schedules(0), peer, role)
}

fn start_on(table: &Arc<Table>, schedules: Arc<dyn Schedules>, peer: Peer, role: Role) -> Running {
    let (told, role) = watch::channel(state(role));
    let table = Arc::clone(table) as Arc<dyn FlowTable>;
    let segments = watch::channel(Segments::default()).1;
    let (reached, positions) = watch::channel(Positions::default());
    let handle = bind(Some(&peer)).unwrap().start(table, schedules, role, segments, reached).unwrap();
    Running { handle, positions, role: told }
}

/// Services by each scheduler, at this position.
fn schedules(position: u64) -> Arc<dyn Schedules> {
    let datapath = MemoryDatapath::default();
    let services =
        [(RR, Scheduler::RoundRobin), (WRR, Scheduler::WeightedRoundRobin), (SH, Scheduler::SourceHash)];
    for (key, scheduler) in services {
        let service = ServiceTable { id: 0, scheduler, ring: vec![1, 2], start: position, closed: false };
        datapath.clone().apply(&Op::SetService(key, service)).unwrap();
    }
    Arc::new(datapath)
}

fn table(buckets: usize) -> Arc<Table> {
    let mut table = Table::new(buckets);
    (0..3).for_each(|number| table.own(number, server(number), buckets as u32));
    Arc::new(table)
}

fn peer(local: [u8; 4], remote: [u8; 4], key: &[u8]) -> Peer {
    Peer {
        priority: 100,
        interval: Duration::from_millis(100),
        dead_after: Duration::from_secs(1),
        failback: Failback::Manual,
        port: PORT - 1,
        keys: keys(key),
        witnesses: Vec::new(),
        paths: vec![HeartbeatPath { local: local.into(), remote: remote.into() }],
        sync: settings(),
    }
}

fn keys(key: &[u8]) -> Keys {
    Keys::one(Key(key.to_vec()))
}

const fn settings() -> ConnectionSync {
    ConnectionSync { enabled: true, port: PORT, half_open: false }
}

fn state(role: Role) -> Vec<RoleState> {
    vec![RoleState { role, reason: String::new(), since: Instant::now() }]
}

async fn becomes(what: &str, condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LONG, holds).await.unwrap_or_else(|_| panic!("{what}: not within {LONG:?}"));
}

async fn connect(from: [u8; 4]) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddrV4::new(from.into(), 0).into()).unwrap();
    socket.connect(SocketAddrV4::new(ALPHA.into(), PORT).into()).await.unwrap()
}

async fn is_closed(stream: &mut TcpStream) {
    // By a FIN or a RST.
    let read = timeout(LONG, stream.read(&mut [0; 64])).await.expect("it is closed");
    assert!(read.is_err() || read.is_ok_and(|bytes| bytes == 0));
}
