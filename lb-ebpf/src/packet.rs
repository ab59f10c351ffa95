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
        LastHop::new(ingress, self.macs.source, self.macs.destination)
    }
}

/// The two addresses that an Ethernet header starts with.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Macs {
    /// To whom.
    pub(crate) destination: [u8; 6],
    /// From whom.
    pub(crate) source: [u8; 6],
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
}
