//! When a connection is still the same connection: age, state, generation.

use lb_common::{
    ConnState, IPPROTO_TCP, LastHop, RealState, Reason,
    flow_table::{Key, Meta, Phase, Stamp, Timeouts},
};
use lb_tests::prog::{Flow, Program};
use nix::time::{ClockId, clock_getres};

use super::world::*;

/// Number of the client in the table of last hops, where a test puts it there.
const HOP: u16 = 77;

/// How long connections live on this kernel, whose coarse clock advances once a jiffy.
pub(crate) fn timeouts() -> Timeouts {
    let tick = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE).unwrap().tv_nsec();
    Timeouts::at(u32::try_from((1_000_000_000 + tick / 2) / tick).unwrap())
}

/// Puts a connection of the client with real server 1 into the table, in `state`, last seen `age` units ago.
fn remember(world: &mut World, state: ConnState, age: u32) {
    let seen = Stamp::new(world.program.now().unwrap().number().wrapping_sub(age));
    let meta = Meta::new(IPPROTO_TCP, state, seen, GENERATION, HOP).in_phase(Phase::Live);
    let [bucket, _] = Program::buckets(flow_client(), IPPROTO_TCP);
    let flow = Flow { bucket, way: 0, key: Key::new(flow_client(), 1), meta };
    world.program.set_last_hop(HOP, LastHop::new(world.public, CLIENT_MAC, PUBLIC_MAC)).unwrap();
    world.program.set_flow(&flow).unwrap();
}

/// State of the only connection.
fn state(world: &mut World) -> ConnState {
    let flows = world.program.flows().unwrap();
    assert_eq!(flows.len(), 1, "{flows:?}");
    flows[0].meta.state()
}

#[test]
fn the_state_follows_both_sides() {
    // Who sends, the flags, the state after it.
    let life = [
        ("client", "S", ConnState::SynRecv),
        ("server", "SA", ConnState::SynRecv),
        ("client", "A", ConnState::Established),
        ("server", "PA", ConnState::Established),
        ("server", "FA", ConnState::FinWait),
        ("client", "A", ConnState::FinWait),
        ("client", "FA", ConnState::TimeWait),
        ("server", "A", ConnState::TimeWait),
    ];
    with_world(|world| {
        for (side, flags, expected) in life {
            world.passes(side, flags);
            assert_eq!(state(world), expected, "after {flags} of the {side}");
        }
    });
}

#[test]
fn a_connection_is_forgotten_when_its_state_says() {
    with_world(|world| {
        for known in ConnState::ALL {
            if known == ConnState::None {
                continue;
            }
            let ack = from_client("A");
            let too_old = timeouts().0[known as usize];
            remember(world, known, too_old / 2);
            world.public(known.name(), &ack, redirect(Reason::NatIn, &to_server(ack.clone(), 1)));
            remember(world, known, too_old);
            world.public(known.name(), &ack, transmit(Reason::SecondChance, &to_peer(ack.clone())));
            remember(world, known, too_old);
            let answer = from_server(1, "A");
            let offered = answer.clone().link(PRIVATE_MAC, PEER_PRIVATE_MAC);
            world.private(known.name(), &answer, transmit(Reason::SecondChance, &offered));
        }
    });
}

#[test]
fn a_new_syn_starts_anew_where_the_old_connection_is_over() {
    let rows = [
        (ConnState::TimeWait, true),
        (ConnState::Close, true),
        (ConnState::FinWait, false),
        (ConnState::Established, false),
        (ConnState::SynRecv, false),
        (ConnState::CloseWait, false),
        (ConnState::LastAck, false),
    ];
    with_world(|world| {
        for (old, starts_anew) in rows {
            world.reset();
            world.program.set_position(TCP_RING, 1).unwrap();
            remember(world, old, 1);
            let syn = from_client("S");
            let real = if starts_anew { 2 } else { 1 };
            world.public(old.name(), &syn, redirect(Reason::NatIn, &to_server(syn.clone(), real)));
            let flows = world.program.flows().unwrap();
            assert_eq!(flows.len(), 1, "{}: no entry is left behind: {flows:?}", old.name());
            assert_eq!(u32::from(flows[0].key.real()), real);
        }
    });
}

