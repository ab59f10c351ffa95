//! Ethernet with up to two VLAN tags, IPv4 with options, TCP and UDP.

use core::mem::offset_of;

use lb_common::{FlowKey, IPPROTO_TCP, IPPROTO_UDP, Reason};
use network_types::{eth::EtherType, ip::Ipv4Hdr, tcp::TcpHdr, udp::UdpHdr};

use crate::{
    bytes::Bytes,
    packet::{Macs, Packet, TcpFlags},
};

/// An 802.1Q or 802.1ad tag: its type and the tag control information.
const TAG: usize = 4;
/// The number of the VLAN in the tag control information (IEEE 802.1Q 9.6); 0 is a tag of priority alone.
const VLAN_ID: u16 = 0x0fff;
/// Tags that are skipped over: a customer's and a provider's.
const MAX_TAGS: usize = 2;
/// All bits of the offset of an IPv4 header: 14, 18 or 22.
const OFFSET_MASK: usize = 31;
/// "More fragments" and the fragment offset: not zero in every fragment (RFC 791 3.1).
pub(crate) const FRAGMENT: u16 = 0x3fff;
/// The octet of a TCP header with the data offset in its upper half; the flags follow (RFC 9293 3.1).
pub(crate) const TCP_DATA_OFFSET: usize = offset_of!(TcpHdr, _bitfield_1);

/// The headers up to that of IPv4: enough to tell whether a packet concerns the balancer.
#[derive(Clone, Copy)]
pub(crate) struct Head {
    macs: Macs,
    l3: usize,
    in_vlan: bool,
    /// The IPv4 header of RFC 791 3.1 in words of memory: the first octet is the lowest of its word.
    ip: [u32; 5],
}

impl Head {
    /// Source address.
    #[inline(always)]
    pub(crate) const fn source(&self) -> [u8; 4] {
        let [_, _, _, source, _] = self.ip;
        source.to_ne_bytes()
    }

    /// Destination address.
    #[inline(always)]
    pub(crate) const fn destination(&self) -> [u8; 4] {
        let [_, _, _, _, destination] = self.ip;
        destination.to_ne_bytes()
    }

    /// Bytes of the frame.
    #[inline(always)]
    pub(crate) fn frame_length(&self, bytes: &impl Bytes) -> usize {
        let claimed = self.l3 + self.total_length() as usize;
        // Only a frame of several buffers holds more than its linear part; no other pays for the helper.
        let linear = bytes.linear_length();
        if claimed <= linear { linear } else { bytes.length() }
    }

    #[inline(always)]
    const fn total_length(&self) -> u16 {
        let [version, ..] = self.ip;
        ((version >> 16) as u16).swap_bytes()
    }
}

/// Describes the packet in `bytes`.
///
/// # Errors
/// `NotIpv4`, `OtherProtocol`, `Fragment`, `Malformed`.
#[inline(always)]
pub(crate) fn parse(bytes: &impl Bytes) -> Result<Packet, Reason> {
    packet(bytes, &head(bytes)?)
}

/// The first headers of `bytes`.
///
/// # Errors
/// `NotIpv4`, `Malformed`.
#[inline(always)]
pub(crate) fn head(bytes: &impl Bytes) -> Result<Head, Reason> {
    let macs = Macs(bytes.read(0).ok_or(Reason::NotIpv4)?);
    let (l3, in_vlan) = find(bytes, EtherType::Ipv4).ok_or(Reason::NotIpv4)?;
    // The verifier would walk the whole program once for each number of tags.
    let l3 = bytes.hidden(l3, macs.0[1] as usize & OFFSET_MASK) & OFFSET_MASK;
    Ok(Head { macs, l3, in_vlan, ip: bytes.read(l3).ok_or(Reason::Malformed)? })
}

