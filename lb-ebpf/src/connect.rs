//! A new connection: schedule it and remember it.

use lb_common::{
    ConnState, IPPROTO_TCP, Method, Real, RealState, Reason, Service,
    flow_table::{Meta, Refusal, Stamp},
};

use crate::{
    ctx::Frame,
    flows,
    hop::Hop,
    last_hops, log,
    maps::REALS,
    packet::Packet,
    peer::Peer,
    schedule::Slots,
    tcp_state::{self, Side},
};

/// Slots that a new connection tries. More than one is needed only while the daemon replaces a ring, or when the
/// client uses the same port towards two services of one real server.
const MAX_ATTEMPTS: u32 = 8;

/// Chooses a real server for the packet's connection and remembers it; its index and value.
///
/// # Errors
/// `NoServer`, `NoNextHop`, `OtherVlan`, `PortConflict`, `FlowTableFull`, `Contended`, `BadTable`.
#[inline(always)]
pub(crate) fn connect(
    frame: &Frame,
    packet: &Packet,
    service: &Service,
    peer: &Peer,
    now: Stamp,
) -> Result<(u32, &'static Real), Reason> {
    let (index, real) = choose(frame, packet, service, now)?;
    match remember(frame, packet, (index, real), peer, now) {
        Ok(()) => {
            log::connection(&packet.key, index);
            Ok((index, real))
        }
        Err(Refusal::Full) => Err(Reason::FlowTableFull),
        Err(Refusal::Rival) => match flows::of_client(&packet.key, now) {
            Some(other) => Ok((other.index, other.real)),
            None => Err(Reason::Contended),
        },
    }
}

/// The real server that the schedule gives to the packet's connection.
#[inline(always)]
fn choose(
    frame: &Frame,
    packet: &Packet,
    service: &Service,
    now: Stamp,
) -> Result<(u32, &'static Real), Reason> {
    let slots = Slots::new(service, packet.key.source)?;
    let (client, protocol) = (packet.key.from(), packet.key.protocol);
    let is_known = flows::knows(client, protocol);
    let mut refusal = Reason::NoServer;
    for attempt in 0..MAX_ATTEMPTS {
        let index = slots.real(attempt)?;
        let real = REALS.get(index).ok_or(Reason::BadTable)?;
        // A ring that was replaced twice in the meantime may name anybody.
        if real.state != RealState::Up as u8 || real.service != service.id {
            continue;
        }
        if real.ifindex == 0 {
            refusal = Reason::NoNextHop;
            continue;
        }
        if let Err(reason) = Hop::of_real(real).check_vlan(frame, packet) {
            refusal = reason;
            continue;
        }
        if is_known && flows::is_taken(client, protocol, index, now) {
            refusal = Reason::PortConflict;
            continue;
        }
        return Ok((index, real));
    }
    Err(refusal)
}

/// Inserts the connection into the flow table.
#[inline(always)]
fn remember(
    frame: &Frame,
    packet: &Packet,
    (index, real): (u32, &Real),
    peer: &Peer,
    now: Stamp,
) -> Result<(), Refusal> {
    let is_nat = real.method == Method::Nat as u8;
    let side = if is_nat { Side::Input } else { Side::InputOnly };
    let state = match packet.key.protocol {
        IPPROTO_TCP => tcp_state::next(side, ConnState::None, packet.flags),
        _ => ConnState::Udp,
    };
    let hop = match peer {
        Peer::Reachable(_) | Peer::Unknown if is_nat => {
            last_hops::number_of(&packet.last_hop(frame.ingress()))
        }
        // Replies do not pass; or the packet came to the peer from a neighbour that is unknown here.
        Peer::Reachable(_) | Peer::Unknown | Peer::Sender => 0,
    };
    let meta = Meta::new(packet.key.protocol, state, now, real.generation, hop);
    flows::insert(packet.key.from(), index, meta, packet.key.protocol, now)
}
