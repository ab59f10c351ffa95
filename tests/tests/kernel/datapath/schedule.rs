//! Which real server a new connection goes to: the kernel's IPVS decides the same, connection by connection.

use std::net::SocketAddrV4;

use lb_common::{
    IPPROTO_TCP, IPPROTO_UDP, MH_SLOTS, RING_SLOTS, RealState, Reason, SH_BUCKETS, Scheduler, Service,
    ServiceKey,
};
use lb_daemon::schedule::{Member, schedule};
use lb_tests::packet::Frame;

use super::world::*;

/// `rr` of the kernel over rs1, rs2 and rs3, added in this order: the last added comes first.
const ROUND_ROBIN: [u16; 3] = [3, 2, 1];
/// `wrr` of the kernel over rs1, rs2 and rs3 with the weights 1, 2 and 3.
const WEIGHTED: [u16; 6] = [3, 2, 1, 3, 3, 2];
/// `sh` of the kernel over the same: sixty connections from 10.0.0.101 on, recorded.
const SOURCE_HASH: [u16; 60] = [
    3, 3, 1, 3, 2, 3, 3, 3, 3, 2, 3, 2, 1, 2, 1, 3, 2, 3, 2, 1, 3, 1, 3, 1, 3, 3, 3, 3, 3, 3, 2, 3, 2, 2, 3,
    2, 3, 2, 1, 2, 1, 2, 1, 3, 2, 3, 3, 1, 3, 1, 3, 2, 3, 3, 2, 3, 2, 3, 2, 1,
];

/// The table that the kernel's `sh` fills for the weights 1, 2 and 3: each server takes as many buckets in a row as its
/// weight says, the last added first.
fn source_hash_ring() -> Vec<u16> {
    [3, 3, 3, 2, 2, 1].into_iter().cycle().take(SH_BUCKETS).collect()
}

/// `mh` over rs1, rs2 and rs3 with the weights 1, 2 and 3: sixty connections from 10.0.0.101 on, computed from what
/// `docs/scheduling.md` says by a program that shares no code with ours.
const MAGLEV: [u16; 60] = [
    3, 3, 1, 1, 3, 3, 1, 2, 3, 1, 2, 3, 3, 2, 2, 3, 3, 2, 3, 1, 3, 2, 2, 3, 3, 1, 2, 2, 3, 3, 3, 2, 3, 3, 2,
    3, 2, 3, 2, 3, 3, 3, 3, 3, 1, 3, 3, 2, 3, 2, 2, 2, 3, 3, 3, 3, 3, 1, 2, 3,
];

/// The table that the daemon makes for the weights 1, 2 and 3.
fn maglev_ring() -> Vec<u16> {
    let members =
        [1, 2, 3].map(|slot| Member { slot, address: server(u32::from(slot)), weight: u32::from(slot) });
    schedule(Scheduler::Maglev, &members, None).ring
}

/// The SYN of connection number `number` of a recording with many sources.
fn syn(number: u32) -> Frame {
    syn_by(number, 20_000)
}

/// The same from another port.
fn syn_by(number: u32, port: u16) -> Frame {
    let [.., last] = (101 + number).to_be_bytes();
    from_client("S").source(SocketAddrV4::new([10, 0, 0, last].into(), port))
}

#[track_caller]
fn expect_sequence(world: &mut World, sequence: impl Iterator<Item = u16>) {
    for (number, real) in (0..60).zip(sequence) {
        let frame = syn(number);
        let expected = redirect(Reason::NatIn, &to_server(frame.clone(), u32::from(real)));
        world.public(&format!("connection {number}"), &frame, expected);
    }
}

#[test]
fn rings_are_taken_in_the_order_of_the_kernel() {
    with_world(|world| {
        world.serve(IPPROTO_TCP, TCP_RING, Scheduler::RoundRobin, &ROUND_ROBIN);
        expect_sequence(world, ROUND_ROBIN.into_iter().cycle());
        world.reset();
        world.serve(IPPROTO_TCP, TCP_RING, Scheduler::WeightedRoundRobin, &WEIGHTED);
        expect_sequence(world, WEIGHTED.into_iter().cycle());
    });
}

#[test]
fn a_ring_gives_no_connection_to_another_services_server() {
    with_world(|world| {
        // What a packet reads that was held up while its ring was written anew.
        world.change_real(1, |real| real.service = 2);
        let frame = from_client("S");
        world.public("SYN", &frame, redirect(Reason::NatIn, &to_server(frame.clone(), 2)));
    });
}

