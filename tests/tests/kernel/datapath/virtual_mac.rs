//! Addresses with a virtual MAC address: the program answers for them, and has the kernel take what is addressed to it.

use std::time::Duration;

use lb_common::{LastHop, Reason, RouterRole};
use lb_tests::packet::{Frame, Mac};

use super::{
    arp::{ASKER, GATEWAY, OTHER, REPLY, REQUEST, arp, lease_for, padded, requests, tagged, virtual_address},
    world::*,
};

/// That of virtual router 51 (RFC 9568 7.3).
const VIRTUAL: Mac = [0, 0, 0x5e, 0, 1, 51];
/// Longer than any test.
const LONG: Duration = Duration::from_secs(3600);
/// Where the MAC addresses of the sender and of the target stand in an ARP packet behind a plain Ethernet header.
const SENDER: usize = 22;

#[test]
fn a_request_is_answered_with_the_virtual_mac_while_the_lease_runs_and_not_after() {
    with_world(|world| {
        virtual_macs(world);
        for (row, frame) in &requests(virtual_address()) {
            lease_for(world, LONG);
            let answer = Expected::transmitted(Reason::ArpAnswered, answer(frame));
            world.row(row, world.public, frame, &answer);
            lease_for(world, Duration::ZERO);
            world.row(row, world.public, frame, &drop(Reason::LeaseExpired));
        }
    });
}

#[test]
fn a_question_to_the_virtual_mac_alone_is_answered_too() {
    with_world(|world| {
        virtual_macs(world);
        lease_for(world, LONG);
        let mut frame = arp(REQUEST, ASKER, virtual_address());
        frame[..6].copy_from_slice(&VIRTUAL);
        let answer = Expected::transmitted(Reason::ArpAnswered, answer(&frame));
        world.row("a neighbour looks whether it is still there", world.public, &frame, &answer);
    });
}

#[test]
fn the_kernel_answers_on_a_segment_without_the_virtual_mac() {
    with_world(|world| {
        virtual_macs(world);
        lease_for(world, LONG);
        let request = arp(REQUEST, ASKER, virtual_address());
        world.row("the VIP behind", world.private, &request, &pass(Reason::NotIpv4));
        let gateway = arp(REQUEST, ASKER, GATEWAY);
        world.row("an address without one", world.private, &gateway, &pass(Reason::NotIpv4));
        let other = arp(REQUEST, ASKER, OTHER);
        world.row("another address", world.public, &other, &pass(Reason::NotIpv4));
    });
}

#[test]
fn what_is_passed_to_the_kernel_is_addressed_to_the_interface() {
    with_world(|world| {
        virtual_macs(world);
        let to = |mac: Mac, bytes: &[u8]| [&mac[..], &bytes[6..]].concat();
        let echo = Frame::other(1, client(), vip()).bytes();
        let elsewhere = Frame::tcp(client(), "192.0.2.77:80".parse().unwrap()).bytes();
        for time in [LONG, Duration::ZERO] {
            lease_for(world, time);
            for (row, bytes, reason) in [
                ("an echo", echo.clone(), Reason::OtherProtocol),
                ("another address", elsewhere.clone(), Reason::NotOurs),
                ("an answer", arp(REPLY, ASKER, virtual_address()), Reason::NotIpv4),
                ("with a tag", tagged(&elsewhere, 0x8100), Reason::NotOurs),
                ("neither", padded([&elsewhere[..12], &[0x88, 0xcc, 0]].concat()), Reason::NotIpv4),
            ] {
                let passed = Expected::passed(reason, to(PUBLIC_MAC, &bytes));
                world.row(row, world.public, &to(VIRTUAL, &bytes), &passed);
                world.row(row, world.public, &to([0xff; 6], &bytes), &pass(reason));
                world.row(row, world.public, &to(PEER_MAC, &bytes), &pass(reason));
                world.row(row, world.private, &to(VIRTUAL, &bytes), &pass(reason));
            }
        }
    });
}

