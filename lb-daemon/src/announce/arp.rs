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
        let address = self.address.octets();
        let fields: [&[u8]; 9] = [
            &BROADCAST,
            &self.mac,
            &ETHERTYPE_ARP.to_be_bytes(),
            &TYPES,
            &form.opcode().to_be_bytes(),
            &self.mac,
            &address,
            &target_mac,
            &address,
        ];
        let mut frame = [0; FRAME_LEN];
        for (to, from) in frame.iter_mut().zip(fields.concat()) {
            *to = from;
        }
        frame
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
