//! What the daemon copies to the peer, and what the peer has told: marks, and whose an entry is.

use lb_common::{
    ConnState, IPPROTO_TCP, LastHop, Reason,
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
            remember_of_peer(world, ConnState::Established);
            // Where the server sends, nothing of the client was seen here: its neighbour is known from the peer.
            world.passes(side, flags);
            let meta = world.program.flows().unwrap()[0].meta;
            assert!(!meta.is_peers() && meta.hop() == HOP, "{side} {flags}: {meta:?}");
        }
    });
}

/// A client takes its port again, the peer schedules the new connection, and dies or hands over before it has told of it.
#[test]
fn where_the_peer_says_that_a_connection_is_over_it_may_know_a_later_one() {
    for state in [ConnState::TimeWait, ConnState::Close] {
        with_world(|world| {
            remember_of_peer(world, state);
            let before = world.program.flows().unwrap();
            for flags in ["A", "PA", "FA", "R"] {
                let frame = from_client(flags);
                world.public(flags, &frame, transmit(Reason::SecondChance, &to_peer(frame.clone())));
            }
            assert_eq!(world.program.flows().unwrap(), before, "it knows no more than the peer");
            // The peer knows no later one either.
            let back = from_client("A").link(PEER_MAC, PUBLIC_MAC);
            world.public("back", &back, redirect(Reason::NatIn, &to_server(back.clone(), 1)));
        });
    }
}

/// Where replies never pass, nobody can tell a half-closed connection from one that is over.
#[test]
fn with_direct_routing_that_holds_where_the_client_has_closed() {
    with_world(|world| {
        world.use_direct_routing();
        remember_of_peer(world, ConnState::FinWait);
        let frame = from_client("A");
        world.public("FIN_WAIT", &frame, transmit(Reason::SecondChance, &to_peer(frame.clone())));
    });
}

#[test]
fn what_is_over_here_or_half_closed_at_the_peer_goes_on() {
    for (state, is_peers) in
        [(ConnState::TimeWait, false), (ConnState::FinWait, true), (ConnState::CloseWait, true)]
    {
        with_world(|world| {
            remember_of_peer(world, state);
            if !is_peers {
                let Flow { bucket, way, key, meta } = world.program.flows().unwrap()[0];
                let meta = meta.used(state, meta.seen());
                world.program.set_flow(&Flow { bucket, way, key, meta }).unwrap();
            }
            let frame = from_client("A");
            world.public(state.name(), &frame, redirect(Reason::NatIn, &to_server(frame.clone(), 1)));
        });
    }
}

#[test]
fn without_a_peer_what_is_over_at_it_goes_on_here() {
    with_world(|world| {
        remember_of_peer(world, ConnState::TimeWait);
        world.program.remove_peer_hop(world.public).unwrap();
        let frame = from_client("A");
        world.public("alone", &frame, redirect(Reason::NatIn, &to_server(frame.clone(), 1)));
    });
}

/// Puts a connection in `state` into the table that the peer has told of, some seconds old.
fn remember_of_peer(world: &mut World, state: ConnState) {
    let seen = Stamp::new(world.program.now().unwrap().number().wrapping_sub(40));
    let meta = Meta::new(IPPROTO_TCP, state, seen, GENERATION, HOP);
    let meta = meta.of_peer().in_phase(Phase::Live);
    let [bucket, _] = Program::buckets(flow_client(), IPPROTO_TCP);
    world.program.set_last_hop(HOP, LastHop::new(world.public, CLIENT_MAC, PUBLIC_MAC)).unwrap();
    world.program.set_flow(&Flow { bucket, way: 0, key: Key::new(flow_client(), 1), meta }).unwrap();
    assert!(world.program.flows().unwrap()[0].meta.is_peers());
}
