//! Packets for a virtual address that nobody in his right mind sends, through the real data path: each counted by its
//! reason, and the service goes on.

use std::{collections::BTreeMap, net::SocketAddrV4, time::Duration};

use lb_daemon::api::types::Stats;
use lb_tests::{
    lab::{
        Lab, R1,
        frames::Frames,
        load::{Load, Plan, record::Summary},
        router::Router,
        topology::{CLIENT, HTTP_PORT, NAT_VIP, UDP_PORT},
        wait::until,
    },
    packet::Frame,
};

use crate::support::{DIRECT, NAT, pair, spread};

/// Time in which a frame has been counted, on a busy machine.
const LIMIT: Duration = Duration::from_secs(10);
/// Times that each broken packet is sent.
const TIMES: u64 = 5;
/// Random frames, and packets with random damage.
const NOISE: usize = 3000;
/// The client's MAC address, as the lab makes it.
const CLIENT_MAC: [u8; 6] = [2, 0, 192, 0, 2, 100];

#[test]
fn broken_packets_are_counted_by_their_reason() {
    let Some(mut lab) = pair() else { return };
    let frames = last_cable(&lab);
    let before = counters(&lab.routers[R1]);
    let mut sent: BTreeMap<&str, u64> = BTreeMap::new();
    for (reason, bytes) in broken(&lab.routers[R1]) {
        frames.send((0..TIMES).map(|_| &bytes)).unwrap();
        *sent.entry(reason).or_default() += TIMES;
    }
    for (reason, count) in sent {
        let counted = || Ok(counters(&lab.routers[R1])[reason] - before[reason] == count);
        until(&format!("{count} packets {reason}"), LIMIT, counted).unwrap_or_else(|error| {
            panic!("{error}: {} after {}", counters(&lab.routers[R1])[reason], before[reason])
        });
    }
    assert_serves(&mut lab);
}

#[test]
fn noise_under_load_stops_nothing() {
    let Some(mut lab) = pair() else { return };
    let load = Load::start(lab.client().unwrap(), Plan::steady(NAT, 100)).unwrap();
    let frames = last_cable(&lab);
    let before = total(&lab.routers[R1]);
    let mut random = Random(7);
    frames.send((0..NOISE).map(|_| random_frame(&lab.routers[R1], &mut random))).unwrap();
    let whole: Vec<Vec<u8>> =
        [syn(&lab.routers[R1]), datagram(&lab.routers[R1])].map(|frame| frame.bytes()).into();
    frames.send((0..NOISE).map(|number| damaged(&whole[number % 2], &mut random))).unwrap();
    // A queue may have been full for a moment, but not for most of them.
    let arrived = || Ok(total(&lab.routers[R1]) - before > NOISE as u64);
    until("the noise to be counted", LIMIT, arrived).unwrap();
    let summary = Summary::of(&load.finish().unwrap());
    assert!(summary.requests > 0 && summary.failed() == 0, "{summary:?}");
    assert_serves(&mut lab);
}

/// The switch's end of the cable to r1. From the client itself a switch that looks into packets (`br_netfilter`) would
/// let the worst of them not through.
fn last_cable(lab: &Lab) -> Frames {
    Frames::open(lab.namespace("switch").expect("there is a switch"), lab.routers[R1].public().switch)
        .expect("it has this port")
}

