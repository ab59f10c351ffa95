//! The end of a TCP connection that nobody here serves: RST to the client.

use aya_ebpf::bindings::xdp_md;
use lb_common::{IPPROTO_TCP, Reason};
use network_types::ip::Ipv4Hdr;

use crate::{
    bytes::{Access as _, Bytes as _},
    ctx::Frame,
    hop::Hop,
    outcome::{Outcome, Sent},
    packet::Packet,
    parse::{TCP_DATA_OFFSET, parse},
    peer::Peer,
    reset::{self, ANSWER_LENGTH, Answer, Segment},
};

/// Answers the packet with RST and counts `reason`; a packet that has no answer is dropped for `otherwise`.
#[inline(always)]
pub(crate) fn refuse(frame: &mut Frame, packet: &Packet, reason: Reason, otherwise: Reason) -> Outcome {
    if packet.key.protocol != IPPROTO_TCP {
        return Err(otherwise);
    }
    let hop = match Peer::of(frame, packet.macs)? {
        // The way back leads to the client, not to the router that passed its packet on.
        Peer::Sender => Hop::by_route(frame, packet.key.destination, packet.key.source).ok_or(otherwise)?,
        Peer::Reachable(_) | Peer::Unknown => Hop::back(frame.ingress(), packet),
    };
    match answer(frame.as_ptr(), &hop) {
        ANSWERED => Ok(Sent { reason, ifindex: hop.ifindex }),
        MALFORMED => Err(Reason::Malformed),
        _ => Err(otherwise),
    }
}

/// See [`answer`].
const ANSWERED: u32 = 0;
/// See [`answer`].
const MALFORMED: u32 = 1;
/// See [`answer`].
const UNANSWERED: u32 = 2;

/// Turns the packet into its answer, for `hop`. A function of its own, so that only it needs the stack for it.
#[inline(never)]
fn answer(ctx: *mut xdp_md, hop: &Hop) -> u32 {
    let mut frame = Frame::of(ctx);
    let Ok(packet) = parse(&frame) else { return MALFORMED };
    let Some(segment) = segment(&frame, &packet) else { return MALFORMED };
    let Some(answer) = reset::answer(&segment) else { return UNANSWERED };
    match write(&mut frame, &packet, &answer, hop) {
        Some(()) => ANSWERED,
        None => UNANSWERED,
    }
}

#[inline(always)]
fn write(frame: &mut Frame, packet: &Packet, answer: &Answer, hop: &Hop) -> Option<()> {
    frame.cut(packet.l3 + ANSWER_LENGTH)?;
    frame.write(packet.l3, answer.ip)?;
    frame.write(packet.l3 + Ipv4Hdr::LEN, answer.tcp)?;
    frame.write(0, hop.macs.0)
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
