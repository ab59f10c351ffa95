//! Streams over paths of either family, and from one path to the next.

use super::*;

/// An interface with both ends of a link-local path.
const INTERFACE: &str = "lbdtest0";

#[test]
fn a_pair_without_a_path_over_ipv4_copies_its_connections() {
    in_namespace(async {
        for end in [1, 2] {
            ip(&format!("address add fd00::{end}/128 dev lo"));
        }
        copies_over("fd00::").await;
    });
}

#[test]
fn a_pair_with_link_local_addresses_alone_copies_its_connections() {
    in_namespace(async {
        make_interface();
        copies_over("fe80::").await;
    });
}

#[test]
fn the_next_path_is_taken_where_one_leads_nowhere_whatever_their_families() {
    for starts in [["127.0.0.", "fd00::"], ["fd00::", "127.0.0."]] {
        in_namespace(async move {
            for end in [1, 2, 9] {
                ip(&format!("address add fd00::{end}/128 dev lo"));
            }
            let (alpha, beta) = (table(4), table(4));
            let [first, second] = [on(&starts, 1, 2), on(&starts, 2, 1)].map(|mut peer| {
                // Nobody listens there.
                peer.paths[0].remote = address(&format!("{}9", starts[0]));
                peer
            });
            let _first = start_with(&alpha, first, Role::Active);
            let second = start_with(&beta, second, Role::Standby);
            becomes("beta is in sync", || *second.handle.in_sync.borrow()).await;
        });
    }
}

#[test]
fn the_stream_comes_back_over_another_path_when_its_own_is_lost() {
    in_namespace(async {
        make_interface();
        let (alpha, beta) = (table(4), table(4));
        let starts = ["fe80::", "127.0.0."];
        let _first = start_with(&alpha, on(&starts, 1, 2), Role::Active);
        let second = start_with(&beta, on(&starts, 2, 1), Role::Standby);
        becomes("beta is in sync over the first path", || *second.handle.in_sync.borrow()).await;
        ip(&format!("link del {INTERFACE}"));
        becomes("beta has noticed", || !*second.handle.in_sync.borrow()).await;
        alpha.open(client(1), server(0), Established);
        becomes("beta follows over the second one", || beta.flows() == alpha.flows()).await;
    });
}

#[test]
fn a_link_local_path_whose_interface_was_made_anew_works_again() {
    in_namespace(async {
        make_interface();
        let (alpha, beta) = (table(4), table(4));
        let _first = start_with(&alpha, on(&["fe80::"], 1, 2), Role::Active);
        let second = start_with(&beta, on(&["fe80::"], 2, 1), Role::Standby);
        becomes("beta is in sync", || *second.handle.in_sync.borrow()).await;
        ip(&format!("link del {INTERFACE}"));
        becomes("the stream is lost", || !*second.handle.in_sync.borrow()).await;
        make_interface();
        alpha.open(client(1), server(0), Established);
        becomes("beta follows again", || beta.flows() == alpha.flows()).await;
    });
}

#[test]
fn a_stranger_on_the_peers_segment_is_sent_away() {
    in_namespace(async {
        make_interface();
        ip(&format!("address add fe80::3/64 dev {INTERFACE} nodad"));
        let first = start_with(&table(4), on(&["fe80::"], 1, 2), Role::Active);
        let end = |number: u8, port| endpoint::resolve(&address(&format!("fe80::{number}")), port).unwrap();
        let socket = TcpSocket::new_v6().unwrap();
        socket.bind(end(3, 0)).unwrap();
        let mut stranger = socket.connect(end(1, PORT)).await.unwrap();
        is_closed(&mut stranger).await;
        assert_eq!(first.handle.status().rejected.get("stranger"), Some(&1));
    });
}

/// A pair whose only path is between addresses that begin so gets in sync.
async fn copies_over(start: &str) {
    let (alpha, beta) = (table(4), table(4));
    alpha.open(client(1), server(0), Established);
    let first = start_with(&alpha, on(&[start], 1, 2), Role::Active);
    let second = start_with(&beta, on(&[start], 2, 1), Role::Standby);
    becomes("beta is in sync", || *second.handle.in_sync.borrow()).await;
    assert_eq!(beta.flows(), alpha.flows());
    assert_eq!(first.handle.status().rejected, [].into());
}

/// The end `own` of paths between addresses that begin so.
fn on(starts: &[&str], own: u8, other: u8) -> Peer {
    let path = |start: &&str| HeartbeatPath {
        local: address(&format!("{start}{own}")),
        remote: address(&format!("{start}{other}")),
    };
    Peer { paths: starts.iter().map(path).collect(), ..peer(ALPHA, BETA, b"0123456789abcdef") }
}

/// The address in `text`; a link-local one is on the test's interface.
fn address(text: &str) -> HostAddress {
    let interface = text.starts_with("fe80").then(|| INTERFACE.to_owned());
    HostAddress { ip: text.parse().unwrap(), interface }
}

fn make_interface() {
    ip(&format!("link add {INTERFACE} type veth peer lbdtest1"));
    ip("link set lbdtest1 up");
    ip(&format!("link set {INTERFACE} up"));
    for end in [1, 2] {
        ip(&format!("address add fe80::{end}/64 dev {INTERFACE} nodad"));
    }
}