/// Describes the packet in `bytes`, which begins with `head`.
///
/// # Errors
/// `OtherProtocol`, `Fragment`, `Malformed`.
#[inline(always)]
pub(crate) fn packet(bytes: &impl Bytes, head: &Head) -> Result<Packet, Reason> {
    let Head { macs, l3, in_vlan, ip: [version, fragment, ttl, source, destination] } = *head;
    let total_length = head.total_length();
    let frame_length = head.frame_length(bytes);
    let header_length = (version & 0x0f) as usize * 4;
    if version >> 4 & 0x0f != 4
        || header_length < Ipv4Hdr::LEN
        || (total_length as usize) < header_length
        || frame_length < l3 + total_length as usize
    {
        return Err(Reason::Malformed);
    }
    let protocol = (ttl >> 8) as u8;
    if protocol != IPPROTO_TCP && protocol != IPPROTO_UDP {
        return Err(Reason::OtherProtocol);
    }
    if ((fragment >> 16) as u16).swap_bytes() & FRAGMENT != 0 {
        return Err(Reason::Fragment);
    }
    let l4 = l3 + header_length;
    let payload = total_length as usize - header_length;
    let (ports, flags) =
        if protocol == IPPROTO_TCP { tcp(bytes, l4, payload) } else { udp(bytes, l4, payload) }
            .ok_or(Reason::Malformed)?;
    let [source_port, destination_port] = [ports as u16, (ports >> 16) as u16].map(u16::swap_bytes);
    let [source, destination] = [source, destination].map(u32::to_ne_bytes);
    Ok(Packet {
        macs,
        l3,
        l4,
        key: FlowKey::new(protocol, source, source_port, destination, destination_port),
        in_vlan,
        total_length,
        frame_length,
        ttl: ttl as u8,
        flags,
    })
}

/// Offset of the header of the `wanted` protocol, and whether the frame belongs to a VLAN; `None` for frames of others.
#[inline(always)]
pub(crate) fn find(bytes: &impl Bytes, wanted: EtherType) -> Option<(usize, bool)> {
    let mut offset = Macs::LEN;
    let mut in_vlan = false;
    for _ in 0..=MAX_TAGS {
        let ether_type = u16::from_ne_bytes(bytes.read(offset)?);
        if ether_type == wanted as u16 {
            return Some((offset + 2, in_vlan));
        }
        if ether_type != EtherType::Ieee8021q as u16 && ether_type != EtherType::Ieee8021ad as u16 {
            return None;
        }
        in_vlan |= u16::from_be_bytes(bytes.read(offset + 2)?) & VLAN_ID != 0;
        offset += TAG;
    }
    None
}

/// Ports, as they stand in memory, and flags of a TCP segment of `length` bytes; `None` where it contradicts itself.
#[inline(always)]
fn tcp(bytes: &impl Bytes, l4: usize, length: usize) -> Option<(u32, TcpFlags)> {
    let ports = u32::from_ne_bytes(bytes.read(l4)?);
    let offset_and_flags = u16::from_le_bytes(bytes.read(l4 + TCP_DATA_OFFSET)?);
    let header_length = (offset_and_flags as u8 >> 4) as usize * 4;
    // The rest of the fixed header is read by whoever needs it; that it is there was claimed by the total length.
    if header_length < TcpHdr::LEN || header_length > length {
        return None;
    }
    Some((ports, TcpFlags((offset_and_flags >> 8) as u8)))
}

