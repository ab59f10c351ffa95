//! What parsing leaves for the other stages.

use lb_common::FlowKey;
#[cfg(target_arch = "bpf")]
use lb_common::{IPPROTO_UDP, LastHop};

/// A TCP or UDP packet over IPv4, as its headers describe it. Every offset counts from the start of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    /// Source and destination MAC address.
    pub(crate) macs: Macs,
    /// Offset of the IPv4 header.
    pub(crate) l3: usize,
    /// Offset of the TCP or UDP header.
    pub(crate) l4: usize,
    /// Protocol, addresses and ports.
    pub(crate) key: FlowKey,
    /// Whether a tag says that it belongs to a VLAN. One that carries a priority alone (VLAN 0) does not.
    pub(crate) in_vlan: bool,
    /// IPv4 total length in bytes.
    pub(crate) total_length: u16,
    /// Length of the frame in bytes.
    pub(crate) frame_length: usize,
    /// Time to live.
    pub(crate) ttl: u8,
    /// Flags of TCP; none for UDP.
    pub(crate) flags: TcpFlags,
}

#[cfg(target_arch = "bpf")]
impl Packet {
    /// Whether it may be the first of a connection.
    #[inline(always)]
    pub(crate) const fn opens(&self) -> bool {
        self.key.protocol == IPPROTO_UDP || self.flags.opens()
    }

    /// The neighbour on interface `ingress` that it came from.
    #[inline(always)]
    pub(crate) const fn last_hop(&self, ingress: u32) -> LastHop {
        LastHop::of_numbers(ingress, self.macs.source(), self.macs.destination())
    }
}

/// The two addresses that an Ethernet header starts with, in words of memory: taken apart octet by octet they would cost more
/// than all else that is read of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Macs(pub(crate) [u32; 3]);

impl Macs {
    /// Bytes of it.
    pub(crate) const LEN: usize = 12;

    /// From `source` to `destination`, both as [numbers](lb_common::mac_number).
    #[inline(always)]
    pub(crate) const fn new(destination: u64, source: u64) -> Self {
        Self([destination as u32, (destination >> 32) as u32 | (source as u32) << 16, (source >> 16) as u32])
    }

    /// To whom, as a [number](lb_common::mac_number).
    #[inline(always)]
    pub(crate) const fn destination(self) -> u64 {
        let Self([low, middle, _]) = self;
        low as u64 | (middle as u16 as u64) << 32
    }

    /// From whom, as a [number](lb_common::mac_number).
    #[inline(always)]
    pub(crate) const fn source(self) -> u64 {
        let Self([_, middle, high]) = self;
        (middle >> 16) as u64 | (high as u64) << 16
    }

    /// With the two exchanged: back to the sender.
    #[inline(always)]
    pub(crate) const fn back(self) -> Self {
        Self::new(self.source(), self.destination())
    }
}

/// The end of an IPv4 header, which routers change, in words of memory: time to live, protocol and checksum; source; and
/// destination (RFC 791 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ipv4Tail(pub(crate) [u32; 3]);

impl Ipv4Tail {
    /// Where it starts in the header.
    #[cfg(target_arch = "bpf")]
    pub(crate) const OFFSET: usize = 8;

    /// Time to live and protocol, as the number that the checksum covers.
    #[inline(always)]
    pub(crate) const fn ttl_and_protocol(self) -> u16 {
        let Self([first, ..]) = self;
        (first as u16).swap_bytes()
    }

    /// The checksum, in network order.
    #[inline(always)]
    pub(crate) const fn checksum(self) -> [u8; 2] {
        let Self([first, ..]) = self;
        ((first >> 16) as u16).to_ne_bytes()
    }

    /// With these.
    #[inline(always)]
    pub(crate) const fn with(self, ttl_and_protocol: u16, checksum: [u8; 2]) -> Self {
        let Self([_, source, destination]) = self;
        let checksum = u16::from_ne_bytes(checksum) as u32;
        Self([checksum << 16 | ttl_and_protocol.swap_bytes() as u32, source, destination])
    }

    /// With another source.
    #[inline(always)]
    pub(crate) const fn from(self, source: [u8; 4]) -> Self {
        let Self([first, _, destination]) = self;
        Self([first, u32::from_ne_bytes(source), destination])
    }

    /// With another destination.
    #[inline(always)]
    pub(crate) const fn to(self, destination: [u8; 4]) -> Self {
        let Self([first, source, _]) = self;
        Self([first, source, u32::from_ne_bytes(destination)])
    }
}

/// The flags of a TCP header (RFC 9293 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpFlags(pub(crate) u8);

impl TcpFlags {
    /// No flag; also what a UDP packet has.
    pub(crate) const NONE: Self = Self(0);
    /// No more data from the sender.
    pub(crate) const FIN: Self = Self(0x01);
    /// Synchronise sequence numbers.
    pub(crate) const SYN: Self = Self(0x02);
    /// Reset the connection.
    pub(crate) const RST: Self = Self(0x04);
    /// The acknowledgement field counts.
    pub(crate) const ACK: Self = Self(0x10);

    /// Whether any flag of `other` is set.
    #[inline(always)]
    pub(crate) const fn any(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// These flags and those of `other`.
    #[inline(always)]
    pub(crate) const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the packet asks for a new connection: SYN without ACK, RST and FIN, which no client sends along.
    #[inline(always)]
    pub(crate) const fn opens(self) -> bool {
        self.any(Self::SYN) && !self.any(Self::ACK.with(Self::RST).with(Self::FIN))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_lone_syn_opens_a_connection() {
        let opening: Vec<u8> = (0..=0x3f).filter(|&flags| TcpFlags(flags).opens()).collect();
        // SYN with any of PSH (0x08) and URG (0x20).
        assert_eq!(opening, [0x02, 0x0a, 0x22, 0x2a]);
    }

    #[test]
    fn addresses_are_words_of_memory() {
        let octets: [u8; 12] = core::array::from_fn(|n| n as u8 + 1);
        let words = core::array::from_fn(|n| u32::from_ne_bytes(octets[4 * n..][..4].try_into().unwrap()));
        let macs = Macs(words);
        assert_eq!(macs.destination(), lb_common::mac_number([1, 2, 3, 4, 5, 6]));
        assert_eq!(macs.source(), lb_common::mac_number([7, 8, 9, 10, 11, 12]));
        assert_eq!(Macs::new(macs.destination(), macs.source()), macs);
        assert_eq!(macs.back().back(), macs);
        assert_eq!(macs.back().source(), macs.destination());
    }

    #[test]
    fn the_end_of_a_header_changes_part_by_part() {
        let octets = [64, 6, 0xab, 0xcd, 10, 0, 0, 1, 10, 0, 0, 2_u8];
        let word = |n: usize| u32::from_ne_bytes(octets[4 * n..][..4].try_into().unwrap());
        let tail = Ipv4Tail([word(0), word(1), word(2)]);
        assert_eq!((tail.ttl_and_protocol(), tail.checksum()), (0x4006, [0xab, 0xcd]));
        assert_eq!(tail.with(0x4006, [0xab, 0xcd]), tail);
        let changed = tail.with(0x3f06, [1, 2]).from([10, 0, 0, 3]).to([10, 0, 0, 4]);
        assert_eq!((changed.ttl_and_protocol(), changed.checksum()), (0x3f06, [1, 2]));
        assert_eq!(changed.0[1..].iter().map(|w| w.to_ne_bytes()[3]).collect::<Vec<_>>(), [3, 4]);
    }
}
