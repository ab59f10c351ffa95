//! Datagrams by both forwarding methods.

use std::{collections::BTreeMap, net::SocketAddrV4};

use lb_tests::lab::{
    topology::{DIRECT_VIP, NAT_VIP, UDP_PORT},
    udp::{echo, echoes},
};

use crate::support::pair;

#[test]
fn clients_spread_by_weight_and_each_stays_with_its_server() {
    let Some(lab) = pair() else { return };
    let client = lab.client().unwrap();
    for (address, weights) in
        [(NAT_VIP, [("n1", 1), ("n2", 2), ("n3", 3)]), (DIRECT_VIP, [("d1", 3), ("d2", 2), ("d3", 1)])]
    {
        let target = SocketAddrV4::new(address, UDP_PORT);
        let mut servers = BTreeMap::new();
        for _ in 0..12 {
            *servers.entry(echo(client, target, "hello").unwrap()).or_default() += 1;
        }
        assert_eq!(servers, BTreeMap::from(weights.map(|(name, weight)| (name.to_owned(), 2 * weight))));

        let names = echoes(client, target, &["one", "two", "three", "four"]).unwrap();
        assert!(names.iter().all(|name| *name == names[0]), "{names:?}");
    }
}

#[test]
fn empty_and_large_datagrams_come_back() {
    let Some(lab) = pair() else { return };
    // The largest that one packet of 1500 bytes holds, with the server's name and a space in the answer.
    let large = "x".repeat(1500 - 20 - 8 - 3);
    for address in [NAT_VIP, DIRECT_VIP] {
        echoes(lab.client().unwrap(), SocketAddrV4::new(address, UDP_PORT), &["", &large]).unwrap();
    }
}
