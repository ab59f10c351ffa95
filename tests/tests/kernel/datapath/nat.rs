//! Network address translation, both ways.

use std::net::SocketAddrV4;

use lb_common::{
    IPPROTO_TCP, LastHop, Real, RealState, Reason, Scheduler, Service, ServiceKey, flow_table::Key,
};
use lb_tests::{packet::Frame, prog::FLOWS};

use super::world::*;

#[test]
fn a_connection_is_translated_both_ways() {
    with_world(|world| {
        let syn = from_client("S").tcp_options(&[2, 4, 5, 0xb4]);
        world.public("SYN", &syn, redirect(Reason::NatIn, &to_server(syn.clone(), 1)));
        let syn_ack = from_server(1, "SA");
        world.private("SYN ACK", &syn_ack, redirect(Reason::NatOut, &to_client(syn_ack.clone())));
        let ack = from_client("A").numbers(1001, 5001);
        world.public("ACK", &ack, redirect(Reason::NatIn, &to_server(ack.clone(), 1)));
        for length in 0..=9 {
            let request = from_client("PA").numbers(1001, 5001).payload(&b"GET / HTT"[..length]);
            let row = format!("request of {length} bytes");
            world.public(&row, &request, redirect(Reason::NatIn, &to_server(request.clone(), 1)));
            let answer = from_server(1, "PA").payload(&b"HTTP/1.1 "[..length]);
            let row = format!("answer of {length} bytes");
            world.private(&row, &answer, redirect(Reason::NatOut, &to_client(answer.clone())));
        }
    });
}