#[test]
fn source_hashing_chooses_as_the_kernel() {
    with_world(|world| {
        world.serve(IPPROTO_TCP, TCP_RING, Scheduler::SourceHash, &source_hash_ring());
        expect_sequence(world, SOURCE_HASH.into_iter());
        assert_eq!(world.program.position(TCP_RING).unwrap(), 0, "a hash has no position");
    });
}

#[test]
fn maglev_hashing_chooses_from_the_daemons_table() {
    with_world(|world| {
        world.serve(IPPROTO_TCP, TCP_RING, Scheduler::Maglev, &maglev_ring());
        expect_sequence(world, MAGLEV.into_iter());
        assert_eq!(world.program.position(TCP_RING).unwrap(), 0, "a hash has no position");
        // The same clients from other ports, after a takeover: to a program that has seen none of them.
        world.reset();
        world.serve(IPPROTO_TCP, TCP_RING, Scheduler::Maglev, &maglev_ring());
        for (number, real) in (0..60).zip(MAGLEV) {
            for port in [1, 65_535] {
                let frame = syn_by(number, port);
                let expected = redirect(Reason::NatIn, &to_server(frame.clone(), u32::from(real)));
                world.public(&format!("client {number}, port {port}"), &frame, expected);
            }
        }
    });
}

#[test]
fn hashing_spreads_the_clients_of_a_server_that_is_not_up() {
    // The servers of tries 0, 1, 2 … of 10.0.0.101 to 10.0.0.104, computed as above.
    const MAGLEV_TRIES: [[u16; 8]; 4] = [
        [3, 3, 1, 2, 1, 3, 2, 1],
        [3, 2, 3, 2, 1, 1, 1, 3],
        [1, 2, 2, 3, 1, 2, 3, 3],
        [1, 2, 3, 3, 3, 3, 3, 2],
    ];
    const SOURCE_HASH_TRIES: [[u16; 8]; 4] = [
        [3, 3, 1, 3, 1, 3, 1, 2],
        [3, 3, 2, 2, 2, 3, 3, 3],
        [1, 3, 2, 3, 2, 3, 2, 2],
        [3, 2, 2, 1, 3, 2, 3, 3],
    ];
    let rows = [
        (Scheduler::Maglev, maglev_ring(), MAGLEV_TRIES),
        (Scheduler::SourceHash, source_hash_ring(), SOURCE_HASH_TRIES),
    ];
    with_world(|world| {
        for (scheduler, ring, tries) in rows {
            for down in 1..=3 {
                world.reset();
                world.serve(IPPROTO_TCP, TCP_RING, scheduler, &ring);
                world.change_real(u32::from(down), |real| real.state = RealState::Down as u8);
                let up = tries.map(|tries| tries.into_iter().find(|real| *real != down).unwrap());
                expect_sequence(world, up.into_iter());
            }
        }
    });
}

#[test]
fn a_maglev_table_is_read_to_its_last_slot() {
    with_world(|world| {
        for slots in [1, 2, MH_SLOTS, RING_SLOTS] {
            world.reset();
            let mut ring = vec![2; slots];
            ring[0] = 1;
            ring[slots - 1] = 3;
            world.serve(IPPROTO_TCP, TCP_RING, Scheduler::Maglev, &ring);
            // The clients of 10.0.0.0/8 with the least and the greatest hash.
            for (client, slot) in [([10, 216, 206, 198], 0), ([10, 137, 140, 82], slots - 1)] {
                let frame = from_client("S").source(SocketAddrV4::new(client.into(), 20_000));
                let expected = redirect(Reason::NatIn, &to_server(frame.clone(), u32::from(ring[slot])));
                world.public(&format!("slot {slot} of {slots}"), &frame, expected);
            }
        }
    });
}

#[test]
fn a_ring_goes_on_where_it_was_and_over_its_end() {
    with_world(|world| {
        world.program.set_position(TCP_RING, 4).unwrap();
        expect_sequence(world, [2, 3, 1, 2].into_iter());
        assert_eq!(world.program.position(TCP_RING).unwrap(), 8);
        world.reset();
        world.program.set_position(TCP_RING, u64::MAX).unwrap();
        // 2^64 - 1 is a multiple of three.
        expect_sequence(world, [1, 1, 2, 3].into_iter());
    });
}

