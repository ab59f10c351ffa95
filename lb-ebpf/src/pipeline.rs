//! The way of a packet whose connection is known.

use aya_ebpf::bindings::xdp_md;
use lb_common::{IPPROTO_TCP, IPPROTO_UDP, RealState, Reason, flow_table::Stamp};

use crate::{
    addresses::Concern,
    bytes::{Access as _, Bytes as _},
    count,
    ctx::Frame,
    flows::{self, Connection},
    forward,
    hop::{self, Hop},
    last_hops,
    outcome::Outcome,
    packet::{Macs, Packet},
    peer::{self, Peer},
    tcp_state::{self, Side},
};

/// Decides about a packet and rewrites it accordingly; `None` where its connection is not known.
#[inline(always)]
pub(crate) fn process(frame: &mut Frame, packet: &Packet, concern: Concern, now: Stamp) -> Option<Outcome> {
    let Concern { to_service, from_real } = concern;
    if to_service && let Some(connection) = flows::of_client(&packet.key, now) {
        if !starts_anew(packet, &connection) {
            return Some(from_client(frame, packet, &connection));
        }
        connection.remove();
    }
    // A real server may itself be the client of a virtual service, so that its packets are asked for both ways.
    if from_real && let Some(connection) = flows::of_reply(&packet.key, now) {
        return Some(from_real_server(frame, packet, &connection));
    }
    None
}

/// A packet of a client.
#[inline(always)]
fn from_client(frame: &mut Frame, packet: &Packet, connection: &Connection) -> Outcome {
    forward::check_ttl(packet)?;
    if may_be_a_later_one(packet, connection)
        && let Peer::Reachable(peer) = Peer::of(frame, packet.macs)?
    {
        return peer::second_chance(frame, &peer);
    }
    let side = connection.client_side();
    let hop = match side {
        Side::Input => last_hop(frame, packet, connection.meta.hop())?,
        // The real server answers by itself.
        Side::InputOnly | Side::Output => 0,
    };
    connection.touch(hop, |state| tcp_state::next(side, state, packet.flags));
    count::to_real(connection.index, packet.total_length);
    forward::to_real(frame, packet, connection.real)
}

/// A reply of a NAT real server.
#[inline(always)]
fn from_real_server(frame: &mut Frame, packet: &Packet, connection: &Connection) -> Outcome {
    forward::check_ttl(packet)?;
    let Connection { real, index, .. } = *connection;
    let number = connection.meta.hop();
    connection.touch(number, |state| tcp_state::next(Side::Output, state, packet.flags));
    let hop = match Hop::of_last(&last_hops::get(number)) {
        Some(hop) => hop,
        None => {
            Hop::by_route(frame, real.virtual_address, packet.key.destination).ok_or(Reason::NoReturnPath)?
        }
    };
    hop.check_vlan(frame, packet)?;
    count::from_real(index, packet.total_length);
    let reason = forward::nat::to_client(frame, packet, real)?;
    hop::send(frame, &hop, reason)
}

/// The number of the neighbour that a client's packet came from; `known` where it is the one of the packets before.
#[inline(always)]
fn last_hop(frame: &Frame, packet: &Packet, known: u16) -> Result<u16, Reason> {
    if last_hops::get(known) == packet.last_hop(frame.ingress()) {
        return Ok(known);
    }
    match changed_last_hop(frame.as_ptr()) {
        OVERHEARD => Err(Reason::Overheard),
        UNCHANGED => Ok(known),
        number => Ok(number as u16),
    }
}

/// See [`changed_last_hop`].
const OVERHEARD: u32 = u32::MAX;
/// See [`changed_last_hop`].
const UNCHANGED: u32 = u32::MAX - 1;

/// The number of a neighbour that was not the last hop so far, [`UNCHANGED`] where it is not to become it, or
/// [`OVERHEARD`]. A function of its own, off the way of common packets.
#[inline(never)]
fn changed_last_hop(ctx: *mut xdp_md) -> u32 {
    let frame = Frame::of(ctx);
    let Some(macs) = frame.read(0).map(Macs) else { return UNCHANGED };
    match Peer::of(&frame, macs) {
        // What the peer passed on came to the peer from a neighbour that is unknown here.
        Ok(Peer::Sender) => UNCHANGED,
        Ok(Peer::Reachable(_) | Peer::Unknown) => {
            let hop = macs.last_hop(frame.ingress());
            last_hops::number_of(&hop) as u32
        }
        Err(_) => OVERHEARD,
    }
}

/// Whether a packet may be of a later connection with the same addresses and ports, which the peer has scheduled and not told
/// of yet: what it has told is that this one is over. Clients take a port again at once, and a handover then finds its packets
/// taken for those of the connection before, at another real server. The entry stays as it is: it knows no more than the peer.
#[inline(always)]
fn may_be_a_later_one(packet: &Packet, connection: &Connection) -> bool {
    packet.key.protocol == IPPROTO_TCP
        && connection.meta.is_peers()
        && tcp_state::may_reuse(connection.client_side(), connection.meta.state())
}

/// Whether a packet of a known connection begins another one with the same addresses and ports.
#[inline(always)]
fn starts_anew(packet: &Packet, connection: &Connection) -> bool {
    let is_down = connection.real.state == RealState::Down as u8;
    if packet.key.protocol == IPPROTO_UDP {
        return is_down;
    }
    packet.flags.opens()
        && (is_down || tcp_state::may_reuse(connection.client_side(), connection.meta.state()))
}
