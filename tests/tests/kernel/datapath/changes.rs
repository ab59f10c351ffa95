//! What the daemon copies to the peer, and what the peer has told: marks, and whose an entry is.

use lb_common::{
    ConnState, IPPROTO_TCP, LastHop,
    flow_table::{Key, Meta, Phase, Stamp},
};
use lb_tests::prog::{Flow, Program};

use super::world::*;

/// Number of the client in the table of last hops.
const HOP: u16 = 77;

#[test]
fn both_buckets_are_marked_when_a_connection_is_made_or_changes_and_not_for_each_packet() {
    // Who sends, the flags, whether that is a change.
    let life = [
        ("client", "S", true),
        ("client", "A", true),
        ("client", "PA", false),
        ("server", "PA", false),
        ("server", "FA", true),
        ("client", "FA", true),
        ("client", "A", false),
        // The ports are used again.
        ("client", "S", true),
    ];
    with_world(|world| {
        world.program.take_marks().unwrap();
        let mut buckets = Program::buckets(flow_client(), IPPROTO_TCP);
        buckets.sort_unstable();
        for (number, (side, flags, is_change)) in life.into_iter().enumerate() {
            let (ingress, frame) = match side {
                "client" => (world.public, from_client(flags)),
                _ => (world.private, from_server(1, flags)),
            };
            world.program.run(ingress, &frame.bytes()).unwrap();
            let marked = world.program.take_marks().unwrap();
            assert_eq!(marked, if is_change { buckets.to_vec() } else { vec![] }, "{number}: {side} {flags}");
        }
    });
}

#[test]
fn a_connection_of_the_peer_is_this_routers_after_a_packet_and_knows_the_way_back() {
    with_world(|world| {
        for (side, flags) in [("client", "A"), ("client", "FA"), ("server", "PA"), ("server", "FA")] {
            remember_of_peer(world);
            // Where the server sends, nothing of the client was seen here: its neighbour is known from the peer.
            world.passes(side, flags);
            let meta = world.program.flows().unwrap()[0].meta;
            assert!(!meta.is_peers() && meta.hop() == HOP, "{side} {flags}: {meta:?}");
        }
    });
}

/// Puts a connection into the table that the peer has told of, some seconds old.
fn remember_of_peer(world: &mut World) {
    let seen = Stamp::new(world.program.now().unwrap().number().wrapping_sub(200));
    let meta = Meta::new(IPPROTO_TCP, ConnState::Established, seen, GENERATION, HOP);
    let meta = meta.of_peer().in_phase(Phase::Live);
    let [bucket, _] = Program::buckets(flow_client(), IPPROTO_TCP);
    world.program.set_last_hop(HOP, LastHop::new(world.public, CLIENT_MAC, PUBLIC_MAC)).unwrap();
    world.program.set_flow(&Flow { bucket, way: 0, key: Key::new(flow_client(), 1), meta }).unwrap();
    assert!(world.program.flows().unwrap()[0].meta.is_peers());
}
