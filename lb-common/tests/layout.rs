//! The layout of every map type, written down. A change here is a change of what pinned maps hold: it needs a new
//! [`LAYOUT_VERSION`](lb_common::LAYOUT_VERSION), which the last line keeps an eye on.

use std::{
    fmt::Write as _,
    mem::{align_of, offset_of, size_of},
};

use lb_common::{
    flow_table::{ChangeMarks, HashKey, RawBucket, RawEntry, Timeouts},
    *,
};

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
RawBucket: 128 bytes, alignment 8
   0 ways
RawEntry: 16 bytes, alignment 8
   0 real
   2 client_port
   4 client_address
   8 seen_and_state
  12 generation
  14 last_hop
ChangeMarks: 64 bytes, alignment 8
   0 0
HashKey: 24 bytes, alignment 8
   0 0
LastHop: 16 bytes, alignment 8
   0 0
Lease: 8 bytes, alignment 8
   0 until
AddressFilter: 16384 bytes, alignment 8
   0 virtual_addresses
8192 real_addresses
Timeouts: 64 bytes, alignment 4
   0 0
Floating: 12 bytes, alignment 4
   0 lease
   4 mac
VirtualMacKey: 12 bytes, alignment 4
   0 ifindex
   4 mac
VirtualMac: 8 bytes, alignment 2
   0 own
   6 lease
PeerHop: 12 bytes, alignment 1
   0 mac
   6 source_mac
CachedPeer: 24 bytes, alignment 4
   0 ifindex
   4 epoch
   8 hop
  20 is_known
CachedService: 32 bytes, alignment 4
   0 key
   8 service
  24 epoch
Real: 64 bytes, alignment 4
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
  36 virtual_address
  40 virtual_port
  42 protocol
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
  13 closed
LAYOUT_VERSION 5
";

macro_rules! describe {
    ($out:ident, $($name:ident { $($field:tt)+ })+) => {
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
        RawBucket { ways }
        RawEntry { real client_port client_address seen_and_state generation last_hop }
        ChangeMarks { 0 }
        HashKey { 0 }
        LastHop { 0 }
        Lease { until }
        AddressFilter { virtual_addresses real_addresses }
        Timeouts { 0 }
        Floating { lease mac }
        VirtualMacKey { ifindex mac }
        VirtualMac { own lease }
        PeerHop { mac source_mac }
        CachedPeer { ifindex epoch hop is_known }
        CachedService { key service epoch }
        Real { address port method state mac source_mac ifindex generation service weight virtual_address virtual_port
            protocol }
        RealKey { address port protocol }
        Ring { slots }
        RouterState { role }
        ServiceKey { address port protocol }
        Service { id ring ring_len scheduler closed }
    }
    writeln!(out, "LAYOUT_VERSION {LAYOUT_VERSION}").unwrap();
    assert!(out == LAYOUT, "the layout is now\n{out}");
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
