//! Paths of either family, and how fast heartbeats go over them.

use super::*;
use crate::{config::HostAddress, namespace::ip};

#[test]
fn a_pair_hears_each_other_over_both_families_and_link_local_addresses() {
    in_namespace(async {
        make_interface();
        ip("address add fd00::1/128 dev lo");
        ip("address add fd00::2/128 dev lo");
        let ends = |own: u8, other: u8| {
            ["127.0.0.", "fd00::", "fe80::"].map(|start| HeartbeatPath {
                local: address(&format!("{start}{own}")),
                remote: address(&format!("{start}{other}")),
            })
        };
        let alpha = Peer { paths: ends(1, 2).into(), ..peer(ALPHA, BETA, 200) };
        let beta = Peer { paths: ends(2, 1).into(), ..peer(BETA, ALPHA, 100) };
        let handles = [("alpha", alpha), ("beta", beta)]
            .map(|(name, peer)| start(name.to_owned(), Some(peer), 7, false).unwrap());
        for handle in &handles {
            paths_alive(handle, 3).await;
            assert_eq!(handle.status().ignored.get("stranger"), None);
        }
        assert_eq!(handles[0].status().paths[2].local, "fe80::1%lbdtest0");
        // Made anew, the interface has another number.
        ip("link del lbdtest0");
        for handle in &handles {
            paths_alive(handle, 2).await;
        }
        make_interface();
        for handle in &handles {
            paths_alive(handle, 3).await;
        }
    });
}

#[test]
fn an_address_that_the_kernel_still_asks_about_is_taken() {
    in_namespace(async {
        make_veth();
        ip("address add fd00::1/64 dev lbdtest0");
        let path = HeartbeatPath { local: address("fd00::1"), remote: address("fd00::2") };
        let peer = Peer { paths: vec![path], ..peer(ALPHA, BETA, 200) };
        start("alpha".to_owned(), Some(peer), 7, false).unwrap();
    });
}

#[test]
fn an_ipv6_address_that_is_not_there_is_named() {
    in_namespace(async {
        for (local, remote) in [("fd00::1", "fd00::2"), ("fe80::1%none0", "fe80::2%none0")] {
            let path = HeartbeatPath { local: address(local), remote: address(remote) };
            let peer = Peer { paths: vec![path], ..peer(ALPHA, BETA, 200) };
            let error = start("alpha".to_owned(), Some(peer), 7, false).unwrap_err().to_string();
            assert!(error.starts_with(&format!("heartbeat address {local} is on no interface")), "{error}");
        }
    });
}

#[test]
fn heartbeats_go_out_as_often_as_the_interval_says() {
    for interval in [20, 50] {
        in_namespace(async move {
            let ear = UdpSocket::bind((Ipv4Addr::from(BETA), PORT)).unwrap();
            ear.set_nonblocking(true).unwrap();
            tokio::time::pause();
            let interval = Duration::from_millis(interval);
            let alone = Peer { interval, dead_after: LONG, ..peer(ALPHA, BETA, 1) };
            let _alpha = start("alpha".to_owned(), Some(alone), 0, false).unwrap();
            tokio::time::sleep(interval * 50).await;
            let heard = std::iter::from_fn(|| ear.recv(&mut [0; 512]).ok()).count();
            // Timers of the runtime are exact to a millisecond: one in twenty of these intervals.
            assert!((46..=51).contains(&heard), "{heard} heartbeats in 50 intervals of {interval:?}");
        });
    }
}

fn make_veth() {
    ip("link add lbdtest0 type veth peer lbdtest1");
    ip("link set lbdtest1 up");
    ip("link set lbdtest0 up");
}

/// An interface with both ends of a link-local path.
fn make_interface() {
    make_veth();
    ip("address add fe80::1/64 dev lbdtest0 nodad");
    ip("address add fe80::2/64 dev lbdtest0 nodad");
}

/// The address in `text`; a link-local one is on the test's interface unless it says where.
fn address(text: &str) -> HostAddress {
    let (text, interface) = match text.split_once('%') {
        Some((text, interface)) => (text, Some(interface)),
        None => (text, text.starts_with("fe80").then_some("lbdtest0")),
    };
    HostAddress { ip: text.parse().unwrap(), interface: interface.map(str::to_owned) }
}

/// Waits until this many paths of `handle` are alive.
async fn paths_alive(handle: &Handle, count: usize) {
    let wait = async {
        while handle.status().paths.iter().filter(|path| path.alive).count() != count {
            pause().await;
        }
    };
    tokio::time::timeout(LONG, wait).await.unwrap_or_else(|_| panic!("{:?}", handle.status()));
}
