//! Answers of the daemon, as they come from a pair of routers.

use std::{collections::BTreeMap, net::Ipv4Addr};

use lb_common::ConnState;
use lb_daemon::api::types::{
    AddressStatus, BehindStatus, ConflictStatus, Connection, FailbackStatus, Forced, GroupStatus,
    InterfaceStatus, LeaseStatus, Maintenance, PathStatus, PeerStatus, Protocol, Rates, RealStatus,
    ReasonCount, ServiceStatus, Stats, Status, SyncStatus, Totals, TrackStatus, Transition, WitnessStatus,
};

/// An active router with a peer, two services and all that can be wrong.
pub(crate) fn pair() -> Status {
    Status {
        router: "lb1".to_owned(),
        version: "0.1.0".to_owned(),
        role: "active".to_owned(),
        reason: "peer silent for 1s; own priority 90 instead of 150: gateway".to_owned(),
        since_secs: 7500,
        maintenance: Some(Maintenance { role: Forced::Active, reason: "lb2 gets new cables".to_owned() }),
        groups: vec![],
        peer: Some(peer()),
        tracks: vec![
            track("uplink", Some(true), 0, "eth0 is up"),
            track("gateway", Some(false), 60, "no echo within 500ms"),
            track("disk", None, 0, ""),
        ],
        sync: Some(SyncStatus {
            state: "sending".to_owned(),
            in_sync: true,
            progress_percent: Some(100),
            behind_ms: Some(57),
            sent: 1234,
            ..SyncStatus::default()
        }),
        sync_out: None,
        interfaces: vec![interface("eth0", "native"), interface("eth1", "generic")],
        addresses: vec![address("10.9.9.9/32", "eth0", true), address("10.0.1.254/24", "eth1", false)],
        conflicts: vec![ConflictStatus {
            address: Ipv4Addr::new(10, 9, 9, 9),
            interface: "eth0".to_owned(),
            mac: "02:00:00:00:00:09".to_owned(),
            claimed_by: "a stranger".to_owned(),
            since_secs: 75,
            text: "a stranger, 02:00:00:00:00:09, claims 10.9.9.9 on eth0".to_owned(),
        }],
        services: vec![web(), dns()],
        warnings: vec![
            "eth1: XDP runs in generic mode".to_owned(),
            "address conflict: a stranger, 02:00:00:00:00:09, claims 10.9.9.9 on eth0".to_owned(),
            "10.0.1.254/24 is missing on eth1".to_owned(),
        ],
    }
}

/// A router of a pair that is active for one group, and standby for the other.
pub(crate) fn groups() -> Status {
    let group = |name: &str, role: &str, reason: &str, since_secs| GroupStatus {
        name: name.to_owned(),
        role: role.to_owned(),
        reason: reason.to_owned(),
        since_secs,
        priority: 100,
        maintenance: None,
        peer_role: Some(if role == "active" { "standby" } else { "active" }.to_owned()),
        peer_priority: Some(50),
        peer_forced: None,
        failback: Some(failback("manual", None, true)),
        behind: None,
    };
    let mut status = pair();
    status.role = "mixed".to_owned();
    status.groups = vec![
        group("east", "active", "peer silent for 1s", 7500),
        GroupStatus {
            peer_forced: Some("active".to_owned()),
            failback: Some(failback("auto", Some(5000), false)),
            behind: Some(BehindStatus { records: None, bytes: None, age_ms: 2500, far: true }),
            ..group("west", "standby", "peer has taken over", 60)
        },
    ];
    for (address, group) in status.addresses.iter_mut().zip(["east", "west"]) {
        address.group = Some(group.to_owned());
    }
    status
        .peer
        .iter_mut()
        .flat_map(|peer| &mut peer.transitions)
        .for_each(|one| one.group = Some("east".to_owned()));
    status.peer.iter_mut().for_each(|peer| peer.failback = None);
    status.maintenance = None;
    let sending = status.sync.clone();
    status.sync = Some(SyncStatus {
        state: "receiving".to_owned(),
        sent: 0,
        received: 7,
        applied: 7,
        ..sending.clone().unwrap()
    });
    status.sync_out = sending;
    status
}

/// A router without a peer, services or trouble.
pub(crate) fn alone() -> Status {
    Status {
        router: "lb1".to_owned(),
        version: "0.1.0".to_owned(),
        role: "active".to_owned(),
        reason: "no peer is configured".to_owned(),
        since_secs: 3,
        maintenance: None,
        groups: vec![],
        peer: None,
        tracks: vec![],
        sync: None,
        sync_out: None,
        interfaces: vec![interface("eth0", "native")],
        addresses: vec![],
        conflicts: vec![],
        services: vec![],
        warnings: vec![],
    }
}

