//! Direct routing: the packet stays as it is, but for what every router changes.

use lb_common::Reason;

use super::decrement_ttl;
use crate::{ctx::Frame, packet::Packet};

/// Rewrites a packet from a client.
#[inline(always)]
pub(super) fn to_real(frame: &mut Frame, packet: &Packet) -> Result<Reason, Reason> {
    let ip = frame.header(packet.l3).ok_or(Reason::Malformed)?;
    let checksum = decrement_ttl(ip);
    ip.check = checksum.finish();
    Ok(Reason::Direct)
}
