//! Counters of real servers, as `ipvsadm --stats` means them.

use lb_common::{RealCounters, Reason};

use super::world::*;

#[test]
fn connections_packets_and_bytes_are_counted_both_ways() {
    with_world(|world| {
        let syn = from_client("S");
        world.public("SYN", &syn, redirect(Reason::NatIn, &to_server(syn.clone(), 1)));
        let syn_ack = from_server(1, "SA").tag(0x8100, 0xa000);
        world.private("SYN ACK", &syn_ack, redirect(Reason::NatOut, &to_client(syn_ack.clone())));
        let request = from_client("PA").payload(&[0; 100]);
        world.public("request", &request, redirect(Reason::NatIn, &to_server(request.clone(), 1)));
        let expected =
            RealCounters { connections: 1, in_packets: 2, in_bytes: 40 + 140, out_packets: 1, out_bytes: 40 };
        assert_eq!(world.program.real_counters(1).unwrap(), expected);
        assert_eq!(world.program.real_counters(2).unwrap(), RealCounters::default());
    });
}

#[test]
fn direct_routing_counts_the_way_in_alone() {
    with_world(|world| {
        world.use_direct_routing();
        let query = datagram();
        for row in ["first", "second"] {
            world.public(row, &query, transmit(Reason::Direct, &to_direct_server(query.clone(), 1)));
        }
        let expected =
            RealCounters { connections: 1, in_packets: 2, in_bytes: 66, out_packets: 0, out_bytes: 0 };
        assert_eq!(world.program.real_counters(1).unwrap(), expected);
    });
}

#[test]
fn a_packet_that_is_not_forwarded_counts_for_nobody() {
    with_world(|world| {
        world.public("TTL 1", &from_client("S").ttl(1), pass(Reason::TtlExceeded));
        let stray = from_client("A");
        world.public("stray", &stray, transmit(Reason::SecondChance, &to_peer(stray.clone())));
        for index in 0..=3 {
            assert_eq!(world.program.real_counters(index).unwrap(), RealCounters::default());
        }
        assert_eq!(world.program.position(TCP_RING).unwrap(), 0, "nothing was scheduled");
    });
}
