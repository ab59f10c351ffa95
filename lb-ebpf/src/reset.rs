//! The answer to a TCP segment of no connection: RST, as RFC 9293 3.10.7.1 demands of a host where none exists.

use lb_common::{FlowKey, IPPROTO_TCP};
use network_types::{bitfield::BitfieldU16, ip::Ipv4Hdr, tcp::TcpHdr};

use crate::{
    checksum::{checksum, words},
    packet::TcpFlags,
};

/// Length of an answer: IPv4 and TCP without options.
pub(crate) const ANSWER_LENGTH: usize = Ipv4Hdr::LEN + TcpHdr::LEN;

/// IPv4, header of five words (RFC 791 3.1).
const VERSION_IHL: u8 = 0x45;
/// Don't fragment (RFC 791 3.1); with it the identification may be zero (RFC 6864 4.1).
const DONT_FRAGMENT: u16 = 0x4000;
/// The time to live of packets that are made here: the default of RFC 1700.
const TTL: u8 = 64;
/// A TCP header of five words.
const DATA_OFFSET: u8 = 5 << 4;

/// A TCP segment, as far as its answer depends on it.
#[derive(Clone, Copy)]
pub(crate) struct Segment {
    /// Its addresses and ports.
    pub(crate) key: FlowKey,
    /// Its flags.
    pub(crate) flags: TcpFlags,
    /// SEG.SEQ.
    pub(crate) sequence: u32,
    /// SEG.ACK.
    pub(crate) acknowledgement: u32,
    /// Bytes of data in it.
    pub(crate) payload: u32,
}

/// An answer: headers without anything behind them.
#[derive(Clone, Copy)]
pub(crate) struct Answer {
    /// From the destination of the segment to its source.
    pub(crate) ip: Ipv4Hdr,
    /// RST, or RST and ACK.
    pub(crate) tcp: TcpHdr,
}

/// What answers `segment`; `None` for a RST, which is never answered.
#[inline(always)]
pub(crate) fn answer(segment: &Segment) -> Option<Answer> {
    let Segment { key, flags, .. } = segment;
    if flags.any(TcpFlags::RST) {
        return None;
    }
    // SEG.LEN counts SYN and FIN too (RFC 9293 3.4).
    let length = segment.payload + flags.any(TcpFlags::SYN) as u32 + flags.any(TcpFlags::FIN) as u32;
    let tcp = if flags.any(TcpFlags::ACK) {
        tcp_header(key, segment.acknowledgement, 0, TcpFlags::RST)
    } else {
        tcp_header(key, 0, segment.sequence.wrapping_add(length), TcpFlags::RST.with(TcpFlags::ACK))
    };
    Some(Answer { ip: ip_header(key), tcp })
}

/// The IPv4 header from the destination of `key` to its source.
#[inline(always)]
fn ip_header(key: &FlowKey) -> Ipv4Hdr {
    let ([from, from_low], [to, to_low]) = (words(key.destination), words(key.source));
    let version = u16::from_be_bytes([VERSION_IHL, 0]);
    let ttl = u16::from_be_bytes([TTL, IPPROTO_TCP]);
    Ipv4Hdr {
        vihl: VERSION_IHL,
        tos: 0,
        tot_len: (ANSWER_LENGTH as u16).to_be_bytes(),
        id: [0; 2],
        frags: DONT_FRAGMENT.to_be_bytes(),
        ttl: TTL,
        proto: IPPROTO_TCP,
        check: checksum([version, ANSWER_LENGTH as u16, DONT_FRAGMENT, ttl, from, from_low, to, to_low]),
        src_addr: key.destination,
        dst_addr: key.source,
    }
}

/// The TCP header from the destination of `key` to its source, its checksum included.
#[inline(always)]
fn tcp_header(key: &FlowKey, sequence: u32, acknowledgement: u32, flags: TcpFlags) -> TcpHdr {
    let ([from, from_low], [to, to_low]) = (words(key.destination), words(key.source));
    let (seq, ack_seq) = (sequence.to_be_bytes(), acknowledgement.to_be_bytes());
    let ([seq_high, seq_low], [ack_high, ack_low]) = (words(seq), words(ack_seq));
    let offset_and_flags = [DATA_OFFSET, flags.0];
    TcpHdr {
        source: key.destination_port.to_be_bytes(),
        dest: key.source_port.to_be_bytes(),
        seq,
        ack_seq,
        _bitfield_align_1: [],
        _bitfield_1: BitfieldU16::new(offset_and_flags),
        window: [0; 2],
        check: checksum([
            // The pseudo-header (RFC 9293 3.1).
            from,
            from_low,
            to,
            to_low,
            IPPROTO_TCP as u16,
            TcpHdr::LEN as u16,
            // The header itself.
            key.destination_port,
            key.source_port,
            seq_high,
            seq_low,
            ack_high,
            ack_low,
            u16::from_be_bytes(offset_and_flags),
        ]),
        urg_ptr: [0; 2],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN: Segment = Segment {
        key: FlowKey::new(IPPROTO_TCP, [10, 0, 0, 100], 40_000, [192, 0, 2, 10], 80),
        flags: TcpFlags::SYN,
        sequence: 1000,
        acknowledgement: 77,
        payload: 0,
    };

    #[test]
    fn the_form_depends_on_the_acknowledgement() {
        // Flags, payload; sequence number, acknowledgement number and flags of the answer.
        let rows = [
            (TcpFlags::SYN, 0, (0, 1001, 0x14)),
            (TcpFlags::NONE, 5, (0, 1005, 0x14)),
            (TcpFlags::SYN.with(TcpFlags::FIN), 5, (0, 1007, 0x14)),
            (TcpFlags::ACK, 5, (77, 0, 0x04)),
            (TcpFlags::SYN.with(TcpFlags::ACK), 0, (77, 0, 0x04)),
            (TcpFlags::FIN.with(TcpFlags::ACK), 0, (77, 0, 0x04)),
        ];
        for (flags, payload, expected) in rows {
            let Answer { tcp, .. } = answer(&Segment { flags, payload, ..SYN }).unwrap();
            let numbers = (u32::from_be_bytes(tcp.seq), u32::from_be_bytes(tcp.ack_seq));
            let flags = tcp.fin() | tcp.syn() << 1 | tcp.rst() << 2 | tcp.ack() << 4;
            assert_eq!((numbers.0, numbers.1, flags), expected);
        }
    }

    #[test]
    fn a_reset_is_never_answered() {
        for others in 0..=0x3f {
            let flags = TcpFlags(others).with(TcpFlags::RST);
            assert!(answer(&Segment { flags, ..SYN }).is_none());
        }
    }

    #[test]
    fn sequence_numbers_wrap() {
        let Answer { tcp, .. } = answer(&Segment { sequence: u32::MAX, ..SYN }).unwrap();
        assert_eq!(u32::from_be_bytes(tcp.ack_seq), 0);
    }

    #[test]
    fn it_goes_back_where_the_segment_came_from() {
        let Answer { ip, tcp } = answer(&SYN).unwrap();
        assert_eq!((ip.src_addr, ip.dst_addr), ([192, 0, 2, 10], [10, 0, 0, 100]));
        assert_eq!((u16::from_be_bytes(tcp.source), u16::from_be_bytes(tcp.dest)), (80, 40_000));
        assert_eq!((ip.ihl(), ip.tot_len(), ip.ttl), (20, 40, 64));
        assert_eq!(tcp.doff(), 5);
    }
}
