//! TCP through NAT, with port mapping: port 80 here, port 8080 there.

use std::collections::BTreeMap;

use lb_tests::lab::{
    R1,
    config::{Service, WEB_NAT},
    run::run,
    topology::{IPERF_PORT, NAT_VIP, Part},
};

use crate::support::{NAT, client, download, get, iperf, pair, pair_with, sha256, spread, tool};

#[test]
fn connections_spread_by_weight_and_servers_see_the_client() {
    let Some(lab) = pair() else { return };
    let expected = [("n1", 10), ("n2", 20), ("n3", 30)].map(|(name, count)| (name.to_owned(), count));
    assert_eq!(spread(&lab, NAT, 60), BTreeMap::from(expected));
    assert_eq!(get(&lab, NAT, "/client"), "192.0.2.100");

    let service = lab.routers[R1].service(WEB_NAT).unwrap();
    let connections: u64 = service.reals.iter().map(|real| real.totals.connections).sum();
    assert_eq!(connections, 61, "every connection is counted, and no health check is");
    assert!(service.reals.iter().all(|real| real.totals.in_packets > 0 && real.totals.out_packets > 0));
}

#[test]
fn a_download_arrives_whole() {
    let Some(lab) = pair() else { return };
    let length = 20_000_003;
    assert_eq!(run(&mut download(&lab, NAT, length, "100M")).unwrap(), sha256(length));
}

#[test]
fn many_connections_at_once_all_succeed() {
    let Some(lab) = pair().filter(|_| tool("wrk")) else { return };
    let mut wrk = client(&lab, "wrk");
    wrk.args(["-t1", "-c16", "-d2s", "-H", "Connection: close", &format!("http://{NAT}/")]);
    let report = run(&mut wrk).unwrap();
    assert!(!report.contains("Socket errors") && !report.contains("Non-2xx"), "{report}");
    let requests = report.lines().find_map(|line| line.split_once(" requests in "));
    let requests: u64 = requests.expect("wrk counts").0.trim().parse().unwrap();
    assert!(requests > 100, "{report}");
}

#[test]
fn streams_flow_both_ways() {
    // iperf3 takes two connections, which only source hashing leads to the same server.
    let iperf_service =
        || Service { scheduler: "sh".to_owned(), ..Service::tcp("iperf", IPERF_PORT, Part::NatServer) };
    let Some(lab) = pair_with(|config| config.service.push(iperf_service())).filter(|_| tool("iperf3"))
    else {
        return;
    };
    for rate in iperf(&lab, NAT_VIP, Part::NatServer) {
        assert!(rate > 50e6, "{rate} bit/s of 200 Mbit/s offered");
    }
}
