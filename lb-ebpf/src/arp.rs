//! ARP requests for the addresses that move with the active role. The kernel answers for whatever stands on its interfaces,
//! whether the daemon lives or not; a request that it does not see it does not answer.
//!
//! IPv6 asks by Neighbour Solicitation (RFC 4861 4.3) instead; it belongs here as soon as IPv6 is forwarded.

use network_types::eth::EtherType;

use crate::{bytes::Bytes, parse};

/// Request, the operation (RFC 826).
const REQUEST: u16 = 1;
/// Length of a MAC and of an IPv4 address: what the kernel heeds on Ethernet. It takes more than one hardware type, so that
/// the type is not looked at (`arp_rcv` and `arp_process` of net/ipv4/arp.c).
const LENGTHS: [u8; 2] = [6, 4];

/// The fields before the addresses: hardware type, protocol type, both lengths, operation.
type Fixed = [u8; 8];
/// Offsets of the IPv4 addresses of sender and target from the start of the ARP packet.
const SENDER: usize = 14;
/// See [`SENDER`].
const TARGET: usize = 24;

/// The IPv4 address that `bytes` asks for; `None` where they are no ARP request, or one in which the sender tells everyone of
/// its own address (RFC 5227 2.3).
#[inline(always)]
pub(crate) fn asked_for(bytes: &impl Bytes) -> Option<[u8; 4]> {
    let (offset, _in_vlan) = parse::find(bytes, EtherType::Arp)?;
    let [_, _, protocol @ .., length, address_length, operation, request]: Fixed = bytes.read(offset)?;
    if u16::from_ne_bytes(protocol) != EtherType::Ipv4 as u16
        || [length, address_length] != LENGTHS
        || u16::from_be_bytes([operation, request]) != REQUEST
    {
        return None;
    }
    let sender: [u8; 4] = bytes.read(offset + SENDER)?;
    let target: [u8; 4] = bytes.read(offset + TARGET)?;
    (u32::from_ne_bytes(sender) != u32::from_ne_bytes(target)).then_some(target)
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
            assert_eq!(asked_for(&Frame(framed(&[&tag.repeat(tags), &REQUEST[..]].concat()))), Some(TARGET));
        }
        assert_eq!(asked_for(&Frame(framed(&[&tag.repeat(3), &REQUEST[..]].concat()))), None);
    }

    #[test]
    fn a_probe_without_a_sender_asks_as_well_and_any_hardware_type_does() {
        let probe = with(16, [0; 4]);
        assert_eq!(asked_for(&Frame(probe)), Some(TARGET));
        assert_eq!(asked_for(&Frame(with(2, [0, 6]))), Some(TARGET));
    }

    #[test]
    fn replies_announcements_and_other_protocols_ask_for_nothing() {
        let others =
            [with(8, [0, 2]), with(16, TARGET), with(4, [0x86, 0xdd]), with(6, [8, 4]), with(6, [6, 16])];
        for other in others {
            assert_eq!(asked_for(&Frame(other.clone())), None, "{other:?}");
        }
        assert_eq!(asked_for(&Frame(with(0, [0x08, 0x00]))), None);
    }

    #[test]
    fn a_request_that_is_cut_off_asks_for_nothing() {
        let whole = framed(&REQUEST);
        for length in 0..whole.len() {
            assert_eq!(asked_for(&Frame(whole[..length].to_vec())), None, "{length} bytes");
        }
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
