//! When a connection is still the same connection: age, state, generation.

use lb_common::{ConnState, Direction, Flow, FlowKey, IPPROTO_TCP, RealState, Reason};
use nix::time::{ClockId, clock_gettime};

use super::world::*;

/// Nanoseconds in a second.
const SECOND: u64 = 1_000_000_000;

/// Nanoseconds of the clock that the program stamps flows with.
fn now() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
    u64::try_from(now.tv_sec()).unwrap() * SECOND + u64::try_from(now.tv_nsec()).unwrap()
}

/// Puts a connection of the client with real server 1 into the table, in `state`, last seen `age` seconds ago.
fn remember(world: &mut World, state: ConnState, age: u64) {
    let (original, reply) = keys(IPPROTO_TCP);
    let last_seen = now() - age * SECOND;
    let flow = |direction, other| {
        let hop = (world.public, CLIENT_MAC, PUBLIC_MAC);
        Flow::new(direction, state, last_seen, 1, GENERATION, other, hop.0, hop.1, hop.2)
    };
    let (first, second) = (flow(Direction::Original, reply), flow(Direction::Reply, original));
    world.program.set_flow(original, first).unwrap();
    world.program.set_flow(reply, second).unwrap();
}

fn state(world: &mut World) -> Option<ConnState> {
    let flows = world.program.flows().unwrap();
    flows.get(&keys(IPPROTO_TCP).0).and_then(|flow| ConnState::from_u8(flow.state))
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
            if side == "client" {
                let frame = from_client(flags);
                world.public(flags, &frame, redirect(Reason::NatIn, &to_server(frame.clone(), 1)));
            } else {
                let frame = from_server(1, flags);
                world.private(flags, &frame, redirect(Reason::NatOut, &to_client(frame.clone())));
            }
            assert_eq!(state(world), Some(expected), "after {flags} of the {side}");
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
            // A second more than enough: the program's clock is coarse.
            let too_old = known.timeout_secs() + 1;
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
            let keys: Vec<FlowKey> = world.program.flows().unwrap().into_keys().collect();
            assert_eq!(keys.len(), 2, "{}: no entry is left behind: {keys:?}", old.name());
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
fn a_reply_entry_left_behind_is_not_used() {
    with_world(|world| {
        remember(world, ConnState::Established, 1);
        let (original, _) = keys(IPPROTO_TCP);
        let mut flow = world.program.flows().unwrap()[&original];
        flow.real = 2;
        flow.other.source = server(2).ip().octets();
        world.program.set_flow(original, flow).unwrap();
        let answer = from_server(1, "A");
        let offered = answer.clone().link(PRIVATE_MAC, PEER_PRIVATE_MAC);
        world.private("stale", &answer, transmit(Reason::SecondChance, &offered));
    });
}

#[test]
fn the_age_is_written_when_it_matters() {
    with_world(|world| {
        let ack = from_client("A");
        let (original, _) = keys(IPPROTO_TCP);
        remember(world, ConnState::Established, 30);
        world.public("old", &ack, redirect(Reason::NatIn, &to_server(ack.clone(), 1)));
        let touched = world.program.flows().unwrap()[&original].last_seen;
        assert!(now() - touched < 10 * SECOND, "the packet makes the connection young");
        let mut flow = world.program.flows().unwrap()[&original];
        // In the future, so that no busy machine makes it old meanwhile.
        flow.last_seen = now() + 600 * SECOND;
        world.program.set_flow(original, flow).unwrap();
        world.public("young", &ack, redirect(Reason::NatIn, &to_server(ack.clone(), 1)));
        assert_eq!(world.program.flows().unwrap()[&original], flow, "a busy connection is not written to");
    });
}