#[test]
fn the_longest_ring_is_read_to_its_last_slot() {
    with_world(|world| {
        let mut slots = vec![1; RING_SLOTS];
        *slots.last_mut().unwrap() = 3;
        world.serve(IPPROTO_TCP, TCP_RING, Scheduler::RoundRobin, &slots);
        world.program.set_position(TCP_RING, RING_SLOTS as u64 - 2).unwrap();
        expect_sequence(world, [1, 3, 1].into_iter());
    });
}

#[test]
fn a_real_server_that_is_not_up_is_passed_over() {
    with_world(|world| {
        for state in [RealState::Removed, RealState::Quiesced, RealState::Down] {
            world.reset();
            world.change_real(1, |real| real.state = state as u8);
            expect_sequence(world, [2, 3, 2, 3].into_iter());
        }
    });
}

#[test]
fn at_most_eight_slots_are_tried() {
    with_world(|world| {
        world.change_real(1, |real| real.state = RealState::Down as u8);
        let slots = |refusing: usize| [vec![1; refusing], vec![2]].concat();
        world.serve(IPPROTO_TCP, TCP_RING, Scheduler::RoundRobin, &slots(7));
        expect_sequence(world, [2].into_iter());
        world.serve(IPPROTO_TCP, TCP_RING, Scheduler::RoundRobin, &slots(8));
        let refused =
            Frame::tcp(vip(), client()).flags("RA").numbers(0, 1001).window(0).identification(0, true);
        let frame = from_client("S");
        world.public("eight", &frame, transmit(Reason::NoServerReset, &refused.link(PUBLIC_MAC, CLIENT_MAC)));
        assert_eq!(world.program.position(TCP_RING).unwrap(), 8);
    });
}

#[test]
fn without_a_real_server_tcp_is_refused_and_udp_dropped() {
    with_world(|world| {
        world.serve(IPPROTO_TCP, TCP_RING, Scheduler::RoundRobin, &[]);
        world.serve(IPPROTO_UDP, UDP_RING, Scheduler::RoundRobin, &[]);
        let refused =
            Frame::tcp(vip(), client()).flags("RA").numbers(0, 1001).window(0).identification(0, true);
        let expected = transmit(Reason::NoServerReset, &refused.clone().link(PUBLIC_MAC, CLIENT_MAC));
        world.public("SYN", &from_client("S"), expected);
        world.public("datagram", &datagram(), drop(Reason::NoServer));
        let by_peer = from_client("S").link(PEER_MAC, PUBLIC_MAC);
        world.public("no route back", &by_peer, drop(Reason::NoServer));
        world.route();
        let expected = transmit(Reason::NoServerReset, &refused.link(PUBLIC_MAC, CLIENT_MAC));
        world.public("routed back", &by_peer, expected);
        assert!(world.program.flows().unwrap().is_empty());
    });
}

#[test]
fn tables_that_make_no_sense_drop_and_say_so() {
    let key = ServiceKey::new(IPPROTO_TCP, vip().ip().octets(), vip().port());
    let ring_len = RING_SLOTS as u32;
    let bad_scheduler = {
        let mut service = Service::new(1, TCP_RING, 3, Scheduler::RoundRobin);
        service.scheduler = 200;
        service
    };
    let services = [
        ("ring too long", Service::new(1, TCP_RING, ring_len + 1, Scheduler::RoundRobin)),
        ("no such ring", Service::new(1, lb_tests::prog::RINGS, 3, Scheduler::RoundRobin)),
        ("no such ring to hash into", Service::new(1, lb_tests::prog::RINGS, 256, Scheduler::SourceHash)),
        ("no such ring for a hash", Service::new(1, lb_tests::prog::RINGS, 3, Scheduler::Maglev)),
        ("no such scheduler", bad_scheduler),
    ];
    with_world(|world| {
        for (row, service) in services {
            world.program.set_service(key, service).unwrap();
            world.public(row, &from_client("S"), drop(Reason::BadTable));
        }
        let beyond = u16::try_from(lb_tests::prog::REALS).unwrap();
        world.serve(IPPROTO_TCP, TCP_RING, Scheduler::RoundRobin, &[beyond]);
        world.public("no such real server", &from_client("S"), drop(Reason::BadTable));
        world.reset();
        world.change_real(1, |real| real.method = 99);
        world.public("no such method", &from_client("S"), drop(Reason::BadTable));
    });
}
