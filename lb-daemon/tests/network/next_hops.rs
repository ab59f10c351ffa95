//! Next hops as the kernel resolves them.

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    net::{Ipv4Addr, UdpSocket},
    time::Duration,
};

use lb_daemon::{
    netlink::{self, Watcher},
    topology::Topology,
};
use tokio::{sync::watch, time::timeout};

use crate::lab::{self, Namespace, ip};

/// The peer's address on the segment.
const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
/// An address that the peer is the gateway to.
const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 7);
const OWN: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
/// An address on the segment that nobody has.
const NOBODY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 99);

const OWN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];
const NEW_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0x22];

/// Far more than any of this takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

#[test]
fn interfaces_are_those_of_this_namespace() {
    lab::with_peer(async |_peer| {
        let names = netlink::interfaces().await.unwrap();
        assert_eq!(names, ["lan".to_owned(), "lo".to_owned()].into());
    });
}

#[test]
fn a_direct_target_is_resolved_and_managed() {
    lab::with_peer(async |peer| {
        let (_targets, mut watcher) = set_up(&peer, [NEAR, OWN, NOBODY]).await;
        let topology = until(&mut watcher, |topology| topology.next_hops.contains_key(&NEAR)).await;
        let hop = topology.next_hops[&NEAR];
        assert_eq!((hop.mac, hop.source_mac), (PEER_MAC, OWN_MAC));
        assert_eq!(hop.ifindex, topology.links["lan"].index);
        assert!(topology.links["lan"].up);
        assert!(topology.locals.contains(&OWN));
        let own = |vip: &lb_daemon::config::Vip| vip.address.addr() == OWN && vip.interface == "lan";
        assert!(topology.addresses.iter().any(own), "{:?}", topology.addresses);
        assert_eq!(
            topology.next_hops.keys().collect::<Vec<_>>(),
            [&NEAR],
            "no own address, nobody's neither"
        );
        let entry = ip("-d neigh show 10.77.0.2 dev lan");
        assert!(entry.contains("managed") && entry.contains("proto 76"), "{entry}");
    });
}

#[test]
fn a_target_behind_a_gateway_has_the_gateways_mac() {
    lab::with_peer(async |peer| {
        let (_targets, mut watcher) = set_up(&peer, [FAR]).await;
        assert!(!watcher.topology.borrow().next_hops.contains_key(&FAR), "no route yet");
        ip("route add 192.0.2.0/24 via 10.77.0.2");
        let topology = until(&mut watcher, |topology| topology.next_hops.contains_key(&FAR)).await;
        assert_eq!(topology.next_hops[&FAR].mac, PEER_MAC);
        ip("route del 192.0.2.0/24 via 10.77.0.2");
        until(&mut watcher, |topology| topology.next_hops.is_empty()).await;
    });
}

#[test]
fn a_new_mac_address_of_the_neighbour_is_noticed() {
    lab::with_peer(async |peer| {
        let (_targets, mut watcher) = set_up(&peer, [NEAR]).await;
        until(&mut watcher, |topology| topology.next_hops.contains_key(&NEAR)).await;
        peer.ip("link set wire address 02:00:00:00:00:22");
        // The kernel heeds a new MAC address only some time after the last one (`locktime`), so the peer speaks up
        // again and again, as a living server does.
        let speaking = async {
            loop {
                peer.run(speak);
                tokio::time::sleep(Duration::from_millis(200)).await;
                peer.ip("neigh flush dev wire");
            }
        };
        tokio::select! {
            _ = until(&mut watcher, |topology| topology.next_hops.get(&NEAR).is_some_and(|hop| hop.mac == NEW_MAC)) => {}
            () = speaking => {}
        }
    });
}

#[test]
fn an_own_new_mac_address_is_noticed() {
    lab::with_peer(async |peer| {
        let (_targets, mut watcher) = set_up(&peer, [NEAR]).await;
        ip("link set lan address 02:00:00:00:00:11");
        let fresh = |topology: &Topology| {
            topology.next_hops.get(&NEAR).is_some_and(|hop| hop.source_mac == [2, 0, 0, 0, 0, 0x11])
        };
        until(&mut watcher, fresh).await;
    });
}

#[test]
fn an_address_that_becomes_an_own_one_is_no_target() {
    lab::with_peer(async |peer| {
        let (_targets, mut watcher) = set_up(&peer, [NEAR]).await;
        until(&mut watcher, |topology| topology.next_hops.contains_key(&NEAR)).await;
        ip("address add 10.77.0.2/32 dev lo");
        let own = |topology: &Topology| topology.locals.contains(&NEAR) && topology.next_hops.is_empty();
        until(&mut watcher, own).await;
        ip("address del 10.77.0.2/32 dev lo");
        let back =
            |topology: &Topology| !topology.locals.contains(&NEAR) && topology.next_hops.contains_key(&NEAR);
        until(&mut watcher, back).await;
    });
}

#[test]
fn a_link_without_carrier_is_down_and_comes_back() {
    lab::with_peer(async |peer| {
        let (_targets, mut watcher) = set_up(&peer, [NEAR]).await;
        until(&mut watcher, |topology| topology.next_hops.contains_key(&NEAR)).await;
        peer.ip("link set wire down");
        let down = |topology: &Topology| !topology.links["lan"].up && topology.next_hops.is_empty();
        until(&mut watcher, down).await;
        peer.ip("link set wire up");
        let back = |topology: &Topology| topology.links["lan"].up && topology.next_hops.contains_key(&NEAR);
        until(&mut watcher, back).await;
    });
}

