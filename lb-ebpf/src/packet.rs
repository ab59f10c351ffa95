//! What parsing leaves for the other stages.

use lb_common::FlowKey;
#[cfg(target_arch = "bpf")]
use lb_common::{IPPROTO_UDP, LastHop};

use crate::checksum::Change;

/// The bit of a MAC address's first octet that tells a group of hosts from one (IEEE 802 8.2.2).
#[cfg(target_arch = "bpf")]
pub(crate) const GROUP: u64 = 1;

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
        self.macs.last_hop(ingress)
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

    /// The neighbour on interface `ingress` that a frame with these comes from.
    #[cfg(target_arch = "bpf")]
    #[inline(always)]
    pub(crate) const fn last_hop(self, ingress: u32) -> LastHop {
        LastHop::of_words(ingress, self.0)
    }

    /// With the two exchanged: back to the sender.
    #[inline(always)]
    pub(crate) const fn back(self) -> Self {
        Self::new(self.source(), self.destination())
    }
}

/// The word of an IPv4 header that every router changes, in memory: time to live, protocol and checksum (RFC 791 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TtlWord(pub(crate) [u8; 4]);

impl TtlWord {
    /// With one taken from the time to live, which must not be zero, and after `change`, if something else is replaced.
    #[inline(always)]
    pub(crate) const fn decremented(self, change: Option<Change>) -> Self {
        let Self([ttl, protocol, high, low]) = self;
        let change = match change {
            Some(change) => change.and(Change::TTL_DECREMENT),
            None => Change::TTL_DECREMENT,
        };
        let [high, low] = change.of([high, low]);
        Self([ttl - 1, protocol, high, low])
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
    use crate::checksum::checksum;

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
    fn a_router_takes_one_from_the_time_to_live() {
        // A header of 192.168.0.1 to 192.168.0.199, time to live 64, protocol 17.
        let words = |ttl: u16| [0x4500, 0x0073, 0x0000, 0x4000, ttl, 0xc0a8, 0x0001, 0xc0a8, 0x00c7];
        for (before, after) in [(0x4011, 0x3f11), (0x0111, 0x0011), (0xff06, 0xfe06_u16)] {
            let word = |ttl: u16| {
                let ([ttl_octet, protocol], [high, low]) = (ttl.to_be_bytes(), checksum(words(ttl)));
                TtlWord([ttl_octet, protocol, high, low])
            };
            assert_eq!(word(before).decremented(None), word(after), "{before:x}");
        }
    }
}