fn peer() -> PeerStatus {
    PeerStatus {
        name: Some("lb2".to_owned()),
        role: Some("standby".to_owned()),
        alive: true,
        fault: true,
        forced: Some("standby".to_owned()),
        priority: Some(100),
        paths: vec![path("10.1.0.1", "10.1.0.2", Some(12)), path("fe80::1%eth1", "fe80::2%eth1", None)],
        witnesses: vec![witness("10.1.0.254", Some(40)), witness("10.0.1.9", Some(70_000))],
        failback: Some(failback("auto", Some(5000), true)),
        behind: Some(BehindStatus { records: Some(3), bytes: Some(90), age_ms: 57, far: false }),
        lease: LeaseStatus { state: "running".to_owned(), left_ms: Some(812) },
        ignored: BTreeMap::from([("replayed".to_owned(), 1), ("wrong_key".to_owned(), 3)]),
        transitions: vec![
            transition(7500, "standby", "active", "nothing heard from lb2 for 1 s"),
            transition(90_000, "starting", "standby", "lb2 is active"),
        ],
    }
}

fn failback(mode: &str, delay_ms: Option<u64>, ready: bool) -> FailbackStatus {
    FailbackStatus { mode: mode.to_owned(), delay_ms, ready }
}

fn web() -> ServiceStatus {
    let rates = Rates {
        connections: 1234.5,
        in_packets: 8000.0,
        out_packets: 0.0,
        in_bytes: 3_400_000.0,
        out_bytes: 0.0,
    };
    ServiceStatus {
        group: None,
        name: "web".to_owned(),
        protocol: "tcp".to_owned(),
        address: [10, 9, 9, 9].into(),
        port: 80,
        scheduler: "wrr".to_owned(),
        reals: vec![
            RealStatus {
                active_connections: 1204,
                inactive_connections: 31_877,
                rates,
                ..real("rs1", 1, 80)
            },
            RealStatus { weight: 5, configured_weight: 2, ..real("rs2", 2, 80) },
            RealStatus {
                state: "down".to_owned(),
                detail: "connection \x1brefused".to_owned(),
                ..real("rs3", 3, 80)
            },
            RealStatus { state: "drained".to_owned(), active_connections: 7, ..real("rs4", 4, 80) },
        ],
    }
}

fn dns() -> ServiceStatus {
    ServiceStatus {
        group: None,
        name: "dns".to_owned(),
        protocol: "udp".to_owned(),
        address: [10, 9, 9, 10].into(),
        port: 53,
        scheduler: "rr".to_owned(),
        reals: vec![
            RealStatus { method: "nat".to_owned(), ..real("ns1", 1, 5353) },
            RealStatus { reachable: false, ..real("ns2", 2, 53) },
        ],
    }
}

/// A healthy, idle real server by direct routing.
pub(crate) fn real(name: &str, host: u8, port: u16) -> RealStatus {
    RealStatus {
        name: name.to_owned(),
        address: [10, 0, host, 2].into(),
        port,
        method: "direct".to_owned(),
        state: "up".to_owned(),
        detail: "connected in 1 ms".to_owned(),
        weight: 1,
        configured_weight: 1,
        reachable: true,
        active_connections: 0,
        inactive_connections: 0,
        totals: Totals::default(),
        rates: Rates::default(),
    }
}

/// Counters of which one is zero.
pub(crate) fn stats() -> Stats {
    Stats {
        reasons: vec![
            reason("not_ipv4", "pass", 12, 720),
            reason("malformed", "drop", 0, 0),
            reason("direct", "send", 123_456_789, 98_765_432_100),
        ],
        flow_entries: 33_081,
    }
}

/// More connections than a pipe holds (64 KiB).
pub(crate) fn many_connections() -> Vec<Connection> {
    let connection = Connection {
        protocol: Protocol::Tcp,
        state: ConnState::Established,
        expires_secs: 889,
        source: "10.0.0.2:41002".parse().unwrap(),
        virtual_address: "10.9.9.9:80".parse().unwrap(),
        destination: "10.0.1.2:80".parse().unwrap(),
    };
    vec![connection; 2000]
}

fn track(name: &str, ok: Option<bool>, weight: u8, detail: &str) -> TrackStatus {
    TrackStatus { name: name.to_owned(), ok, weight, fault: weight == 0, detail: detail.to_owned() }
}

fn interface(name: &str, mode: &str) -> InterfaceStatus {
    InterfaceStatus { name: name.to_owned(), mode: mode.to_owned() }
}

fn address(address: &str, interface: &str, present: bool) -> AddressStatus {
    AddressStatus {
        group: None,
        address: address.to_owned(),
        interface: interface.to_owned(),
        present,
        virtual_mac: Some("00:00:5e:00:01:33".to_owned()),
    }
}

fn path(local: &str, remote: &str, silent_ms: Option<u64>) -> PathStatus {
    PathStatus { local: local.to_owned(), remote: remote.to_owned(), alive: silent_ms.is_some(), silent_ms }
}

fn witness(address: &str, silent_ms: Option<u64>) -> WitnessStatus {
    let answers = silent_ms.is_some_and(|ms| ms < 1000);
    WitnessStatus { address: address.to_owned(), answers, silent_ms }
}

fn transition(ago_secs: u64, from: &str, to: &str, reason: &str) -> Transition {
    Transition { group: None, ago_secs, from: from.to_owned(), to: to.to_owned(), reason: reason.to_owned() }
}

fn reason(reason: &str, verdict: &str, packets: u64, bytes: u64) -> ReasonCount {
    ReasonCount { reason: reason.to_owned(), verdict: verdict.to_owned(), packets, bytes }
}
