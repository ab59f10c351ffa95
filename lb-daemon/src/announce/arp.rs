//! Gratuitous ARP frames: Ethernet II (IEEE 802.3) around ARP for IPv4 (RFC 826). An IPv6 address would have a frame of its own,
//! the unsolicited neighbour advertisement of RFC 4861 section 7.2.6, for the same [`Schedule`](super::schedule::Schedule).

use std::net::Ipv4Addr;

/// Length of a frame without padding, which the driver adds.
pub const FRAME_LEN: usize = 42;

/// EtherType of ARP (IANA "IEEE 802 Numbers").
pub const ETHERTYPE_ARP: u16 = 0x0806;

/// Everyone on the segment.
pub const BROADCAST: [u8; 6] = [0xff; 6];

/// Hardware type 1, Ethernet; protocol type 0x0800, IPv4; address lengths 6 and 4 (RFC 826, "Packet format").
const TYPES: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];

/// The two forms of a gratuitous ARP. Some hosts heed one alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A request for the own address: the "ARP announcement" of RFC 5227 section 2.3.
    Request,
    /// An unasked reply to everyone, as `send_arp` has sent it (RFC 5944 section 4.6).
    Reply,
}

impl Form {
    /// Operation code (RFC 826).
    const fn opcode(self) -> u16 {
        match self {
            Self::Request => 1,
            Self::Reply => 2,
        }
    }
}

/// The question who has an address, as a router asks it that has it itself: an ARP probe (RFC 5227 section 1.1), which leaves no
/// trace in anybody's cache. `target` is who is asked.
pub fn probe(address: Ipv4Addr, own: [u8; 6], target: [u8; 6]) -> [u8; FRAME_LEN] {
    let nobody = [0; 6];
    frame([&target, &own], Form::Request.opcode(), (own, Ipv4Addr::UNSPECIFIED), (nobody, address))
}

/// What the sender of an ARP packet for IPv4 over Ethernet says: his address, and where it is. `None` for any other frame.
pub fn sender(frame: &[u8]) -> Option<(Ipv4Addr, [u8; 6])> {
    let bytes = |from: usize, to: usize| frame.get(from..to);
    if bytes(12, 14)? != ETHERTYPE_ARP.to_be_bytes() || bytes(14, 20)? != TYPES {
        return None;
    }
    let mac = <[u8; 6]>::try_from(bytes(22, 28)?).ok()?;
    let address = <[u8; 4]>::try_from(bytes(28, 32)?).ok()?;
    Some((address.into(), mac))
}

/// A frame between two MAC addresses, and what it says of its sender and its target.
fn frame(
    [to, from]: [&[u8; 6]; 2],
    opcode: u16,
    sender: ([u8; 6], Ipv4Addr),
    target: ([u8; 6], Ipv4Addr),
) -> [u8; FRAME_LEN] {
    let fields: [&[u8]; 9] = [
        to,
        from,
        &ETHERTYPE_ARP.to_be_bytes(),
        &TYPES,
        &opcode.to_be_bytes(),
        &sender.0,
        &sender.1.octets(),
        &target.0,
        &target.1.octets(),
    ];
    let mut frame = [0; FRAME_LEN];
    for (to, from) in frame.iter_mut().zip(fields.concat()) {
        *to = from;
    }
    frame
}

/// The claim that an address is at a MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The address.
    pub address: Ipv4Addr,
    /// Where it is.
    pub mac: [u8; 6],
}

impl Announcement {
    /// The frame, ready to be sent.
    pub fn frame(self, form: Form) -> [u8; FRAME_LEN] {
        // RFC 5227 section 2.3 has zeroes there, as in a probe; RFC 5944 section 4.6 the new MAC address.
        let target_mac = match form {
            Form::Request => [0; 6],
            Form::Reply => self.mac,
        };
        let Self { address, mac } = self;
        frame([&BROADCAST, &mac], form.opcode(), (mac, address), (target_mac, address))
    }
}

