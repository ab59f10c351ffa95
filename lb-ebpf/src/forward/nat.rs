//! Network address translation: the destination of what clients send, the source of what real servers answer.

use core::mem::offset_of;

use lb_common::{IPPROTO_TCP, Real, Reason};
use network_types::{tcp::TcpHdr, udp::UdpHdr};

use super::decrement_ttl;
use crate::{bytes::Access, checksum::Change, packet::Packet};

/// Offsets in the IPv4 header (RFC 791 3.1).
const SOURCE: i32 = 12;
/// See [`SOURCE`].
const DESTINATION: i32 = 16;
/// Offsets in the header of TCP or UDP, which begin alike.
const SOURCE_PORT: i32 = offset_of!(TcpHdr, source) as i32;
/// See [`SOURCE_PORT`].
const DESTINATION_PORT: i32 = offset_of!(TcpHdr, dest) as i32;
/// Offset of the checksum in a header of TCP.
const TCP_CHECKSUM: i32 = offset_of!(TcpHdr, check) as i32;
/// And in one of UDP.
const UDP_CHECKSUM: i32 = offset_of!(UdpHdr, check) as i32;

/// An address and a port.
#[derive(Clone, Copy)]
struct Endpoint {
    address: [u8; 4],
    port: u16,
}

/// Rewrites a packet from a client: it is now for the real server.
#[inline(always)]
pub(super) fn to_real(frame: &mut impl Access, packet: &Packet, real: &Real) -> Result<Reason, Reason> {
    let old = Endpoint { address: packet.key.destination, port: packet.key.destination_port };
    let new = Endpoint { address: real.address, port: real.port };
    rewrite::<DESTINATION, DESTINATION_PORT>(frame, packet, old, new).ok_or(Reason::Malformed)?;
    Ok(Reason::NatIn)
}

/// Rewrites a packet from a real server: it now comes from the real server's virtual service.
#[inline(always)]
pub(crate) fn to_client(frame: &mut impl Access, packet: &Packet, real: &Real) -> Result<Reason, Reason> {
    let old = Endpoint { address: packet.key.source, port: packet.key.source_port };
    let new = Endpoint { address: real.virtual_address, port: real.virtual_port };
    rewrite::<SOURCE, SOURCE_PORT>(frame, packet, old, new).ok_or(Reason::Malformed)?;
    Ok(Reason::NatOut)
}

/// Puts `new` in the place of `old`, which stands at `ADDRESS` in the IPv4 header and at `PORT` in the next.
#[inline(always)]
fn rewrite<const ADDRESS: i32, const PORT: i32>(
    frame: &mut impl Access,
    packet: &Packet,
    old: Endpoint,
    new: Endpoint,
) -> Option<()> {
    let change = Change::of_address(old.address, new.address);
    decrement_ttl(frame, packet, Some(change))?;
    frame.set_l3::<_, ADDRESS>(packet, new.address)?;
    // The checksums of TCP and UDP cover the addresses too, in the pseudo-header (RFC 9293 3.1, RFC 768).
    let port = new.port.to_be_bytes();
    let change = change.word(old.port.to_be_bytes(), port);
    if packet.key.protocol == IPPROTO_TCP {
        let checksum = frame.l4::<_, TCP_CHECKSUM>(packet)?;
        frame.set_l4::<_, TCP_CHECKSUM>(packet, change.of(checksum))?;
    } else {
        let checksum = frame.l4::<_, UDP_CHECKSUM>(packet)?;
        // Zero says that the sender made no checksum (RFC 768); there is none to keep right.
        if checksum != [0; 2] {
            frame.set_l4::<_, UDP_CHECKSUM>(packet, change.of_udp(checksum))?;
        }
    }
    frame.set_l4::<_, PORT>(packet, port)
}

const _: () = assert!(offset_of!(TcpHdr, source) == offset_of!(UdpHdr, src));
const _: () = assert!(offset_of!(TcpHdr, dest) == offset_of!(UdpHdr, dst));
