//! The layout of every map type, written down. A change here is a change of what pinned maps hold: it needs a new
//! [`LAYOUT_VERSION`](lb_common::LAYOUT_VERSION), which the last line keeps an eye on.

use std::{
    fmt::Write as _,
    mem::{align_of, offset_of, size_of},
};

use lb_common::*;

const LAYOUT: &str = "\
Counter: 16 bytes, alignment 8
   0 packets
   8 bytes
RealCounters: 40 bytes, alignment 8
   0 connections
   8 in_packets
  16 in_bytes
  24 out_packets
  32 out_bytes
FlowKey: 16 bytes, alignment 2
   0 source
   4 destination
   8 source_port
  10 destination_port
  12 protocol
Flow: 56 bytes, alignment 8
   0 last_seen
   8 real
  12 generation
  16 other
  32 last_hop_ifindex
  36 last_hop_mac
  42 local_mac
  48 state
  49 direction
PeerHop: 12 bytes, alignment 1
   0 mac
   6 source_mac
Real: 36 bytes, alignment 4
   0 address
   4 port
   6 method
   7 state
   8 mac
  14 source_mac
  20 ifindex
  24 generation
  28 service
  32 weight
RealKey: 8 bytes, alignment 2
   0 address
   4 port
   6 protocol
Ring: 32768 bytes, alignment 2
   0 slots
RouterState: 4 bytes, alignment 1
   0 role
ServiceKey: 8 bytes, alignment 2
   0 address
   4 port
   6 protocol
Service: 16 bytes, alignment 4
   0 id
   4 ring
   8 ring_len
  12 scheduler
LAYOUT_VERSION 2
";

macro_rules! describe {
    ($out:ident, $($name:ident { $($field:ident)+ })+) => {
        $(
            let (size, alignment) = (size_of::<$name>(), align_of::<$name>());
            writeln!($out, "{}: {size} bytes, alignment {alignment}", stringify!($name)).unwrap();
            $(writeln!($out, "{:4} {}", offset_of!($name, $field), stringify!($field)).unwrap();)+
        )+
    };
}

#[test]
fn sizes_and_offsets_are_those_of_the_layout_version() {
    let mut out = String::new();
    describe! { out,
        Counter { packets bytes }
        RealCounters { connections in_packets in_bytes out_packets out_bytes }
        FlowKey { source destination source_port destination_port protocol }
        Flow { last_seen real generation other last_hop_ifindex last_hop_mac local_mac state direction }
        PeerHop { mac source_mac }
        Real { address port method state mac source_mac ifindex generation service weight }
        RealKey { address port protocol }
        Ring { slots }
        RouterState { role }
        ServiceKey { address port protocol }
        Service { id ring ring_len scheduler }
    }
    writeln!(out, "LAYOUT_VERSION {LAYOUT_VERSION}").unwrap();
    assert!(out == LAYOUT, "the layout is now\n{out}");
}

#[test]
fn keys_have_no_byte_that_their_fields_do_not_decide() {
    // A map compares keys byte by byte: two equal ones must have equal bytes, whatever lay on the stack before.
    let key = FlowKey::new(IPPROTO_UDP, [1, 2, 3, 4], 5, [6, 7, 8, 9], 10);
    let [source, destination] = [5u16, 10].map(u16::to_ne_bytes);
    let expected = [&[1, 2, 3, 4, 6, 7, 8, 9][..], &source, &destination, &[IPPROTO_UDP, 0, 0, 0]].concat();
    // SAFETY: sixteen bytes without padding, as the layout above shows.
    let bytes: [u8; 16] = unsafe { std::mem::transmute(key) };
    assert_eq!(bytes[..], expected);
}

#[test]
fn numbers_of_enums_read_back() {
    for state in ConnState::ALL {
        assert_eq!(ConnState::from_u8(state as u8), Some(state));
    }
    for n in 0..=u8::MAX {
        assert_eq!(ConnState::from_u8(n).is_some(), usize::from(n) < ConnState::ALL.len());
        assert!(Method::from_u8(n).is_none_or(|method| method as u8 == n));
        assert!(RealState::from_u8(n).is_none_or(|state| state as u8 == n));
        assert!(RouterRole::from_u8(n).is_none_or(|role| role as u8 == n));
        assert!(Scheduler::from_u8(n).is_none_or(|scheduler| scheduler as u8 == n));
    }
}
