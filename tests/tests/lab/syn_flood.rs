//! A SYN flood beyond what the flow table holds: connections that stand go on, and new ones are made right after it.

use std::{
    net::SocketAddrV4,
    time::{Duration, Instant},
};

use lb_common::ConnState;
use lb_daemon::api::types::{Connection, Stats};
use lb_tests::lab::{
    Lab, R1,
    config::{Config, Service},
    downloads::Downloads,
    flood::Flood,
    frames::Frames,
    responder::{Protocol, Responder},
    topology::{CLIENT, HOSTS, NAT_VIP, Part},
    wait::{pause, until},
};

use crate::support::pair_with;

/// The service of this test.
const SERVICE: &str = "stream";
const TARGET: SocketAddrV4 = SocketAddrV4::new(NAT_VIP, 7001);
/// A port of the same address that no service has.
const NO_SERVICE: SocketAddrV4 = SocketAddrV4::new(NAT_VIP, 7002);
/// Entries of the flow table. A connection by NAT takes two.
const FLOWS: u64 = 32_768;
/// SYNs a second, and in all: a dozen times what the table holds.
const SYN_RATE: u32 = 20_000;
const SYNS: u32 = 10 * SYN_RATE;
/// Downloads that stand, and bytes a second of each: together far less than the lab carries, because a flood takes its
/// part of the same processors. What a download lacks is then what was lost.
const DOWNLOADS: usize = 8;
const RATE: u64 = 1_000_000;
/// Time that a connection may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn a_flood_beyond_the_table_harms_no_connection_that_stands() {
    let Some(lab) = pair_with(configure) else { return };
    let servers = lab.servers.iter().filter(|server| server.part() == Part::NatServer);
    let _responder = Responder::start(servers, TARGET.port(), Protocol::Stream { rate: RATE }).unwrap();
    let frames = Frames::open(lab.client().unwrap(), "eth0").unwrap();
    let [elsewhere, flood] = [(NO_SERVICE, 1), (TARGET, 2)].map(|(target, seed)| syns(&lab, target, seed));
    let standing = Downloads::start(lab.client().unwrap(), TARGET, DOWNLOADS).unwrap();
    pause(Duration::from_secs(1)).expect("nothing interrupts");

    // The same frames as far as the router: they cost the lab as much, but not the balancer.
    let before = rates("without a service", &standing, || elsewhere.send(&frames).unwrap());
    let taken = taken_or_refused(&lab);
    let during = rates("with a service", &standing, || flood.send(&frames).unwrap());
    let taken = taken_or_refused(&lab) - taken;
    assert!(taken > 3 * FLOWS / 2, "{taken} SYNs are no flood for a table of {FLOWS} entries");
    for (before, during) in before.iter().zip(&during) {
        assert!(*during >= 0.9 * before, "bytes a second: {before:.0} before, {during:.0} during the flood");
    }

    assert_new_connections(&lab);
    wait_established(&lab, DOWNLOADS);
    standing.finish().unwrap();
    wait_established(&lab, 0);
}

/// The routers' configuration: a service for the downloads, and a small table.
fn configure(config: &mut Config) {
    config.service.push(Service::tcp(SERVICE, TARGET.port(), Part::NatServer));
    config.limits.insert("flows", FLOWS);
}

/// A flood from the client's cable to the router.
fn syns(lab: &Lab, target: SocketAddrV4, seed: u64) -> Flood {
    let from = HOSTS.iter().find(|host| host.address() == CLIENT).unwrap().ports[0].mac();
    Flood::new(target, [from, lab.routers[R1].public().mac()], SYN_RATE, SYNS, seed)
}

/// Bytes a second of each of `downloads` while `work` is under way.
fn rates(what: &str, downloads: &Downloads, work: impl FnOnce() -> Duration) -> Vec<f64> {
    let (begin, before) = (Instant::now(), downloads.received());
    let sending = work();
    let (after, time) = (downloads.received(), begin.elapsed());
    let rate = |(after, before): (&u64, &u64)| (after - before) as f64 / time.as_secs_f64();
    let rates: Vec<f64> = after.iter().zip(&before).map(rate).collect();
    let least = rates.iter().copied().fold(f64::INFINITY, f64::min);
    let sum = rates.iter().sum::<f64>();
    println!(
        "{SYNS} SYNs {what} in {sending:.1?}, {:.0} a second: downloads had {:.2} MB/s, the slowest {:.3}",
        f64::from(SYNS) / sending.as_secs_f64(),
        sum / 1e6,
        least / 1e6
    );
    rates
}

/// SYNs that the balancer has made connections of, and packets that it has dropped.
fn taken_or_refused(lab: &Lab) -> u64 {
    let reals = lab.routers[R1].service(SERVICE).unwrap().reals;
    let stats = lab.routers[R1].lbctl(&["--json", "stats"]).unwrap();
    let stats: Stats = serde_json::from_str(&stats).unwrap();
    let dropped = stats.reasons.iter().filter(|count| count.verdict == "drop");
    reals.iter().map(|real| real.totals.connections).sum::<u64>()
        + dropped.map(|count| count.packets).sum::<u64>()
}

/// New connections to every server carry bytes, and end in order.
fn assert_new_connections(lab: &Lab) {
    let start = Instant::now();
    let new = Downloads::start(lab.client().unwrap(), TARGET, DOWNLOADS).unwrap();
    let connected = start.elapsed();
    until("bytes on every new connection", LIMIT, || Ok(new.received().iter().all(|bytes| *bytes > 0)))
        .unwrap();
    println!(
        "{DOWNLOADS} new connections after {connected:.1?}, bytes on each after {:.1?}",
        start.elapsed()
    );
    wait_established(lab, 2 * DOWNLOADS);
    new.finish().unwrap();
}

/// Waits until the router knows exactly so many connections of the service whose handshake was completed.
fn wait_established(lab: &Lab, count: usize) {
    let mut seen = 0;
    let counted = until(&format!("{count} established connections"), LIMIT, || {
        let json = lab.routers[R1].lbctl(&["--json", "conns"])?;
        let connections: Vec<Connection> = serde_json::from_str(&json)?;
        let ours = connections.iter().filter(|connection| {
            connection.state == ConnState::Established && connection.virtual_address == TARGET
        });
        seen = ours.count();
        Ok(seen == count)
    });
    counted.unwrap_or_else(|error| panic!("{error}: {seen}"));
}
