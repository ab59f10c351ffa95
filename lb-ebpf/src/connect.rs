//! A new connection: schedule it and remember it.

use lb_common::{ConnState, Direction, Flow, FlowKey, IPPROTO_TCP, Method, Real, RealState, Reason, Service};

use crate::{
    count,
    ctx::Frame,
    flows,
    hop::Hop,
    log,
    maps::REALS,
    packet::Packet,
    schedule::Slots,
    tcp_state::{self, Side},
};

/// Slots that a new connection tries. More than one is needed only while the daemon replaces a ring, or when the
/// client uses the same port towards two services of one real server.
const MAX_ATTEMPTS: u32 = 8;

/// Chooses a real server for the packet's connection and remembers it; its index and value.
///
/// # Errors
/// `NoServer`, `NoNextHop`, `OtherVlan`, `PortConflict`, `FlowTableFull`, `BadTable`.
#[inline(always)]
pub(crate) fn connect(
    frame: &Frame,
    packet: &Packet,
    service: &Service,
    last_hop: &Hop,
    now: u64,
) -> Result<(u32, &'static Real), Reason> {
    let slots = Slots::new(service, packet.key.source)?;
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
        let reply = flows::reply_key(&packet.key, real);
        if real.method == Method::Nat as u8 && flows::is_taken(&reply, &packet.key, now) {
            refusal = Reason::PortConflict;
            continue;
        }
        remember(packet, index, real, last_hop, now)?;
        count::connection(index);
        log::connection(&packet.key, index);
        return Ok((index, real));
    }
    Err(refusal)
}

/// Inserts the connection into the flow table. Direct routing works without: the real server knows its connections.
#[inline(always)]
fn remember(packet: &Packet, index: u32, real: &Real, last_hop: &Hop, now: u64) -> Result<(), Reason> {
    let method = Method::from_u8(real.method).ok_or(Reason::BadTable)?;
    let state = match (packet.key.protocol, method) {
        (IPPROTO_TCP, Method::Nat) => tcp_state::next(Side::Input, ConnState::None, packet.flags),
        (IPPROTO_TCP, Method::Direct) => tcp_state::next(Side::InputOnly, ConnState::None, packet.flags),
        _ => ConnState::Udp,
    };
    let mut flow = Flow::new(
        Direction::Original,
        state,
        now,
        index,
        real.generation,
        FlowKey::default(),
        last_hop.ifindex,
        last_hop.mac,
        last_hop.source_mac,
    );
    match method {
        Method::Nat => flows::insert(&packet.key, Some(&flows::reply_key(&packet.key, real)), &mut flow),
        Method::Direct => {
            let _ = flows::insert(&packet.key, None, &mut flow);
            Ok(())
        }
    }
}
