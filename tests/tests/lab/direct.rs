//! TCP by direct routing: the router sees the client's packets alone.

use std::collections::BTreeMap;

use lb_tests::lab::{
    R1,
    config::{Service, WEB_DIRECT},
    run::run,
    topology::{DIRECT_VIP, IPERF_PORT, Part},
};

use crate::support::{DIRECT, download, get, iperf, pair, pair_with, sha256, spread, tool};

#[test]
fn connections_spread_by_weight_and_answers_bypass_the_router() {
    let Some(lab) = pair() else { return };
    let expected = [("d1", 30), ("d2", 20), ("d3", 10)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(spread(&lab, DIRECT, 60), BTreeMap::from(expected));
    assert_eq!(get(&lab, DIRECT, "/client"), "192.0.2.100");

    let service = lab.routers[R1].service(WEB_DIRECT).unwrap();
    assert!(service.reals.iter().all(|real| real.totals.in_packets > 0 && real.totals.out_packets == 0));
}

#[test]
fn a_download_arrives_whole() {
    let Some(lab) = pair() else { return };
    let length = 20_000_003;
    assert_eq!(run(&mut download(&lab, DIRECT, length, "100M")).unwrap(), sha256(length));
}

#[test]
fn streams_flow_both_ways() {
    // iperf3 takes two connections, which only source hashing leads to the same server.
    let iperf_service =
        || Service { scheduler: "sh".to_owned(), ..Service::tcp("iperf", IPERF_PORT, Part::DirectServer) };
    let Some(lab) = pair_with(|config| config.service.push(iperf_service())).filter(|_| tool("iperf3"))
    else {
        return;
    };
    for rate in iperf(&lab, DIRECT_VIP, Part::DirectServer) {
        assert!(rate > 50e6, "{rate} bit/s of 200 Mbit/s offered");
    }
}
