//! Direct routing: the packet stays as it is, but for what every router changes.

use lb_common::Reason;

use super::decrement_ttl;
use crate::{bytes::Access, packet::Packet};

/// Rewrites a packet from a client.
#[inline(always)]
pub(super) fn to_real(frame: &mut impl Access, packet: &Packet) -> Result<Reason, Reason> {
    decrement_ttl(frame, packet, None).ok_or(Reason::Malformed)?;
    Ok(Reason::Direct)
}
