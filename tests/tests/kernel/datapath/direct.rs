//! Direct routing: the real servers answer the clients themselves.

use lb_common::{ConnState, RealState, Reason};

use super::world::*;

#[test]
fn only_addresses_of_the_link_and_the_time_to_live_change() {
    with_world(|world| {
        world.use_direct_routing();
        let syn = from_client("S").tcp_options(&[2, 4, 5, 0xb4]).ip_options(&[1; 4]);
        world.public("SYN", &syn, transmit(Reason::Direct, &to_direct_server(syn.clone(), 1)));
        let tagged = from_client("A").tag(0x8100, 100).payload(b"odd");
        world.public("tagged", &tagged, transmit(Reason::Direct, &to_direct_server(tagged.clone(), 1)));
        let bare = datagram().without_checksum();
        world.public("UDP", &bare, transmit(Reason::Direct, &to_direct_server(bare.clone(), 1)));
        world.public("TTL 1", &syn.clone().ttl(1), pass(Reason::TtlExceeded));
        let last = to_direct_server(syn.clone(), 1).ttl(1);
        world.public("TTL 2", &syn.clone().ttl(2), transmit(Reason::Direct, &last));
        let flows = world.program.flows().unwrap();
        assert_eq!(flows.len(), 2, "one entry a connection: {flows:?}");
    });
}

#[test]
fn a_real_server_on_another_segment_is_reached_by_redirect() {
    with_world(|world| {
        let mut real = world.direct_real(1);
        real.ifindex = world.private;
        real.source_mac = PRIVATE_MAC;
        world.program.set_real(1, real).unwrap();
        let syn = from_client("S");
        let expected = syn.clone().link(PRIVATE_MAC, server_mac(1)).ttl(63);
        world.public("SYN", &syn, redirect(Reason::Direct, &expected));
    });
}

#[test]
fn an_unresolved_next_hop_is_avoided_and_drops_what_it_must() {
    with_world(|world| {
        world.use_direct_routing();
        let (syn, ack) = (from_client("S"), from_client("A"));
        world.public("SYN", &syn, transmit(Reason::Direct, &to_direct_server(syn.clone(), 1)));
        let unresolved = |world: &mut World, index| {
            let real = lb_common::Real { ifindex: 0, ..world.direct_real(index) };
            world.program.set_real(index, real).unwrap();
        };
        unresolved(world, 1);
        world.public("known connection", &ack, drop(Reason::NoNextHop));
        world.program.set_position(TCP_RING, 0).unwrap();
        let other = syn.clone().source(port(40_001));
        world.public("new connection", &other, transmit(Reason::Direct, &to_direct_server(other.clone(), 2)));
        unresolved(world, 2);
        unresolved(world, 3);
        world.public("nowhere to go", &syn.source(port(40_002)), drop(Reason::NoNextHop));
    });
}

#[test]
fn the_state_follows_the_client_alone() {
    let rows = [
        ("S", ConnState::SynRecv),
        ("A", ConnState::Established),
        ("PA", ConnState::Established),
        ("FA", ConnState::FinWait),
        ("A", ConnState::FinWait),
        ("R", ConnState::Close),
    ];
    with_world(|world| {
        world.use_direct_routing();
        for (flags, state) in rows {
            let frame = from_client(flags);
            world.public(flags, &frame, transmit(Reason::Direct, &to_direct_server(frame.clone(), 1)));
            assert_eq!(world.program.flows().unwrap()[0].meta.state(), state, "after {flags}");
        }
    });
}

#[test]
fn a_failed_real_server_keeps_its_connections_but_not_repeated_syns() {
    with_world(|world| {
        world.use_direct_routing();
        let (syn, ack) = (from_client("S"), from_client("A"));
        world.public("SYN", &syn, transmit(Reason::Direct, &to_direct_server(syn.clone(), 1)));
        let real = lb_common::Real { state: RealState::Down as u8, ..world.direct_real(1) };
        world.program.set_real(1, real).unwrap();
        world.public("ACK", &ack, transmit(Reason::Direct, &to_direct_server(ack.clone(), 1)));
        world.public("SYN again", &syn, transmit(Reason::Direct, &to_direct_server(syn.clone(), 2)));
        world.public("ACK again", &ack, transmit(Reason::Direct, &to_direct_server(ack.clone(), 2)));
    });
}
