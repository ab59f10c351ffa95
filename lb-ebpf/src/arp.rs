//! ARP requests for the addresses that move with the active role. The kernel answers for whatever stands on its interfaces,
//! whether the daemon lives or not; a request that it does not see it does not answer.
//!
//! IPv6 asks by Neighbour Solicitation (RFC 4861 4.3) instead; it belongs here as soon as IPv6 is forwarded.

use network_types::eth::EtherType;

use lb_common::mac_number;

use crate::{bytes::Bytes, packet::Macs, parse};

/// Operations (RFC 826).
const REQUEST: u16 = 1;
/// See [`REQUEST`].
const REPLY: u16 = 2;
/// Length of a MAC and of an IPv4 address: what the kernel heeds on Ethernet. It takes more than one hardware type, so that
/// the type is not looked at (`arp_rcv` and `arp_process` of net/ipv4/arp.c).
const LENGTHS: [u8; 2] = [6, 4];

/// The fields before the addresses: hardware type, protocol type, both lengths, operation.
type Fixed = [u8; 8];
/// Offsets from the start of the ARP packet: of the operation, and of the addresses of sender and target, MAC and IPv4.
const OPERATION: usize = 6;
/// See [`OPERATION`].
const SENDER: usize = 8;
/// See [`OPERATION`].
const TARGET: usize = 24;

/// A question who has an IPv4 address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// Where the ARP packet starts in the frame.
    at: usize,
    /// Who asks: MAC and IPv4 address.
    sender: [u8; 10],
    /// The address that is asked for.
    pub(crate) target: [u8; 4],
}

/// What a request becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// From the virtual MAC address to whoever has asked.
    pub(crate) macs: Macs,
    /// The ARP packet from its operation on.
    pub(crate) fields: [u8; 22],
}

/// The request that `bytes` are; `None` where they are none, or one in which the sender tells everyone of its own address
/// (RFC 5227 2.3).
#[inline(always)]
pub(crate) fn request(bytes: &impl Bytes) -> Option<Request> {
    let (offset, _in_vlan) = parse::find(bytes, EtherType::Arp)?;
    let [_, _, protocol @ .., length, address_length, operation, request]: Fixed = bytes.read(offset)?;
    if u16::from_ne_bytes(protocol) != EtherType::Ipv4 as u16
        || [length, address_length] != LENGTHS
        || u16::from_be_bytes([operation, request]) != REQUEST
    {
        return None;
    }
    let sender: [u8; 10] = bytes.read(offset + SENDER)?;
    let target: [u8; 4] = bytes.read(offset + TARGET)?;
    let [.., a, b, c, d] = sender;
    let is_question = u32::from_ne_bytes([a, b, c, d]) != u32::from_ne_bytes(target);
    is_question.then_some(Request { at: offset, sender, target })
}

impl Request {
    /// Where the operation stands in the frame.
    #[inline(always)]
    pub(crate) const fn operation_at(&self) -> usize {
        self.at + OPERATION
    }

    /// The answer that the address is at `mac`. Tags before the ARP packet stay, and so does padding behind it.
    #[inline(always)]
    pub(crate) const fn answered(&self, mac: [u8; 6]) -> Answer {
        let [operation, reply] = REPLY.to_be_bytes();
        let [a, b, c, d, e, f] = mac;
        let [g, h, i, j] = self.target;
        let [k, l, m, n, o, p, q, r, s, t] = self.sender;
        Answer {
            macs: Macs::new(mac_number([k, l, m, n, o, p]), mac_number(mac)),
            fields: [operation, reply, a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q, r, s, t],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::fixture::Frame;

    /// Who has 192.0.2.10? Tell 192.0.2.1; from the type of the Ethernet header on.
    const REQUEST: [u8; 30] = [
        0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 192, 0, 2,
        10,
    ];
    const TARGET: [u8; 4] = [192, 0, 2, 10];

    #[test]
    fn a_request_names_its_target_behind_any_tags() {
        let tag = [0x81, 0, 0, 7];
        for tags in 0..=2 {
            assert_eq!(asked_for(framed(&[&tag.repeat(tags), &REQUEST[..]].concat())), Some(TARGET));
        }
        assert_eq!(asked_for(framed(&[&tag.repeat(3), &REQUEST[..]].concat())), None);
    }

    #[test]
    fn a_probe_without_a_sender_asks_as_well_and_any_hardware_type_does() {
        let probe = with(16, [0; 4]);
        assert_eq!(asked_for(probe), Some(TARGET));
        assert_eq!(asked_for(with(2, [0, 6])), Some(TARGET));
    }

    #[test]
    fn replies_announcements_and_other_protocols_ask_for_nothing() {
        let others =
            [with(8, [0, 2]), with(16, TARGET), with(4, [0x86, 0xdd]), with(6, [8, 4]), with(6, [6, 16])];
        for other in others {
            assert_eq!(asked_for(other.clone()), None, "{other:?}");
        }
        assert_eq!(asked_for(with(0, [0x08, 0x00])), None);
    }

    #[test]
    fn a_request_that_is_cut_off_asks_for_nothing() {
        let whole = framed(&REQUEST);
        for length in 0..whole.len() {
            assert_eq!(asked_for(whole[..length].to_vec()), None, "{length} bytes");
        }
    }

    #[test]
    fn the_answer_exchanges_sender_and_target() {
        const VIRTUAL: [u8; 6] = [0, 0, 0x5e, 0, 1, 51];
        let tag = [0x81, 0, 0, 7];
        for tags in 0..=2 {
            let tags = tag.repeat(tags);
            let request = request(&Frame(framed(&[&tags, &REQUEST[..]].concat()))).unwrap();
            assert_eq!(request.operation_at(), 12 + tags.len() + 2 + 6);
            let Answer { macs, fields } = request.answered(VIRTUAL);
            assert_eq!(macs, Macs::new(mac_number([2, 0, 0, 0, 0, 1]), mac_number(VIRTUAL)));
            let asker = [2, 0, 0, 0, 0, 1, 192, 0, 2, 1];
            assert_eq!(fields.as_slice(), [&[0, 2], &VIRTUAL[..], &TARGET, &asker].concat());
        }
    }

    /// What a frame asks for.
    fn asked_for(frame: Vec<u8>) -> Option<[u8; 4]> {
        request(&Frame(frame)).map(|request| request.target)
    }

    /// A broadcast with these octets behind the addresses.
    fn framed(rest: &[u8]) -> Vec<u8> {
        [&[0xff; 6], &[2, 0, 0, 0, 0, 1], rest].concat()
    }

    /// The request with other octets from `at` on.
    fn with<const N: usize>(at: usize, octets: [u8; N]) -> Vec<u8> {
        let mut request = REQUEST;
        request[at..at + N].copy_from_slice(&octets);
        framed(&request)
    }
}