#[test]
fn with_direct_routing_a_syn_starts_anew_in_fin_wait_too() {
    with_world(|world| {
        world.use_direct_routing();
        world.program.set_position(TCP_RING, 1).unwrap();
        remember(world, ConnState::FinWait, 1);
        let syn = from_client("S");
        world.public("SYN", &syn, transmit(Reason::Direct, &to_direct_server(syn.clone(), 2)));
    });
}

#[test]
fn a_standby_sends_a_syn_that_starts_anew_to_the_peer() {
    with_world(|world| {
        remember(world, ConnState::TimeWait, 1);
        world.program.set_role(lb_common::RouterRole::Standby).unwrap();
        let syn = from_client("S");
        world.public("SYN", &syn, transmit(Reason::SecondChance, &to_peer(syn.clone())));
    });
}

#[test]
fn a_real_server_that_is_gone_takes_its_connections_along() {
    with_world(|world| {
        let ack = from_client("A");
        remember(world, ConnState::Established, 1);
        world.change_real(1, |real| real.generation += 1);
        world.public("new owner of the slot", &ack, transmit(Reason::SecondChance, &to_peer(ack.clone())));
        world.change_real(1, |real| real.state = RealState::Removed as u8);
        world.public("removed", &ack, transmit(Reason::SecondChance, &to_peer(ack.clone())));
        for state in [RealState::Quiesced, RealState::Down] {
            world.change_real(1, |real| real.state = state as u8);
            world.public("not up", &ack, redirect(Reason::NatIn, &to_server(ack.clone(), 1)));
        }
    });
}

#[test]
fn a_reply_of_another_real_server_is_not_the_connections() {
    with_world(|world| {
        remember(world, ConnState::Established, 1);
        let answer = from_server(2, "A");
        let offered = answer.clone().link(PRIVATE_MAC, PEER_PRIVATE_MAC);
        world.private("stranger", &answer, transmit(Reason::SecondChance, &offered));
    });
}

#[test]
fn the_age_is_written_when_it_matters() {
    with_world(|world| {
        let ack = from_client("A");
        let age = timeouts().0[ConnState::Established as usize] / 2;
        remember(world, ConnState::Established, age);
        world.public("old", &ack, redirect(Reason::NatIn, &to_server(ack.clone(), 1)));
        let touched = world.program.flows().unwrap()[0].meta.seen();
        assert!(
            world.program.now().unwrap().since(touched) < age / 2,
            "the packet makes the connection young"
        );
        let mut flow = world.program.flows().unwrap()[0];
        // In the future, so that no busy machine makes it old meanwhile.
        let later = Stamp::new(world.program.now().unwrap().number() + age);
        flow.meta = flow.meta.used(ConnState::Established, later);
        world.program.set_flow(&flow).unwrap();
        world.public("young", &ack, redirect(Reason::NatIn, &to_server(ack.clone(), 1)));
        assert_eq!(world.program.flows().unwrap(), [flow], "a busy connection is not written to");
    });
}

#[test]
fn the_last_hop_follows_the_client() {
    with_world(|world| {
        remember(world, ConnState::Established, 1);
        let moved = [2, 0, 0, 0, 0, 0xc2];
        let ack = from_client("A").link(moved, PUBLIC_MAC);
        world.public("another gateway", &ack, redirect(Reason::NatIn, &to_server(ack.clone(), 1)));
        let answer = from_server(1, "A");
        let back = to_client(answer.clone()).link(PUBLIC_MAC, moved);
        world.private("answer", &answer, redirect(Reason::NatOut, &back));
        let hop = world.program.flows().unwrap()[0].meta.hop();
        assert_eq!(world.program.last_hop(hop).unwrap(), LastHop::new(world.public, moved, PUBLIC_MAC));
        world.public("again", &ack, redirect(Reason::NatIn, &to_server(ack.clone(), 1)));
        assert_eq!(world.program.flows().unwrap()[0].meta.hop(), hop, "one neighbour has one number");
    });
}
