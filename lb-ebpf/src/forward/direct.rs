//! Direct routing: the packet stays as it is, but for what every router changes.

use lb_common::Reason;

use super::decrement_ttl;
use crate::{
    ctx::Frame,
    packet::{Ipv4Tail, Packet},
};

/// Rewrites a packet from a client.
#[inline(always)]
pub(super) fn to_real(frame: &mut Frame, packet: &Packet) -> Result<Reason, Reason> {
    let (tail, checksum) = decrement_ttl(frame, packet).ok_or(Reason::Malformed)?;
    let tail = tail.with(tail.ttl_and_protocol(), checksum.finish());
    frame.write(packet.l3 + Ipv4Tail::OFFSET, tail.0).ok_or(Reason::Malformed)?;
    Ok(Reason::Direct)
}
