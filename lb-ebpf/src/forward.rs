//! From client to real server, by the method of the real server.

mod direct;
pub(crate) mod nat;

use lb_common::{Method, Real, Reason};
use network_types::ip::Ipv4Hdr;

use crate::{
    checksum::ChecksumUpdate,
    ctx::Frame,
    hop::{self, Hop},
    outcome::Outcome,
    packet::Packet,
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

/// Takes one from the time to live in `ip`; the checksum without its last step, for further replacements.
#[inline(always)]
fn decrement_ttl(ip: &mut Ipv4Hdr) -> ChecksumUpdate {
    let old = u16::from_be_bytes([ip.ttl, ip.proto]);
    // Never zero: `check_ttl` was asked before.
    ip.ttl = ip.ttl.wrapping_sub(1);
    ChecksumUpdate::new(ip.check).replace_u16(old, u16::from_be_bytes([ip.ttl, ip.proto]))
}