#[cfg(test)]
mod tests {
    use etherparse::{ArpOperation, EtherType, LinkSlice, NetSlice, SlicedPacket};

    use super::*;

    const ANNOUNCEMENT: Announcement =
        Announcement { address: Ipv4Addr::new(192, 0, 2, 10), mac: [0x02, 0x42, 0xac, 0x11, 0x00, 0x02] };

    #[test]
    fn the_request_form_asks_for_the_own_address() {
        #[rustfmt::skip]
        let expected: [u8; FRAME_LEN] = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x42, 0xac, 0x11, 0x00, 0x02, 0x08, 0x06,
            0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01,
            0x02, 0x42, 0xac, 0x11, 0x00, 0x02, 192, 0, 2, 10,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 192, 0, 2, 10,
        ];
        assert_eq!(ANNOUNCEMENT.frame(Form::Request), expected);
    }

    #[test]
    fn the_reply_form_tells_everyone() {
        #[rustfmt::skip]
        let expected: [u8; FRAME_LEN] = [
            0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0x42, 0xac, 0x11, 0x00, 0x02, 0x08, 0x06,
            0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x02,
            0x02, 0x42, 0xac, 0x11, 0x00, 0x02, 192, 0, 2, 10,
            0x02, 0x42, 0xac, 0x11, 0x00, 0x02, 192, 0, 2, 10,
        ];
        assert_eq!(ANNOUNCEMENT.frame(Form::Reply), expected);
    }

    #[test]
    fn a_probe_asks_for_an_address_and_claims_none() {
        let [own, other] = [ANNOUNCEMENT.mac, [2, 0, 0, 0, 0, 9]];
        #[rustfmt::skip]
        let expected: [u8; FRAME_LEN] = [
            2, 0, 0, 0, 0, 9, 0x02, 0x42, 0xac, 0x11, 0x00, 0x02, 0x08, 0x06,
            0x00, 0x01, 0x08, 0x00, 0x06, 0x04, 0x00, 0x01,
            0x02, 0x42, 0xac, 0x11, 0x00, 0x02, 0, 0, 0, 0,
            0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 192, 0, 2, 10,
        ];
        assert_eq!(probe(ANNOUNCEMENT.address, own, other), expected);
        assert_eq!(sender(&expected), Some((Ipv4Addr::UNSPECIFIED, own)));
    }

    #[test]
    fn what_a_sender_says_is_read_and_anything_else_is_not() {
        let frame = ANNOUNCEMENT.frame(Form::Reply);
        assert_eq!(sender(&frame), Some((ANNOUNCEMENT.address, ANNOUNCEMENT.mac)));
        for length in 0..32 {
            assert_eq!(sender(&frame[..length]), None, "{length}");
        }
        for at in [12, 13, 14, 15, 16, 17, 18, 19] {
            let mut other = frame;
            other[at] ^= 1;
            assert_eq!(sender(&other), None, "{at}");
        }
    }

    #[test]
    fn another_decoder_reads_the_same() {
        for (form, operation) in [(Form::Request, ArpOperation::REQUEST), (Form::Reply, ArpOperation::REPLY)]
        {
            let frame = ANNOUNCEMENT.frame(form);
            let packet = SlicedPacket::from_ethernet(&frame).unwrap();
            let Some(LinkSlice::Ethernet2(link)) = packet.link else { panic!("no Ethernet header") };
            let Some(NetSlice::Arp(arp)) = packet.net else { panic!("no ARP packet") };
            assert_eq!((link.destination(), link.source()), (BROADCAST, ANNOUNCEMENT.mac));
            assert_eq!(link.ether_type(), EtherType::ARP);
            assert_eq!(arp.operation(), operation);
            assert_eq!(arp.sender_hw_addr(), ANNOUNCEMENT.mac);
            assert_eq!(arp.sender_protocol_addr(), ANNOUNCEMENT.address.octets());
            assert_eq!(arp.target_protocol_addr(), ANNOUNCEMENT.address.octets());
        }
    }
}
