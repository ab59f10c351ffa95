//! What is not for a balancer, and what is no packet at all.

use lb_common::Reason;
use lb_tests::packet::Frame;

use super::world::*;

#[test]
fn other_traffic_is_the_kernels() {
    with_world(|world| {
        let arp = [&[0xff; 6][..], &CLIENT_MAC, &[0x08, 0x06], &[0; 28]].concat();
        let ipv6 = [&PUBLIC_MAC[..], &CLIENT_MAC, &[0x86, 0xdd], &[0x60; 40]].concat();
        let short = [&PUBLIC_MAC[..], &CLIENT_MAC, &[0x81, 0x00]].concat();
        for (row, frame) in [("ARP", &arp), ("IPv6", &ipv6), ("a tag and no more", &short)] {
            world.row(row, world.public, frame, &pass(Reason::NotIpv4));
        }
        let tagged = from_client("S").tag(0x88a8, 1).tag(0x8100, 2).tag(0x8100, 3);
        world.public("three tags", &tagged, pass(Reason::NotIpv4));
        let icmp = Frame::other(1, client(), vip()).payload(&[8, 0, 0, 0, 0, 0, 0, 0]);
        world.public("ICMP", &icmp, pass(Reason::OtherProtocol));
        let elsewhere = std::net::SocketAddrV4::new([192, 0, 2, 99].into(), 80);
        world.public("other address", &from_client("S").destination(elsewhere), pass(Reason::NotOurs));
        let other_port = std::net::SocketAddrV4::new(*vip().ip(), 81);
        world.public("other port", &from_client("S").destination(other_port), pass(Reason::NotOurs));
        world.public(
            "not ours, TTL 1",
            &from_client("S").destination(other_port).ttl(1),
            pass(Reason::NotOurs),
        );
    });
}

#[test]
fn every_fragment_is_the_kernels() {
    with_world(|world| {
        world.public("first", &from_client("S").fragment(true, 0), pass(Reason::Fragment));
        world.public("middle", &datagram().fragment(true, 185), pass(Reason::Fragment));
        world.public("last", &datagram().fragment(false, 370), pass(Reason::Fragment));
        let whole = from_client("S").identification(1, true);
        let expected = redirect(Reason::NatIn, &to_server(whole.clone(), 1));
        world.public("don't fragment is no fragment", &whole, expected);
    });
}

#[test]
fn headers_that_contradict_themselves_are_dropped() {
    let (syn, query) = (from_client("S"), datagram());
    let (ip, tcp, udp) = (syn.l3(), syn.l4(), query.l4());
    // The octet of the frame and what stands there instead.
    let rows: [(&str, &Frame, usize, u8); 10] = [
        ("version 6", &syn, ip, 0x65),
        ("IP header of 16 bytes", &syn, ip, 0x44),
        ("IP header beyond the packet", &syn, ip, 0x4f),
        ("total length below the header", &syn, ip + 3, 19),
        ("total length beyond the frame", &syn, ip + 2, 1),
        ("total length cuts the TCP header", &syn, ip + 3, 39),
        ("TCP header of 16 bytes", &syn, tcp + 12, 0x40),
        ("TCP header beyond the packet", &syn, tcp + 12, 0x60),
        ("UDP length below the header", &query, udp + 5, 7),
        ("UDP length beyond the packet", &query, udp + 5, 14),
    ];
    with_world(|world| {
        for (row, frame, offset, octet) in rows {
            let mut bytes = frame.bytes();
            bytes[offset] = octet;
            world.row(row, world.public, &bytes, &drop(Reason::Malformed));
        }
    });
}
