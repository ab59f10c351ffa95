//! Network address translation: the destination of what clients send, the source of what real servers answer.

use lb_common::{IPPROTO_TCP, Real, Reason};
use network_types::{ip::Ipv4Hdr, tcp::TcpHdr, udp::UdpHdr};

use super::decrement_ttl;
use crate::{checksum::ChecksumUpdate, ctx::Frame, packet::Packet};

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
    let ip: &mut Ipv4Hdr = frame.header(packet.l3).ok_or(Reason::Malformed)?;
    ip.check = decrement_ttl(ip).replace_address(old.address, new.address).finish();
    match end {
        End::Source => ip.src_addr = new.address,
        End::Destination => ip.dst_addr = new.address,
    }
    // Both checksums below cover the addresses too, in the pseudo-header (RFC 9293 3.1, RFC 768).
    let replace = |checksum| {
        ChecksumUpdate::new(checksum)
            .replace_address(old.address, new.address)
            .replace_u16(old.port, new.port)
    };
    if packet.key.protocol == IPPROTO_TCP {
        let tcp: &mut TcpHdr = frame.header(packet.l4).ok_or(Reason::Malformed)?;
        tcp.check = replace(tcp.check).finish();
        match end {
            End::Source => tcp.source = new.port.to_be_bytes(),
            End::Destination => tcp.dest = new.port.to_be_bytes(),
        }
    } else {
        let udp: &mut UdpHdr = frame.header(packet.l4).ok_or(Reason::Malformed)?;
        // Zero says that the sender made no checksum (RFC 768); there is none to keep right.
        if udp.check != [0; 2] {
            udp.check = replace(udp.check).finish_udp();
        }
        match end {
            End::Source => udp.src = new.port.to_be_bytes(),
            End::Destination => udp.dst = new.port.to_be_bytes(),
        }
    }
    Ok(())
}
