//! ARP for addresses that move with the active role: answered, that is passed to the kernel, under a lease.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use lb_common::Reason;
use nix::time::{ClockId, clock_gettime};

use super::world::*;

/// Another address of the router, or anybody's.
pub(super) const OTHER: [u8; 4] = [192, 0, 2, 1];
/// Whoever asks.
pub(super) const ASKER: [u8; 4] = [10, 0, 0, 100];
/// The NAT router address.
pub(super) const GATEWAY: [u8; 4] = [10, 1, 0, 254];
/// Operations (RFC 826).
pub(super) const REQUEST: u8 = 1;
pub(super) const REPLY: u8 = 2;
/// The shortest frame on a wire without its checksum (IEEE 802.3 4.2.3.3): a real network pads, a veth pair does not.
const SHORTEST: usize = 60;

#[test]
fn a_request_is_answered_while_the_lease_runs_and_not_after() {
    with_world(|world| {
        floating(world);
        for (row, frame) in &requests(virtual_address()) {
            lease_for(world, Duration::from_secs(3600));
            world.row(row, world.public, frame, &pass(Reason::NotIpv4));
            lease_for(world, Duration::ZERO);
            world.row(row, world.public, frame, &drop(Reason::LeaseExpired));
            world.program.set_lease(0).unwrap();
            world.row(row, world.public, frame, &drop(Reason::LeaseExpired));
        }
        let gateway = arp(REQUEST, ASKER, GATEWAY);
        world.row("the NAT router address", world.private, &gateway, &drop(Reason::LeaseExpired));
    });
}

#[test]
fn a_lease_ends_by_itself() {
    with_world(|world| {
        floating(world);
        let request = arp(REQUEST, ASKER, virtual_address());
        let start = Instant::now();
        lease_for(world, Duration::from_secs(2));
        while start.elapsed() < Duration::from_millis(1500) {
            world.row("it runs", world.public, &request, &pass(Reason::NotIpv4));
        }
        sleep(Duration::from_secs(1));
        world.row("it is over", world.public, &request, &drop(Reason::LeaseExpired));
    });
}

#[test]
fn without_a_peer_no_lease_is_asked_for() {
    with_world(|world| {
        for (row, frame) in &requests(virtual_address()) {
            world.row(row, world.public, frame, &pass(Reason::NotIpv4));
        }
    });
}

#[test]
fn other_addresses_replies_and_announcements_pass() {
    with_world(|world| {
        floating(world);
        let vip = virtual_address();
        let mut not_ethernet = arp(REQUEST, ASKER, vip);
        not_ethernet[18] = 8;
        let mut not_ipv4 = arp(REQUEST, ASKER, vip);
        not_ipv4[16] = 0x86;
        let rows = [
            ("another address", arp(REQUEST, ASKER, OTHER)),
            ("a reply to this router", arp(REPLY, ASKER, vip)),
            ("a reply of the peer's", arp(REPLY, vip, ASKER)),
            ("the peer announces by a request", arp(REQUEST, vip, vip)),
            ("the peer announces by a reply", arp(REPLY, vip, vip)),
            ("the peer asks", arp(REQUEST, vip, OTHER)),
            ("addresses of eight octets", not_ethernet),
            ("another protocol", not_ipv4),
        ];
        for (row, frame) in rows {
            for frame in [frame.clone(), padded(frame)] {
                world.row(row, world.public, &frame, &pass(Reason::NotIpv4));
            }
        }
        for (row, frame) in &requests(OTHER) {
            world.row(row, world.public, frame, &pass(Reason::NotIpv4));
        }
    });
}

#[test]
fn a_request_that_is_cut_off_is_none() {
    with_world(|world| {
        floating(world);
        let whole = arp(REQUEST, ASKER, virtual_address());
        // The kernel runs a program on nothing shorter than an Ethernet header.
        for length in 14..whole.len() {
            let row = format!("{length} bytes");
            world.row(&row, world.public, &whole[..length], &pass(Reason::NotIpv4));
        }
        let three_tags = tagged(&tagged(&tagged(&whole, 0x8100), 0x8100), 0x88a8);
        world.row("three tags", world.public, &three_tags, &pass(Reason::NotIpv4));
    });
}

#[test]
fn a_lease_that_there_is_not_has_run_out() {
    with_world(|world| {
        lease_for(world, Duration::from_secs(3600));
        world.program.set_floating(OTHER, 9).unwrap();
        world.row("lease 9", world.public, &arp(REQUEST, ASKER, OTHER), &drop(Reason::LeaseExpired));
    });
}

/// The virtual address and the NAT router address move with the role.
fn floating(world: &mut World) {
    for address in [virtual_address(), GATEWAY] {
        world.program.set_floating(address, 0).unwrap();
    }
}

/// Lets the lease run for `time` from now.
pub(super) fn lease_for(world: &mut World, time: Duration) {
    let now = Duration::from(clock_gettime(ClockId::CLOCK_BOOTTIME).unwrap());
    world.program.set_lease(u64::try_from((now + time).as_nanos()).unwrap()).unwrap();
}

/// Requests for `target` in every shape that the kernel answers.
pub(super) fn requests(target: [u8; 4]) -> Vec<(&'static str, Vec<u8>)> {
    let request = arp(REQUEST, ASKER, target);
    let mut unicast = request.clone();
    unicast[..6].copy_from_slice(&PUBLIC_MAC);
    let mut ieee802 = request.clone();
    ieee802[15] = 6;
    vec![
        ("short", request.clone()),
        ("padded", padded(request.clone())),
        ("to one host", unicast),
        ("a probe", arp(REQUEST, [0; 4], target)),
        ("hardware type 6", ieee802),
        ("a tag", tagged(&request, 0x8100)),
        ("two tags", tagged(&tagged(&request, 0x8100), 0x88a8)),
        ("padded, with a tag", padded(tagged(&request, 0x8100))),
    ]
}

/// An ARP packet in a broadcast.
pub(super) fn arp(operation: u8, sender: [u8; 4], target: [u8; 4]) -> Vec<u8> {
    let types = [0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, operation];
    [&[0xff; 6][..], &CLIENT_MAC, &types, &CLIENT_MAC, &sender, &[0; 6], &target].concat()
}

pub(super) fn padded(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(SHORTEST), 0);
    frame
}

/// The frame with one more tag, the outermost.
pub(super) fn tagged(frame: &[u8], kind: u16) -> Vec<u8> {
    let (macs, rest) = frame.split_at(12);
    [macs, &kind.to_be_bytes(), &[0, 7], rest].concat()
}

pub(super) fn virtual_address() -> [u8; 4] {
    vip().ip().octets()
}
