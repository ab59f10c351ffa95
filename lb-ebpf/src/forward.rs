//! From client to real server, by the method of the real server.

mod direct;
pub(crate) mod nat;

use lb_common::{Method, Real, Reason};

use crate::{
    bytes::Access,
    checksum::Change,
    hop::{self, Hop},
    outcome::Outcome,
    packet::{Packet, TtlWord},
};

/// Offset of the time to live in an IPv4 header (RFC 791 3.1).
const TTL: i32 = 8;

/// Sends the packet to its real server.
#[inline(always)]
pub(crate) fn to_real(frame: &mut impl Access, packet: &Packet, real: &Real) -> Outcome {
    if real.ifindex == 0 {
        return Err(Reason::NoNextHop);
    }
    Hop::of_real(real).check_vlan(frame, packet)?;
    by(Method::from_u8(real.method).ok_or(Reason::BadTable)?, frame, packet, real)
}

/// The same by `method`, where it is certain that the packet may leave by the real server's next hop.
#[inline(always)]
pub(crate) fn by(method: Method, frame: &mut impl Access, packet: &Packet, real: &Real) -> Outcome {
    let reason = match method {
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

/// Takes one from the time to live; `change` is what else is replaced under the checksum. `None` where the header is not there.
#[inline(always)]
fn decrement_ttl(frame: &mut impl Access, packet: &Packet, change: Option<Change>) -> Option<()> {
    let word = TtlWord(frame.l3::<_, TTL>(packet)?);
    // Never zero: `check_ttl` was asked before.
    frame.set_l3::<_, TTL>(packet, word.decremented(change).0)
}
