//! Which frames wake the daemon: a filter in the kernel, in classic BPF (Documentation/networking/filter.rst). A segment has
//! many questions by ARP; those that claim a watched address are none or few.

use std::{collections::BTreeSet, net::Ipv4Addr};

use socket2::SockFilter;

/// Bytes of a frame that are wanted: Ethernet and ARP.
const WANTED: u32 = 42;

/// Addresses that fit beside the rest, two instructions each, into the 4096 that a filter may have (`BPF_MAXINSNS`). With more,
/// all of ARP comes through, and the engine sorts.
const ADDRESSES_MAX: usize = 2000;

/// Load a word, a half-word and a byte from a fixed offset, jump if equal, return (linux/bpf_common.h).
const LOAD_WORD: u16 = 0x20;
const LOAD_HALF: u16 = 0x28;
const LOAD_BYTE: u16 = 0x30;
const JUMP_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

/// Offset at which the kernel gives whom a frame was for: `SKF_AD_OFF + SKF_AD_PKTTYPE` (linux/filter.h).
const PACKET_TYPE: u32 = (-0x1000_i32 + 4).cast_unsigned();

/// A frame that was for another host, also one of a VLAN that this host has not (linux/if_packet.h).
const OTHER_HOST: u32 = 3;

/// Offsets of ARP's hardware and protocol type, lengths, and sender's protocol address, behind an Ethernet header (RFC 826).
const TYPES_AT: u32 = 14;
const LENGTHS_AT: u32 = 18;
const SENDER_AT: u32 = 28;

/// Lets ARP for IPv4 over Ethernet through whose sender says that it has one of `addresses`.
pub(super) fn claims_of(addresses: &BTreeSet<Ipv4Addr>) -> Vec<SockFilter> {
    let mut filter = vec![
        SockFilter::new(LOAD_BYTE, 0, 0, PACKET_TYPE),
        SockFilter::new(JUMP_EQUAL, 0, 1, OTHER_HOST),
        SockFilter::new(RETURN, 0, 0, 0),
    ];
    for (load, at, value) in [(LOAD_WORD, TYPES_AT, 0x0001_0800), (LOAD_HALF, LENGTHS_AT, 0x0604)] {
        filter.push(SockFilter::new(load, 0, 0, at));
        filter.push(SockFilter::new(JUMP_EQUAL, 1, 0, value));
        filter.push(SockFilter::new(RETURN, 0, 0, 0));
    }
    if addresses.len() <= ADDRESSES_MAX {
        filter.push(SockFilter::new(LOAD_WORD, 0, 0, SENDER_AT));
        for address in addresses {
            filter.push(SockFilter::new(JUMP_EQUAL, 0, 1, address.to_bits()));
            filter.push(SockFilter::new(RETURN, 0, 0, WANTED));
        }
        filter.push(SockFilter::new(RETURN, 0, 0, 0));
    } else {
        filter.push(SockFilter::new(RETURN, 0, 0, WANTED));
    }
    filter
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_never_larger_than_the_kernel_takes() {
        let addresses = |count: u32| (0..count).map(|n| Ipv4Addr::from_bits(0x0a00_0000 + n)).collect();
        let most = claims_of(&addresses(ADDRESSES_MAX.try_into().unwrap())).len();
        assert_eq!((claims_of(&addresses(1)).len(), most), (13, 4011));
        assert_eq!(claims_of(&addresses(100_000)).len(), 10);
    }
}
