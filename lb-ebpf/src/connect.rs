//! A new connection: schedule it and remember it.

use lb_common::{
    ConnState, IPPROTO_TCP, Method, Real, RealState, Reason, Service,
    flow_table::{Meta, Places, Refusal, Stamp},
};

use crate::{
    bytes::Access as _,
    ctx::{Frame, hidden},
    flows,
    hop::Hop,
    last_hops, log,
    maps::REALS,
    overflow,
    packet::Packet,
    peer::Peer,
    schedule::Slots,
    tcp_state::{self, Side},
};

/// Slots that a new connection tries. More than one is needed only while the daemon replaces a ring, or when the
/// client uses the same port towards two services of one real server.
const MAX_ATTEMPTS: u32 = 8;

/// Why a slot may be passed over, but for its real server not being up.
const REFUSED: [Reason; 3] = [Reason::NoNextHop, Reason::OtherVlan, Reason::PortConflict];
/// All bits of their numbers.
const REFUSALS: usize = 31;

/// Why a packet got no real server.
#[derive(Clone, Copy)]
pub(crate) enum Failure {
    /// `NoServer`, `NoNextHop`, `OtherVlan`, `PortConflict`, `FlowTableFull`, `Contended`, `BadTable`.
    Refused(Reason),
    /// It opens no connection, and is of none that was forwarded without an entry.
    NotOurs,
    /// There is no room for the connection, which direct routing can do without; but its real server was chosen in turn, and
    /// no later packet would find that one again. Next time it is chosen by hash.
    Again,
}

impl From<Reason> for Failure {
    #[inline(always)]
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

/// What a connection that is to be made depends on, beside its packet.
pub(crate) struct New<'a> {
    service: &'a Service,
    /// Where it would stand in the flow table.
    places: Places,
    /// Whether connections without an entry may be alive there: then its real server is chosen by hash.
    pub(crate) is_hashed: bool,
    now: Stamp,
}

impl<'a> New<'a> {
    /// Of the packet's connection.
    #[inline(always)]
    pub(crate) fn of(packet: &Packet, service: &'a Service, now: Stamp) -> Self {
        let places = flows::places(packet.key.from(), packet.key.protocol);
        Self { service, places, is_hashed: overflow::is_recent(&places, now), now }
    }
}

/// Chooses a real server for the packet's connection and remembers it; its index and value. Where the flow table has no
/// room, direct routing does without: the real server knows its connections.
///
/// # Errors
/// See [`Failure`].
#[inline(always)]
pub(crate) fn connect(
    frame: &Frame,
    packet: &Packet,
    new: &New<'_>,
    peer: &Peer,
) -> Result<(u32, &'static Real), Failure> {
    let New { is_hashed, now, .. } = *new;
    let (index, real) = choose(frame, packet, new)?;
    let is_direct = real.method == Method::Direct as u8;
    if !packet.opens() && !is_direct {
        return Err(Failure::NotOurs);
    }
    match remember(frame, packet, new, (index, real), peer) {
        Ok(()) => {
            log::connection(&packet.key, index);
            Ok((index, real))
        }
        Err(Refusal::Full) if is_direct && is_hashed => {
            overflow::note(&new.places, now);
            Ok((index, real))
        }
        Err(Refusal::Full) if is_direct => {
            overflow::note(&new.places, now);
            Err(Failure::Again)
        }
        Err(Refusal::Full) => Err(Failure::Refused(Reason::FlowTableFull)),
        Err(Refusal::Rival) => match flows::of_client(&packet.key, now) {
            Some(other) => Ok((other.index, other.real)),
            None => Err(Failure::Refused(Reason::Contended)),
        },
    }
}

/// The real server that the schedule gives to the packet's connection.
#[inline(always)]
fn choose(frame: &Frame, packet: &Packet, new: &New<'_>) -> Result<(u32, &'static Real), Reason> {
    let New { service, places, is_hashed, now } = new;
    let slots = if *is_hashed {
        Slots::hashed(service, &packet.key)?
    } else {
        Slots::new(service, packet.key.source)?
    };
    let (client, protocol) = (packet.key.from(), packet.key.protocol);
    let is_known = flows::knows(places, client);
    let mut refusal = Reason::NoServer as usize;
    for attempt in 0..MAX_ATTEMPTS {
        let index = slots.real(attempt)?;
        // The verifier would walk each attempt once for each way that the ones before may have failed.
        refusal = hidden(refusal, index as usize & REFUSALS) & REFUSALS;
        let real = REALS.get(index).ok_or(Reason::BadTable)?;
        // A ring that was replaced twice in the meantime may name anybody.
        if real.state != RealState::Up as u8 || real.service != service.id {
            continue;
        }
        if real.ifindex == 0 {
            refusal = Reason::NoNextHop as usize;
            continue;
        }
        if let Err(reason) = Hop::of_real(real).check_vlan(frame, packet) {
            refusal = reason as usize;
            continue;
        }
        if is_known && flows::is_taken(places, client, protocol, index, *now) {
            refusal = Reason::PortConflict as usize;
            continue;
        }
        return Ok((index, real));
    }
    Err(REFUSED.into_iter().find(|reason| *reason as usize == refusal).unwrap_or(Reason::NoServer))
}

/// Inserts the connection into the flow table.
#[inline(always)]
fn remember(
    frame: &Frame,
    packet: &Packet,
    new: &New<'_>,
    (index, real): (u32, &Real),
    peer: &Peer,
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
    let meta = Meta::new(packet.key.protocol, state, new.now, real.generation, hop);
    flows::insert(&new.places, packet.key.from(), index, meta, new.now)
}