/// Packets for the services, each with the reason that it must be counted by.
fn broken(router: &Router) -> Vec<(&'static str, Vec<u8>)> {
    let (syn, datagram) = (syn(router), datagram(router));
    let with = |frame: &Frame, offset: usize, value: &[u8]| {
        let mut bytes = frame.bytes();
        bytes[offset..offset + value.len()].copy_from_slice(value);
        bytes
    };
    let (l3, l4) = (syn.l3(), syn.l4());
    let mut list: Vec<(&str, Vec<u8>)> = Vec::new();
    // Truncated anywhere behind the Ethernet header.
    for frame in [&syn, &datagram] {
        let bytes = frame.bytes();
        list.extend((l3..bytes.len()).step_by(3).map(|length| ("malformed", bytes[..length].to_vec())));
    }
    list.extend([
        // Version 5; header lengths below the least and beyond the packet; total lengths likewise (RFC 791 3.1).
        ("malformed", with(&syn, l3, &[0x55])),
        ("malformed", with(&syn, l3, &[0x44])),
        ("malformed", with(&syn, l3, &[0x4f])),
        ("malformed", with(&syn, l3 + 2, &[0xff, 0xff])),
        ("malformed", with(&syn, l3 + 2, &[0, 19])),
        ("malformed", with(&syn, l3 + 2, &[0, 0])),
        // TCP data offsets (RFC 9293 3.1) and UDP lengths (RFC 768).
        ("malformed", with(&syn, l4 + 12, &[0x40])),
        ("malformed", with(&syn, l4 + 12, &[0xf0])),
        ("malformed", with(&datagram, l4 + 4, &[0, 7])),
        ("malformed", with(&datagram, l4 + 4, &[0xff, 0xff])),
        ("fragment", syn.clone().fragment(true, 0).bytes()),
        ("fragment", syn.clone().fragment(false, 1).bytes()),
        ("fragment", datagram.clone().fragment(true, 0x1ffe).payload(&[0; 64]).bytes()),
        ("fragment", datagram.clone().ip_options(&[1; 40]).fragment(true, 185).bytes()),
        ("ttl_exceeded", syn.clone().ttl(1).bytes()),
        ("ttl_exceeded", datagram.clone().ttl(0).bytes()),
        // Options are carried along: no operation, and a source route (RFC 791 3.1) that real servers do not obey.
        ("nat_in", datagram.clone().ip_options(&[1; 40]).bytes()),
        ("nat_in", datagram.clone().ip_options(&[131, 7, 4, 10, 0, 0, 1, 0]).bytes()),
    ]);
    list
}

/// A packet that opens a connection to the web service.
fn syn(router: &Router) -> Frame {
    let (source, target) = (SocketAddrV4::new(CLIENT, 9000), SocketAddrV4::new(NAT_VIP, HTTP_PORT));
    Frame::tcp(source, target).flags("S").link(CLIENT_MAC, router.public().mac())
}

/// A datagram for the echo service.
fn datagram(router: &Router) -> Frame {
    let (source, target) = (SocketAddrV4::new(CLIENT, 9001), SocketAddrV4::new(NAT_VIP, UDP_PORT));
    Frame::udp(source, target).payload(b"hello").link(CLIENT_MAC, router.public().mac())
}

/// Random bytes in a frame to the router; half of them are called IPv4.
fn random_frame(router: &Router, random: &mut Random) -> Vec<u8> {
    let mut frame = [router.public().mac(), CLIENT_MAC].concat();
    let length = 2 + random.below(200);
    frame.extend((0..length).map(|_| random.byte()));
    if random.byte() & 1 == 0 {
        frame[12..14].copy_from_slice(&[0x08, 0x00]);
    }
    frame
}

/// A copy with up to four octets changed, but for the MAC addresses: the switch must find the way.
fn damaged(frame: &[u8], random: &mut Random) -> Vec<u8> {
    let mut copy = frame.to_vec();
    for _ in 0..=random.below(4) {
        let offset = 12 + random.below(copy.len() - 12);
        copy[offset] = random.byte();
    }
    copy
}

/// Both services answer by every server, and both daemons have what they had.
fn assert_serves(lab: &mut Lab) {
    for target in [NAT, DIRECT] {
        assert_eq!(spread(lab, target, 6).len(), 3);
    }
    assert!(lab.routers.iter_mut().all(Router::is_running));
    assert_eq!(lab.active().expect("one router is active"), R1);
    let warnings = lab.routers[R1].status().expect("lbd answers").warnings;
    assert_eq!(warnings, Vec::<String>::new());
}

/// Packets by reason, as `lbctl` shows them.
fn counters(router: &Router) -> BTreeMap<String, u64> {
    let json = router.lbctl(&["--json", "stats"]).expect("lbd answers");
    let stats: Stats = serde_json::from_str(&json).expect("lbctl prints the API's JSON");
    stats.reasons.into_iter().map(|count| (count.reason, count.packets)).collect()
}

/// Packets that came in, whatever became of them.
fn total(router: &Router) -> u64 {
    counters(router).values().sum()
}

/// The generator splitmix64: the same bytes in every run.
struct Random(u64);

impl Random {
    fn byte(&mut self) -> u8 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)).to_be_bytes()[0]
    }

    /// A number below `limit`, which is 256 at most.
    fn below(&mut self, limit: usize) -> usize {
        usize::from(self.byte()) * limit / 256
    }
}