/// Ports, as they stand in memory, of a UDP datagram of `length` bytes; `None` where it contradicts itself.
#[inline(always)]
fn udp(bytes: &impl Bytes, l4: usize, length: usize) -> Option<(u32, TcpFlags)> {
    let [ports, claimed]: [u32; 2] = bytes.read(l4)?;
    let claimed = (claimed as u16).swap_bytes() as usize;
    if claimed < UdpHdr::LEN || claimed > length {
        return None;
    }
    Some((ports, TcpFlags::NONE))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::fixture::Frame;

    /// A SYN from 10.0.0.100:40000 to 192.0.2.10:80, from the type of the Ethernet header on.
    const SYN: [u8; 42] = [
        0x08, 0x00, 0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 100, 192, 0, 2, 10, 0x9c, 0x40, 0,
        80, 0, 0, 3, 0xe8, 0, 0, 0, 0, 0x50, 0x02, 0xfa, 0xf0, 0, 0, 0, 0,
    ];
    /// An 802.1Q tag.
    const TAG: [u8; 4] = [0x81, 0x00, 0x20, 0x64];

    #[test]
    fn a_segment_is_described() {
        let packet = parse(&frame(&[&SYN])).unwrap();
        let macs = [packet.macs.destination(), packet.macs.source()];
        assert_eq!(macs, [[1; 6], [2; 6]].map(lb_common::mac_number));
        assert_eq!((packet.l3, packet.l4), (14, 34));
        assert_eq!(packet.key, FlowKey::new(IPPROTO_TCP, [10, 0, 0, 100], 40_000, [192, 0, 2, 10], 80));
        assert_eq!((packet.total_length, packet.frame_length, packet.ttl), (40, 54, 64));
        assert!(packet.flags.opens());
    }

    #[test]
    fn two_tags_at_most_are_skipped() {
        for tags in 0..=3 {
            let tagged = frame(&[&TAG.repeat(tags), &SYN]);
            match parse(&tagged) {
                Ok(packet) if tags <= 2 => assert_eq!((packet.l3, packet.l4), (14 + 4 * tags, 34 + 4 * tags)),
                outcome => assert_eq!((tags, outcome), (3, Err(Reason::NotIpv4))),
            }
        }
    }

    #[test]
    fn the_head_tells_the_addresses_behind_any_tags() {
        for tags in 0..=2 {
            let head = head(&frame(&[&TAG.repeat(tags), &SYN])).unwrap();
            assert_eq!(
                (head.source(), head.destination()),
                ([10, 0, 0, 100], [192, 0, 2, 10]),
                "{tags} tags"
            );
        }
    }

    #[test]
    fn a_tag_of_priority_alone_is_no_vlan() {
        let in_vlan = |tags: &[u8]| parse(&frame(&[tags, &SYN])).unwrap().in_vlan;
        assert!(!in_vlan(&[]));
        assert!(!in_vlan(&[0x81, 0x00, 0xf0, 0x00]));
        assert!(in_vlan(&[0x81, 0x00, 0x00, 0x01]) && in_vlan(&[0x81, 0x00, 0x0f, 0xff]));
        assert!(in_vlan(&[[0x88, 0xa8, 0, 1], [0x81, 0, 0, 0]].concat()));
        assert!(in_vlan(&[[0x88, 0xa8, 0, 0], [0x81, 0, 0, 1]].concat()));
    }

    #[test]
    fn the_frame_may_be_longer_than_its_packet_but_not_shorter() {
        let packet = parse(&frame(&[&SYN, &[0xaa; 6]])).unwrap();
        assert_eq!((packet.total_length, packet.frame_length), (40, 60));
        let whole = frame(&[&SYN]);
        for length in 0..whole.0.len() {
            let cut = Frame(whole.0[..length].to_vec());
            let expected = if length < 14 { Reason::NotIpv4 } else { Reason::Malformed };
            assert_eq!(parse(&cut), Err(expected), "{length} bytes");
        }
    }

    #[test]
    fn no_octet_makes_the_description_leave_the_frame() {
        let whole = frame(&[&TAG, &SYN]).0;
        for offset in 0..whole.len() {
            for octet in 0..=u8::MAX {
                let mut bytes = whole.clone();
                bytes[offset] = octet;
                if let Ok(packet) = parse(&Frame(bytes)) {
                    let end = packet.l3 + packet.total_length as usize;
                    let header = if packet.key.protocol == IPPROTO_TCP { TcpHdr::LEN } else { UdpHdr::LEN };
                    assert!(packet.l4 + header <= end && end <= whole.len(), "octet {octet} at {offset}");
                    assert_eq!(packet.frame_length, whole.len());
                }
            }
        }
    }

    /// A frame from 02:02:02:02:02:02 to 01:01:01:01:01:01 with these parts behind the addresses.
    fn frame(parts: &[&[u8]]) -> Frame {
        Frame([&[[1; 6], [2; 6]].concat(), parts.concat().as_slice()].concat())
    }
}
