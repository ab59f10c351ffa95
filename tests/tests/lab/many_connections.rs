//! Two hundred thousand connections, and what is left of them in the table: nothing.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
    time::{Duration, Instant},
};

use lb_daemon::api::types::Stats;
use lb_tests::lab::{
    Lab, R1, api,
    config::{Config, Service},
    crowd::{Close, Crowd, Held, Tally},
    responder::{Protocol, Responder, allow_open_files},
    topology::{NAT_VIP, Part},
    wait::until,
};

use crate::support::pair_with;

/// The service of this test, and its port on both sides.
const SERVICE: &str = "names";
const PORT: u16 = 7000;
/// All connections, the held ones among them.
const TOTAL: u32 = 200_000;
/// Connections that are held open all the time.
const HELD: u32 = 1000;
/// Connections that end by FIN. Their ports are used again while the table remembers them (TIME_WAIT, two minutes).
const FINS: u32 = 20_000;
/// Client addresses: one has 65,536 ports at most.
const SOURCES: std::ops::RangeInclusive<u8> = 101..=108;
/// Time that anything may take which the table's own timeouts bound: ten seconds after a RST, on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn no_connection_of_many_is_refused_misdirected_or_left_behind() {
    let Some(lab) = pair_with(configure) else { return };
    allow_open_files(u64::from(4 * HELD)).unwrap();
    let servers = lab.servers.iter().filter(|server| server.part() == Part::NatServer);
    let _responder = Responder::start(servers, PORT, Protocol::Names).unwrap();
    let crowd = crowd(&lab);

    let held = crowd.hold(0..HELD).unwrap();
    wait_counts(&lab, "exactly those that are held", (HELD.into(), Some(0)));
    let mut tally = Tally::default();
    tally.merge(timed("ended by FIN", || crowd.run(HELD..HELD + FINS, by_fin)));
    tally.merge(timed("ended by RST", || crowd.run(HELD + FINS..TOTAL - FINS, |_| Close::Reset)));
    tally.merge(timed("on ports that were used", || crowd.run(HELD..HELD + FINS, |_| Close::Reset)));
    wait_counts(&lab, "no active ones but those that are held", (HELD.into(), None));
    tally.merge(held_close(held));

    assert_eq!(tally.failures, BTreeMap::new());
    assert_eq!(tally.succeeded(), u64::from(TOTAL));
    assert_spread(&lab, &tally);
    let ended = Instant::now();
    wait_counts(&lab, "none", (0, Some(0)));
    until("an empty table", LIMIT, || Ok(entries(&lab)? == 0)).unwrap();
    println!("nothing is left after {:.1?}", ended.elapsed());
}

/// The routers' configuration: round robin over three servers of one weight, and a table that has room for what it
/// remembers, two entries a connection.
fn configure(config: &mut Config) {
    let mut service = Service::tcp(SERVICE, PORT, Part::NatServer);
    service.scheduler = "rr".to_owned();
    service.weights([1; 3]);
    config.service.push(service);
    config.limits.insert("flows", 1 << 20);
}

/// The clients: their addresses stand on the client's interface.
fn crowd(lab: &Lab) -> Crowd {
    let namespace = lab.client().unwrap().clone();
    let sources: Vec<Ipv4Addr> = SOURCES.map(|last| Ipv4Addr::new(192, 0, 2, last)).collect();
    let addresses: String =
        sources.iter().map(|address| format!("address add {address}/24 dev eth0\n")).collect();
    namespace.ip(&addresses).unwrap();
    // A port whose connection the client closed first is to be had again after a second, as with any busy client.
    namespace.sysctl("ipv4.tcp_tw_reuse", "1").unwrap();
    let target = SocketAddrV4::new(NAT_VIP, PORT);
    Crowd { namespace, sources, target, concurrency: 96, timeout: Duration::from_secs(20) }
}

/// Half of the connections that end by FIN are closed by the server first.
fn by_fin(number: u32) -> Close {
    if number.is_multiple_of(2) { Close::ByClient } else { Close::ByServer }
}

/// Runs a part of the connections and says how fast.
fn timed(what: &str, run: impl FnOnce() -> anyhow::Result<Tally>) -> Tally {
    let start = Instant::now();
    let tally = run().unwrap();
    let (count, time) = (tally.succeeded(), start.elapsed());
    println!("{count} {what} in {time:.1?}, {:.0} a second", count as f64 / time.as_secs_f64());
    tally
}

/// Every held connection still speaks with the server that it began with.
fn held_close(held: Held) -> Tally {
    timed("held all the time", || held.close())
}

/// Waits until active connections of all servers are so many, and the inactive ones too where they are known.
fn wait_counts(lab: &Lab, what: &str, (active, inactive): (u64, Option<u64>)) {
    let start = Instant::now();
    let mut seen = (0, 0);
    let counted = until(&format!("{what} to be counted"), LIMIT, || {
        let reals = lab.routers[R1].service(SERVICE)?.reals;
        let sum = |count: fn(&lb_daemon::api::types::RealStatus) -> u64| reals.iter().map(count).sum::<u64>();
        seen = (sum(|real| real.active_connections), sum(|real| real.inactive_connections));
        Ok(seen.0 == active && inactive.is_none_or(|inactive| seen.1 == inactive))
    });
    counted.unwrap_or_else(|error| panic!("{error}: {seen:?}"));
    println!("counted {what} after {:.1?}: {seen:?}", start.elapsed());
}

/// The router's counters say what the clients saw, and round robin takes the servers in turns.
fn assert_spread(lab: &Lab, tally: &Tally) {
    let reals = lab.routers[R1].service(SERVICE).unwrap().reals;
    let counted: BTreeMap<String, u64> =
        reals.into_iter().map(|real| (real.name, real.totals.connections)).collect();
    println!("by server: {counted:?}");
    assert_eq!(counted, tally.servers, "what the router counts is what the clients saw");
    let (least, most) = (counted.values().min(), counted.values().max());
    assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{counted:?}");
}

/// Entries of the table, both directions.
fn entries(lab: &Lab) -> anyhow::Result<u64> {
    api::get(&lab.routers[R1].socket(), "/v1/stats").map(|stats: Stats| stats.flow_entries)
}