#[test]
fn targets_come_and_go() {
    lab::with_peer(async |peer| {
        let (targets, mut watcher) = set_up(&peer, []).await;
        assert!(watcher.topology.borrow().next_hops.is_empty());
        targets.send_replace([NEAR].into());
        until(&mut watcher, |topology| topology.next_hops.contains_key(&NEAR)).await;
        targets.send_replace(BTreeSet::new());
        until(&mut watcher, |topology| topology.next_hops.is_empty()).await;
        patiently(|| !ip("-d neigh show dev lan").contains("managed")).await;
    });
}

#[test]
fn a_permanent_entry_is_used_and_left_alone() {
    lab::with_peer(async |_peer| {
        ip("address add 10.77.0.1/24 dev lan");
        ip("neigh add 10.77.0.99 dev lan lladdr 02:00:00:00:00:99 nud permanent");
        let (targets, mut watcher) = watch_for([NOBODY]).await;
        assert_eq!(watcher.topology.borrow().next_hops[&NOBODY].mac, [2, 0, 0, 0, 0, 0x99]);
        let entry = ip("-d neigh show 10.77.0.99 dev lan");
        assert!(entry.contains("PERMANENT") && !entry.contains("managed"), "{entry}");
        targets.send_replace(BTreeSet::new());
        until(&mut watcher, |topology| topology.next_hops.is_empty()).await;
        assert!(ip("neigh show 10.77.0.99 dev lan").contains("PERMANENT"));
    });
}

#[test]
fn a_flushed_entry_is_made_again() {
    lab::with_peer(async |peer| {
        let (_targets, mut watcher) = set_up(&peer, [NEAR]).await;
        until(&mut watcher, |topology| topology.next_hops.contains_key(&NEAR)).await;
        ip("neigh del 10.77.0.2 dev lan");
        patiently(|| ip("-d neigh show 10.77.0.2 dev lan").contains("managed")).await;
        until(&mut watcher, |topology| topology.next_hops.contains_key(&NEAR)).await;
    });
}

#[test]
fn a_new_watcher_takes_over_what_an_old_one_left() {
    lab::with_peer(async |peer| {
        let (targets, mut watcher) = set_up(&peer, [NEAR]).await;
        until(&mut watcher, |topology| topology.next_hops.contains_key(&NEAR)).await;
        drop((targets, watcher));
        assert!(ip("-d neigh show dev lan").contains("managed"), "packets flow on without the daemon");
        let (_targets, _watcher) = watch_for([FAR]).await;
        patiently(|| !ip("-d neigh show dev lan").contains("managed")).await;
    });
}

#[test]
fn a_flood_of_notifications_loses_nothing() {
    lab::with_peer(async |_peer| {
        let (_targets, mut watcher) = watch_for([]).await;
        let wanted: BTreeSet<Ipv4Addr> =
            (0..4000_u16).map(|n| Ipv4Addr::from(0x0a50_0000 + u32::from(n))).collect();
        let mut batch = tempfile::NamedTempFile::new().unwrap();
        for address in &wanted {
            writeln!(batch, "address add {address}/32 dev lan").unwrap();
        }
        // The runtime stands still meanwhile, and nobody reads the socket.
        ip(&format!("-batch {}", batch.path().display()));
        assert!(dropped() > 0, "the flood was none");
        until(&mut watcher, |topology| topology.locals.is_superset(&wanted)).await;
    });
}

/// Gives both ends addresses, and watches.
async fn set_up<const N: usize>(
    peer: &Namespace,
    targets: [Ipv4Addr; N],
) -> (watch::Sender<BTreeSet<Ipv4Addr>>, Watcher) {
    ip("link set lan address 02:00:00:00:00:01");
    ip("address add 10.77.0.1/24 dev lan");
    peer.ip("link set wire address 02:00:00:00:00:02");
    peer.ip("address add 10.77.0.2/24 dev wire");
    watch_for(targets).await
}

async fn watch_for<const N: usize>(targets: [Ipv4Addr; N]) -> (watch::Sender<BTreeSet<Ipv4Addr>>, Watcher) {
    let (sender, receiver) = watch::channel(targets.into());
    (sender, netlink::watch(receiver).await.expect("netlink answers"))
}

/// Sends a datagram to the router, for which the peer has to ask for its MAC address.
fn speak() {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    // It may well be refused: it is the ARP request before it that counts.
    drop(socket.send_to(b"hello", (OWN, 9)));
}

/// Notifications that the netlink sockets of this namespace had no room for: the column "Drops" of
/// /proc/net/netlink.
fn dropped() -> u64 {
    let table = fs::read_to_string("/proc/thread-self/net/netlink").unwrap();
    table.lines().skip(1).map(|line| line.split_whitespace().nth(8).unwrap().parse::<u64>().unwrap()).sum()
}

/// Waits for a topology.
async fn until(watcher: &mut Watcher, wanted: impl FnMut(&Topology) -> bool) -> Topology {
    let last = watcher.topology.clone();
    match timeout(PATIENCE, watcher.topology.wait_for(wanted)).await {
        Ok(topology) => topology.expect("the watcher lives").clone(),
        Err(_) => panic!("it never came to this: {:#?}", *last.borrow()),
    }
}

/// Waits for something that shows outside of the watcher.
async fn patiently(mut condition: impl FnMut() -> bool) {
    let waiting = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("it comes to this in the end");
}
