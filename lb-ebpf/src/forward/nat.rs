//! Network address translation: the destination of what clients send, the source of what real servers answer.

use core::mem::offset_of;

use lb_common::{IPPROTO_TCP, Real, Reason};
use network_types::{tcp::TcpHdr, udp::UdpHdr};

use super::decrement_ttl;
use crate::{
    bytes::Bytes as _,
    checksum::ChecksumUpdate,
    ctx::Frame,
    packet::{Ipv4Tail, Packet},
};

/// An address and a port.
#[derive(Clone, Copy)]
struct Endpoint {
    address: [u8; 4],
    port: u16,
}

/// Which endpoint of a packet is rewritten.
#[derive(Clone, Copy)]
enum End {
    Source,
    Destination,
}

/// Rewrites a packet from a client: it is now for the real server.
#[inline(always)]
pub(super) fn to_real(frame: &mut Frame, packet: &Packet, real: &Real) -> Result<Reason, Reason> {
    let old = Endpoint { address: packet.key.destination, port: packet.key.destination_port };
    let new = Endpoint { address: real.address, port: real.port };
    rewrite(frame, packet, End::Destination, old, new)?;
    Ok(Reason::NatIn)
}

/// Rewrites a packet from a real server: it now comes from the real server's virtual service.
#[inline(always)]
pub(crate) fn to_client(frame: &mut Frame, packet: &Packet, real: &Real) -> Result<Reason, Reason> {
    let old = Endpoint { address: packet.key.source, port: packet.key.source_port };
    let new = Endpoint { address: real.virtual_address, port: real.virtual_port };
    rewrite(frame, packet, End::Source, old, new)?;
    Ok(Reason::NatOut)
}

#[inline(always)]
fn rewrite(frame: &mut Frame, packet: &Packet, end: End, old: Endpoint, new: Endpoint) -> Result<(), Reason> {
    // Not by a closure: the compiler makes a function of one that has much in it, and all of `packet` has to stand in memory.
    rewrite_ip(frame, packet, end, old, new).ok_or(Reason::Malformed)?;
    rewrite_transport(frame, packet, end, old, new).ok_or(Reason::Malformed)
}

#[inline(always)]
fn rewrite_ip(frame: &mut Frame, packet: &Packet, end: End, old: Endpoint, new: Endpoint) -> Option<()> {
    let (tail, checksum) = decrement_ttl(frame, packet)?;
    let checksum = checksum.replace_address(old.address, new.address).finish();
    let tail = tail.with(tail.ttl_and_protocol(), checksum);
    let tail = match end {
        End::Source => tail.from(new.address),
        End::Destination => tail.to(new.address),
    };
    frame.write(packet.l3 + Ipv4Tail::OFFSET, tail.0)
}

#[inline(always)]
fn rewrite_transport(
    frame: &mut Frame,
    packet: &Packet,
    end: End,
    old: Endpoint,
    new: Endpoint,
) -> Option<()> {
    if packet.key.protocol == IPPROTO_TCP {
        let place = packet.l4 + offset_of!(TcpHdr, check);
        let checksum: [u8; 2] = frame.read(place)?;
        frame.write(place, replaced(checksum, old, new).finish())?;
    } else {
        let place = packet.l4 + offset_of!(UdpHdr, check);
        let checksum: [u8; 2] = frame.read(place)?;
        // Zero says that the sender made no checksum (RFC 768); there is none to keep right.
        if checksum != [0; 2] {
            frame.write(place, replaced(checksum, old, new).finish_udp())?;
        }
    }
    // TCP and UDP both begin with the ports.
    let port = match end {
        End::Source => offset_of!(TcpHdr, source),
        End::Destination => offset_of!(TcpHdr, dest),
    };
    frame.write(packet.l4 + port, new.port.to_be_bytes())
}

/// The checksum of TCP or UDP. Both cover the addresses too, in the pseudo-header (RFC 9293 3.1, RFC 768).
#[inline(always)]
fn replaced(checksum: [u8; 2], old: Endpoint, new: Endpoint) -> ChecksumUpdate {
    ChecksumUpdate::new(checksum).replace_address(old.address, new.address).replace_u16(old.port, new.port)
}

const _: () = assert!(offset_of!(TcpHdr, source) == offset_of!(UdpHdr, src));
const _: () = assert!(offset_of!(TcpHdr, dest) == offset_of!(UdpHdr, dst));
