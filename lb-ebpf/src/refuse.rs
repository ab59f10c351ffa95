//! The end of a TCP connection that nobody here serves: RST to the client.

use lb_common::{IPPROTO_TCP, Reason};
use network_types::ip::Ipv4Hdr;

use crate::{
    bytes::Bytes as _,
    ctx::Frame,
    hop::{self, Hop},
    outcome::Outcome,
    packet::Packet,
    parse::TCP_DATA_OFFSET,
    peer::Peer,
    reset::{self, ANSWER_LENGTH, Segment},
};

/// Answers the packet with RST and counts `reason`; a packet that has no answer is dropped for `otherwise`.
#[inline(always)]
pub(crate) fn refuse(
    frame: &mut Frame,
    packet: &Packet,
    peer: &Peer,
    reason: Reason,
    otherwise: Reason,
) -> Outcome {
    if packet.key.protocol != IPPROTO_TCP {
        return Err(otherwise);
    }
    let segment = segment(frame, packet).ok_or(Reason::Malformed)?;
    let answer = reset::answer(&segment).ok_or(otherwise)?;
    let hop = match peer {
        // The way back leads to the client, not to the router that passed its packet on.
        Peer::Sender => Hop::by_route(frame, packet.key.destination, packet.key.source).ok_or(otherwise)?,
        Peer::Reachable(_) | Peer::Unknown => Hop::back(frame.ingress(), packet),
    };
    frame.cut(packet.l3 + ANSWER_LENGTH).ok_or(otherwise)?;
    *frame.header(packet.l3).ok_or(otherwise)? = answer.ip;
    *frame.header(packet.l3 + Ipv4Hdr::LEN).ok_or(otherwise)? = answer.tcp;
    hop::send(frame, &hop, reason)
}

#[inline(always)]
fn segment(frame: &Frame, packet: &Packet) -> Option<Segment> {
    let sequence: [u8; 4] = frame.read(packet.l4 + 4)?;
    let acknowledgement: [u8; 4] = frame.read(packet.l4 + 8)?;
    let [data_offset]: [u8; 1] = frame.read(packet.l4 + TCP_DATA_OFFSET)?;
    let headers = packet.l4 - packet.l3 + (data_offset >> 4) as usize * 4;
    Some(Segment {
        key: packet.key,
        flags: packet.flags,
        sequence: u32::from_be_bytes(sequence),
        acknowledgement: u32::from_be_bytes(acknowledgement),
        payload: (packet.total_length as usize).saturating_sub(headers) as u32,
    })
}