#[test]
fn connections_come_and_go_by_the_virtual_mac() {
    with_world(|world| {
        virtual_macs(world);
        lease_for(world, LONG);
        let syn = from_client("S").link(CLIENT_MAC, VIRTUAL);
        world.public("opens", &syn, redirect(Reason::NatIn, &to_server(syn.clone(), 1)));
        let answer = from_server(1, "SA");
        let to_client = |mac| to_client(answer.clone()).link(mac, CLIENT_MAC);
        world.private("answer", &answer, redirect(Reason::NatOut, &to_client(VIRTUAL)));
        assert_eq!(last_hop(world), LastHop::new(world.public, CLIENT_MAC, VIRTUAL));
        let ack = from_client("A").link(CLIENT_MAC, VIRTUAL);
        world.public("goes on", &ack, redirect(Reason::NatIn, &to_server(ack.clone(), 1)));
    });
}

#[test]
fn a_router_past_its_lease_takes_up_no_virtual_mac() {
    with_world(|world| {
        virtual_macs(world);
        lease_for(world, Duration::ZERO);
        let syn = from_client("S").link(CLIENT_MAC, VIRTUAL);
        world.public("opens", &syn, redirect(Reason::NatIn, &to_server(syn.clone(), 1)));
        let own = LastHop::new(world.public, CLIENT_MAC, PUBLIC_MAC);
        assert_eq!(last_hop(world), own);
        let ack = from_client("A").link(CLIENT_MAC, VIRTUAL);
        world.public("goes on", &ack, redirect(Reason::NatIn, &to_server(ack.clone(), 1)));
        assert_eq!(last_hop(world), own);
        // It is active again: the next packet of the client has the answers come from there.
        lease_for(world, LONG);
        world.public("goes on", &ack, redirect(Reason::NatIn, &to_server(ack.clone(), 1)));
        assert_eq!(last_hop(world), LastHop::new(world.public, CLIENT_MAC, VIRTUAL));
    });
}

#[test]
fn a_standby_hands_to_the_peer_what_a_switch_still_sends_to_it() {
    with_world(|world| {
        virtual_macs(world);
        world.program.set_role(RouterRole::Standby).unwrap();
        for time in [LONG, Duration::ZERO] {
            lease_for(world, time);
            let syn = from_client("S").link(CLIENT_MAC, VIRTUAL);
            world.public("offered", &syn, transmit(Reason::SecondChance, &to_peer(syn.clone())));
            let other = from_client("S").link(CLIENT_MAC, [0, 0, 0x5e, 0, 1, 52]);
            world.public("another virtual router's", &other, drop(Reason::Overheard));
        }
    });
}

/// The virtual address has a virtual MAC address on the public segment; the NAT router address has none.
fn virtual_macs(world: &mut World) {
    world.program.set_floating_at(virtual_address(), VIRTUAL).unwrap();
    world.program.set_floating(GATEWAY, 0).unwrap();
    world.program.set_virtual_mac(world.public, VIRTUAL, PUBLIC_MAC).unwrap();
}

/// What a request becomes, as RFC 826 has it: sender and target exchanged, tags and padding as they are.
fn answer(request: &[u8]) -> Vec<u8> {
    let tags = if request[12..14] == [0x08, 0x06] {
        0
    } else if request[16..18] == [0x08, 0x06] {
        4
    } else {
        8
    };
    let mut answer = request.to_vec();
    let (sender, target) = (SENDER + tags, SENDER + tags + 10);
    answer[..6].copy_from_slice(&request[sender..sender + 6]);
    answer[6..12].copy_from_slice(&VIRTUAL);
    answer[sender - 1] = REPLY;
    answer[sender..sender + 6].copy_from_slice(&VIRTUAL);
    answer[sender + 6..sender + 10].copy_from_slice(&virtual_address());
    answer[target..target + 10].copy_from_slice(&request[sender..sender + 10]);
    answer
}

/// The last hop of the one connection.
#[track_caller]
fn last_hop(world: &mut World) -> LastHop {
    let flows = world.program.flows().unwrap();
    let [flow] = flows[..] else { panic!("one connection, not {}", flows.len()) };
    world.program.last_hop(flow.meta.hop()).unwrap()
}
