//! `lbctl list` and `lbctl conns` beside real output of ipvsadm 1.31 on Linux 6.1, byte for byte: `tests/cli/ipvsadm`
//! holds recordings, and the answers here describe what was recorded.

use lb_common::ConnState;
use lb_daemon::{
    api::types::{Connection, Protocol, Rates, RealStatus, ServiceStatus, Status, Totals},
    cli::{
        conns,
        list::{self, Columns},
    },
};

use crate::{
    fake::{Fake, Running},
    fixture,
};

#[test]
fn the_plain_list() {
    assert_eq!(list::render(&recorded(), Columns::Connections, false), include_str!("ipvsadm/Ln.txt"));
}

#[test]
fn totals() {
    assert_eq!(list::render(&recorded(), Columns::Stats, false), include_str!("ipvsadm/Ln-stats.txt"));
    assert_eq!(list::render(&recorded(), Columns::Stats, true), include_str!("ipvsadm/Ln-stats-exact.txt"));
}

#[test]
fn rates() {
    assert_eq!(list::render(&recorded(), Columns::Rate, false), include_str!("ipvsadm/Ln-rate.txt"));
}

#[test]
fn an_empty_table() {
    let empty = fixture::alone();
    assert_eq!(list::render(&empty, Columns::Connections, false), include_str!("ipvsadm/empty-Ln.txt"));
    assert_eq!(list::render(&empty, Columns::Stats, false), include_str!("ipvsadm/empty-Ln-stats.txt"));
    assert_eq!(list::render(&empty, Columns::Rate, false), include_str!("ipvsadm/empty-Ln-rate.txt"));
    assert_eq!(conns::render(&[]), include_str!("ipvsadm/empty-Lnc.txt"));
}

#[test]
fn connections() {
    assert_eq!(conns::render(&recorded_connections()), include_str!("ipvsadm/Lnc.txt"));
}

#[test]
fn a_server_that_takes_no_new_connections_has_weight_zero() {
    let mut status = recorded();
    for (state, weight) in
        [("up", "3"), ("unchecked", "3"), ("down", "0"), ("drained", "0"), ("disabled", "0")]
    {
        let real = RealStatus { state: state.to_owned(), weight: 3, ..fixture::real("rs1", 1, 80) };
        status.services = vec![service("tcp", 80, "rr", vec![real])];
        let text = list::render(&status, Columns::Connections, false);
        let expected =
            format!("  -> 10.0.1.2:80                  Route   {weight:<6} 0          0         \n");
        assert!(text.ends_with(&expected), "{state}:\n{text}");
    }
}

#[test]
fn addresses_sort_as_numbers() {
    let mut status = recorded();
    let hosts = [[10, 0, 0, 9], [192, 168, 0, 1], [10, 0, 0, 10], [9, 255, 0, 1]];
    let reals =
        hosts.map(|host: [u8; 4]| RealStatus { address: host.into(), ..fixture::real("rs", 1, 80) }).to_vec();
    status.services = vec![service("tcp", 80, "rr", reals)];
    let text = list::render(&status, Columns::Stats, false);
    let order: Vec<_> = text.lines().skip(4).filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(order, ["9.255.0.1:80", "10.0.0.9:80", "10.0.0.10:80", "192.168.0.1:80"]);
}

#[tokio::test]
async fn the_command_has_ipvsadms_options() {
    let running = Running::start(Fake { status: recorded(), ..Fake::default() });
    let cases = [
        (&["list"][..], include_str!("ipvsadm/Ln.txt")),
        (&["list", "-n"], include_str!("ipvsadm/Ln.txt")),
        (&["list", "-n", "--stats"], include_str!("ipvsadm/Ln-stats.txt")),
        (&["list", "-n", "--stats", "--exact"], include_str!("ipvsadm/Ln-stats-exact.txt")),
        (&["list", "--rate"], include_str!("ipvsadm/Ln-rate.txt")),
        (&["list", "--stats", "--rate"], include_str!("ipvsadm/Ln-stats.txt")),
    ];
    for (args, expected) in cases {
        let outcome = running.lbctl(args).await;
        assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(0), expected), "{args:?}");
    }
}

