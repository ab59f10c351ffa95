//! Network address translation, both ways.

use lb_common::{Reason, Scheduler, IPPROTO_TCP};
use lb_tests::packet::Frame;

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
    with_world(|world| {
        let record_route = [7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        let tag = (0x8100, 0x2064);
        let provider = (0x88a8, 0x0fa0);
        let frames: [(&str, fn(Frame) -> Frame); 6] = [
            ("plain", |frame| frame),
            ("IP options", |frame| frame.ip_options(&[7, 11, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0])),
            ("the longest IP options", |frame| frame.ip_options(&[1; 40])),
            ("VLAN", |frame| frame.tag(0x8100, 0x2064)),
            ("QinQ", |frame| frame.tag(0x88a8, 0x0fa0).tag(0x8100, 0x2064)),
            ("QinQ and options", |frame| frame.tag(0x88a8, 1).tag(0x8100, 2).ip_options(&[1; 8])),
        ];
        let _ = (record_route, tag, provider);
        for (row, dress) in frames {
            world.reset();
            let syn = dress(from_client("S"));
            world.public(row, &syn, redirect(Reason::NatIn, &to_server(syn.clone(), 1)));
            let syn_ack = dress(from_server(1, "SA"));
            world.private(row, &syn_ack, redirect(Reason::NatOut, &to_client(syn_ack.clone())));
            let query = dress(datagram());
            world.public(row, &query, redirect(Reason::NatIn, &to_server(query.clone(), 1)));
        }
        let _ = (Scheduler::RoundRobin, IPPROTO_TCP);
    });
}
