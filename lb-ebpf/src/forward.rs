//! From client to real server, by the method of the real server.

mod direct;
pub(crate) mod nat;

use lb_common::{Method, Real, Reason};

use crate::{
    bytes::Bytes as _,
    checksum::ChecksumUpdate,
    ctx::Frame,
    hop::{self, Hop},
    outcome::Outcome,
    packet::{Ipv4Tail, Packet},
};

/// Sends the packet to its real server.
#[inline(always)]
pub(crate) fn to_real(frame: &mut Frame, packet: &Packet, real: &Real) -> Outcome {
    if real.ifindex == 0 {
        return Err(Reason::NoNextHop);
    }
    Hop::of_real(real).check_vlan(frame, packet)?;
    let reason = match Method::from_u8(real.method).ok_or(Reason::BadTable)? {
        Method::Nat => nat::to_real(frame, packet, real)?,
        Method::Direct => direct::to_real(frame, packet)?,
    };
    hop::send(frame, &Hop::of_real(real), reason)
}

/// Whether the packet may be forwarded: a time to live that would reach zero is the kernel's, which answers with ICMP.
#[inline(always)]
pub(crate) fn check_ttl(packet: &Packet) -> Result<(), Reason> {
    if packet.ttl <= 1 { Err(Reason::TtlExceeded) } else { Ok(()) }
}

/// The end of the IPv4 header with one taken from its time to live; the checksum without its last step, for further
/// replacements.
#[inline(always)]
fn decrement_ttl(frame: &Frame, packet: &Packet) -> Option<(Ipv4Tail, ChecksumUpdate)> {
    let tail = Ipv4Tail(frame.read(packet.l3 + Ipv4Tail::OFFSET)?);
    let before = tail.ttl_and_protocol();
    // Never zero: `check_ttl` was asked before.
    let after = before.wrapping_sub(1 << 8);
    let checksum = ChecksumUpdate::new(tail.checksum()).replace_u16(before, after);
    Some((tail.with(after, [0; 2]), checksum))
}