/// What was recorded, in another order.
fn recorded() -> Status {
    let dr = |host, weight, inactive| RealStatus {
        weight,
        inactive_connections: inactive,
        ..fixture::real("rs", host, 80)
    };
    let masq = |host, weight, active, inactive| RealStatus {
        method: "nat".to_owned(),
        weight,
        active_connections: active,
        inactive_connections: inactive,
        ..fixture::real("rs", host, 7000)
    };
    let tunnel = |real| RealStatus { method: "Tunnel".to_owned(), ..real };
    let direct = |real| RealStatus { method: "direct".to_owned(), ..real };
    let udp = vec![
        counted(tunnel(masq(3, 5, 0, 2)), [2, 2, 4, 60, 176], [0.0, 0.0, 0.1, 0.8, 2.4]),
        counted(masq(1, 1, 0, 1), [1, 1, 1, 30, 47], [0.0, 0.0, 0.0, 0.2, 0.0]),
        counted(direct(masq(2, 1, 0, 1)), [2, 130_001, 0, 180_180_030, 0], [0.0, 0.1, 0.0, 0.3, 0.0]),
    ];
    let nat = vec![
        counted(masq(3, 0, 0, 0), [0; 5], [0.0; 5]),
        counted(masq(2, 100, 5, 4), [409, 2035, 1239, 109_092, 75_471], [26.1, 130.9, 80.0, 7009.2, 4841.0]),
        counted(masq(1, 1, 1, 0), [1, 3, 2, 164, 131], [0.0, 0.1, 0.1, 0.7, 0.6]),
    ];
    let web = vec![
        counted(dr(1, 1, 1), [1, 6, 4, 392, 367], [0.0, 0.1, 0.0, 4.4, 3.4]),
        counted(dr(2, 2, 2), [2, 12, 8, 784, 734], [0.0, 0.1, 0.1, 8.8, 8.4]),
        counted(dr(3, 3, 4), [4, 24, 16, 1568, 1468], [0.1, 0.2, 0.2, 17.9, 17.4]),
    ];
    let services = vec![
        service("udp", 7000, "rr", udp),
        service("tcp", 7000, "wlc", nat),
        service("tcp", 80, "wrr", web),
    ];
    Status { services, ..fixture::pair() }
}

fn service(protocol: &str, port: u16, scheduler: &str, reals: Vec<RealStatus>) -> ServiceStatus {
    ServiceStatus {
        group: None,
        name: format!("{protocol}-{port}"),
        protocol: protocol.to_owned(),
        address: [10, 9, 9, 9].into(),
        port,
        scheduler: scheduler.to_owned(),
        reals,
    }
}

/// Totals and rates in the order of the columns.
fn counted(real: RealStatus, totals: [u64; 5], rates: [f64; 5]) -> RealStatus {
    let [connections, in_packets, out_packets, in_bytes, out_bytes] = totals;
    let totals = Totals { connections, in_packets, out_packets, in_bytes, out_bytes };
    let [connections, in_packets, out_packets, in_bytes, out_bytes] = rates;
    let rates = Rates { connections, in_packets, out_packets, in_bytes, out_bytes };
    RealStatus { totals, rates, ..real }
}

fn recorded_connections() -> Vec<Connection> {
    let rows = [
        (Protocol::Tcp, 111, ConnState::TimeWait, "10.0.0.2:34832", "10.9.9.9:80", "10.0.3.2:80"),
        (Protocol::Tcp, 55, ConnState::SynRecv, "10.0.0.2:37930", "10.9.9.50:80", "10.0.1.2:80"),
        (Protocol::Udp, 290, ConnState::Udp, "10.0.0.2:44002", "10.9.9.9:7000", "10.0.1.2:7000"),
        (Protocol::Tcp, 889, ConnState::Established, "10.0.0.2:42000", "10.9.9.9:7001", "10.0.2.2:7000"),
        (Protocol::Tcp, 117, ConnState::TimeWait, "10.0.0.2:37938", "10.9.9.50:80", "10.0.2.2:80"),
    ];
    rows.map(|(protocol, expires_secs, state, source, virtual_address, destination)| Connection {
        protocol,
        state,
        expires_secs,
        source: source.parse().unwrap(),
        virtual_address: virtual_address.parse().unwrap(),
        destination: destination.parse().unwrap(),
    })
    .to_vec()
}