#[test]
fn options_and_tags_stay_where_they_are() {
    type Dress = fn(Frame) -> Frame;
    let dresses: [(&str, Dress); 6] = [
        ("plain", |frame| frame),
        ("IP options", |frame| frame.ip_options(&[7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
        ("the longest IP options", |frame| frame.ip_options(&[1; 40])),
        ("VLAN", |frame| frame.tag(0x8100, 0x2064)),
        ("QinQ", |frame| frame.tag(0x88a8, 0x0fa0).tag(0x8100, 0x2064)),
        ("QinQ and options", |frame| frame.tag(0x88a8, 1).tag(0x8100, 2).ip_options(&[1; 8])),
    ];
    with_world(|world| {
        let public = world.public;
        for (row, dress) in dresses {
            world.reset();
            // One-armed: the real server is on the client's segment, where the tag means the same.
            world.change_real(1, |real| (real.ifindex, real.source_mac) = (public, PUBLIC_MAC));
            let to_server = |frame: &Frame| to_server(frame.clone(), 1).link(PUBLIC_MAC, server_mac(1));
            let syn = dress(from_client("S"));
            world.public(row, &syn, transmit(Reason::NatIn, &to_server(&syn)));
            let syn_ack = dress(from_server(1, "SA"));
            world.public(row, &syn_ack, transmit(Reason::NatOut, &to_client(syn_ack.clone())));
            let query = dress(datagram());
            world.public(row, &query, transmit(Reason::NatIn, &to_server(&query)));
        }
    });
}

#[test]
fn a_tag_is_not_carried_to_another_segment() {
    with_world(|world| {
        let tagged = |frame: Frame| frame.tag(0x8100, 100);
        let (syn, syn_ack) = (from_client("S"), from_server(1, "SA"));
        world.public("new connection", &tagged(syn.clone()), pass(Reason::OtherVlan));
        assert!(world.program.flows().unwrap().is_empty());

        world.program.set_position(TCP_RING, 0).unwrap();
        world.public("untagged", &syn, redirect(Reason::NatIn, &to_server(syn.clone(), 1)));
        world.public("from the client", &tagged(from_client("A")), pass(Reason::OtherVlan));
        world.private("from the server", &tagged(syn_ack.clone()), pass(Reason::OtherVlan));
        let priority = syn_ack.tag(0x8100, 0xe000);
        world.private("a priority", &priority, redirect(Reason::NatOut, &to_client(priority.clone())));
    });
}

#[test]
fn udp_is_translated_with_its_checksum_or_none() {
    with_world(|world| {
        for length in 0..=5 {
            world.reset();
            let row = format!("{length} bytes");
            let query = datagram().payload(&b"query"[..length]);
            world.public(&row, &query, redirect(Reason::NatIn, &to_server(query.clone(), 1)));
            let answer =
                Frame::udp(server(1), client()).payload(&b"reply"[..length]).link(server_mac(1), PRIVATE_MAC);
            world.private(&row, &answer, redirect(Reason::NatOut, &to_client(answer.clone())));
        }
        let bare = datagram().without_checksum();
        world.public("no checksum", &bare, redirect(Reason::NatIn, &to_server(bare.clone(), 1)));
    });
}

#[test]
fn a_udp_checksum_that_comes_to_zero_is_sent_as_ones() {
    with_world(|world| {
        // The payload that makes the sum of the translated datagram zero, found by trying every one.
        let query = (0..=u16::MAX)
            .map(|word| datagram().payload(&word.to_be_bytes()))
            .find(|query| {
                let out = to_server(query.clone(), 1);
                out.bytes()[out.l4() + 6..][..2] == [0xff; 2]
            })
            .unwrap();
        world.public("ones", &query, redirect(Reason::NatIn, &to_server(query.clone(), 1)));
    });
}

#[test]
fn wrong_checksums_stay_wrong() {
    with_world(|world| {
        let syn = from_client("S");
        let mut broken = syn.bytes();
        broken[syn.l3() + 10] ^= 0x40;
        broken[syn.l4() + 16] ^= 0x40;
        let run = world.program.run(world.public, &broken).unwrap();
        let right = to_server(syn.clone(), 1).bytes();
        let is_right = |offset: usize| run.frame[offset..][..2] == right[offset..][..2];
        assert!(!is_right(syn.l3() + 10), "the real server must be able to see the fault in the IP header");
        assert!(!is_right(syn.l4() + 16), "the real server must be able to see the fault in the segment");
    });
}

#[test]
fn padding_and_jumbo_frames_are_sent_whole() {
    with_world(|world| {
        let syn = from_client("S");
        let (mut padded, mut expected) = (syn.bytes(), to_server(syn.clone(), 1).bytes());
        padded.resize(60, 0xaa);
        expected.resize(60, 0xaa);
        world.row("padding", world.public, &padded, &redirect_bytes(Reason::NatIn, expected));
        // More than a page: a frame of several buffers, of which the program sees the first.
        let large = from_client("PA").payload(&[0x55; 8900]);
        world.public("jumbo", &large, redirect(Reason::NatIn, &to_server(large.clone(), 1)));
    });
}

#[test]
fn the_last_hop_time_to_live_and_interface_decide_how_a_reply_leaves() {
    with_world(|world| {
        let syn = from_client("S");
        let syn_ack = from_server(1, "SA");
        world.public("SYN", &syn, redirect(Reason::NatIn, &to_server(syn.clone(), 1)));
        world.private("TTL 1", &syn_ack.clone().ttl(1), pass(Reason::TtlExceeded));
        world.private("TTL 0", &syn_ack.clone().ttl(0), pass(Reason::TtlExceeded));
        let last = to_client(syn_ack.clone()).ttl(1);
        world.private("TTL 2", &syn_ack.clone().ttl(2), redirect(Reason::NatOut, &last));
        // One-armed: the real server is on the client's segment.
        world.public("same interface", &syn_ack, transmit(Reason::NatOut, &to_client(syn_ack.clone())));
        let moved = [2, 0, 0, 0, 0, 0xc2];
        let ack = from_client("A").link(moved, PUBLIC_MAC);
        world.public("other gateway", &ack, redirect(Reason::NatIn, &to_server(ack.clone(), 1)));
        let to_moved = to_client(syn_ack.clone()).link(PUBLIC_MAC, moved);
        world.private("by the other gateway", &syn_ack, redirect(Reason::NatOut, &to_moved));
        let by_peer = from_client("A").link(PEER_MAC, PUBLIC_MAC);
        world.public("by the peer", &by_peer, redirect(Reason::NatIn, &to_server(by_peer.clone(), 1)));
        world.private("still by the gateway", &syn_ack, redirect(Reason::NatOut, &to_moved));
    });
}

#[test]
fn a_reply_without_last_hop_is_routed_or_dropped() {
    with_world(|world| {
        let syn = from_client("S").link(PEER_MAC, PUBLIC_MAC);
        let syn_ack = from_server(1, "SA");
        world.public("SYN by the peer", &syn, redirect(Reason::NatIn, &to_server(syn.clone(), 1)));
        world.private("no route", &syn_ack, drop(Reason::NoReturnPath));
        world.route();
        world.private("route", &syn_ack, redirect(Reason::NatOut, &to_client(syn_ack.clone())));
    });
}

#[test]
fn two_services_on_one_real_server_do_not_share_a_client_port() {
    let vips =
        [vip(), SocketAddrV4::new([192, 0, 2, 11].into(), 80), SocketAddrV4::new([192, 0, 2, 12].into(), 80)];
    with_world(|world| {
        // Each service has slots of its own for the same two servers.
        for (id, vip) in (1..).zip(vips) {
            for index in 1..=2 {
                let (virtual_address, virtual_port) = (vip.ip().octets(), vip.port());
                let real = Real { service: id, virtual_address, virtual_port, ..world.real(index) };
                world.program.set_real(10 * id + index, real).unwrap();
            }
            let (ring, first) = (2 * id, u16::try_from(10 * id + 1).unwrap());
            world.program.set_ring(ring, &[first, first + 1]).unwrap();
            world.program.set_position(ring, 0).unwrap();
            let key = ServiceKey::new(IPPROTO_TCP, vip.ip().octets(), vip.port());
            world.program.set_service(key, Service::new(id, ring, 2, Scheduler::RoundRobin)).unwrap();
        }
        let [first, second, third] = vips.map(|vip| from_client("S").destination(vip));
        world.public("first", &first, redirect(Reason::NatIn, &to_server(first.clone(), 1)));
        world.public("the next real server", &second, redirect(Reason::NatIn, &to_server(second.clone(), 2)));
        world.public("none left", &third, drop(Reason::PortConflict));
        let answer = from_server(1, "SA");
        world.private("the first is unharmed", &answer, redirect(Reason::NatOut, &to_client(answer.clone())));
        // The flow of the second connection is not alive any more.
        let gone = Real { generation: GENERATION + 1, ..world.real(2) };
        world.program.set_real(22, gone).unwrap();
        world.program.set_position(6, 1).unwrap();
        world.public(
            "a dead flow is no conflict",
            &third,
            redirect(Reason::NatIn, &to_server(third.clone(), 2)),
        );
    });
}

#[test]
fn a_full_flow_table_refuses_nothing_that_an_old_flow_can_make_room_for() {
    with_world(|world| {
        for index in 0..4 * FLOWS {
            let source = SocketAddrV4::new((0x0b00_0000 + index).into(), 1024);
            let query = datagram().source(source);
            let expected = to_server(query.clone(), index % 3 + 1);
            let run = world.program.run(world.public, &query.bytes()).unwrap();
            assert_eq!(run.frame, expected.bytes(), "client {index}");
        }
        let reasons = world.program.reasons().unwrap();
        assert_eq!(reasons.keys().collect::<Vec<_>>(), [&Reason::NatIn]);
    });
}

#[test]
fn the_entry_describes_the_connection() {
    with_world(|world| {
        let syn = from_client("S");
        world.public("SYN", &syn, redirect(Reason::NatIn, &to_server(syn.clone(), 1)));
        let flows = world.program.flows().unwrap();
        assert_eq!(flows.len(), 1, "one for both directions");
        assert_eq!(flows[0].key, Key::new(flow_client(), 1));
        assert!(flows[0].meta.is_of_generation(GENERATION) && !flows[0].meta.is_udp());
        let hop = world.program.last_hop(flows[0].meta.hop()).unwrap();
        assert_eq!(hop, LastHop::new(world.public, CLIENT_MAC, PUBLIC_MAC));
    });
}

#[test]
fn a_datagram_leaves_a_real_server_that_is_down_at_once() {
    with_world(|world| {
        let query = datagram();
        world.public("first", &query, redirect(Reason::NatIn, &to_server(query.clone(), 1)));
        world.public("stays", &query, redirect(Reason::NatIn, &to_server(query.clone(), 1)));
        world.change_real(1, |real| real.state = RealState::Quiesced as u8);
        world.public("quiesced", &query, redirect(Reason::NatIn, &to_server(query.clone(), 1)));
        world.change_real(1, |real| real.state = RealState::Down as u8);
        world.public("down", &query, redirect(Reason::NatIn, &to_server(query.clone(), 2)));
        let flows = world.program.flows().unwrap();
        assert_eq!(flows.iter().map(|flow| flow.key).collect::<Vec<_>>(), [Key::new(flow_client(), 2)]);
    });
}
