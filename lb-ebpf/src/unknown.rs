//! The way of a packet of no known connection: a new connection, the second chance at the peer, or a refusal.

use lb_common::{IPPROTO_TCP, RealKey, Reason, RouterRole, Service, ServiceKey, flow_table::Stamp};

use crate::{
    cache,
    connect::{Failure, New, connect},
    count,
    ctx::Frame,
    forward,
    maps::{LOCALS, REAL_KEYS, ROUTER},
    outcome::{Outcome, Sent},
    packet::Packet,
    peer::{self, Peer},
    refuse::refuse,
};

/// Decides about a packet and rewrites it accordingly; `None` where it is to be asked once more.
#[inline(always)]
pub(crate) fn process(frame: &mut Frame, packet: &Packet, now: Stamp) -> Option<Outcome> {
    let key = ServiceKey::new(packet.key.protocol, packet.key.destination, packet.key.destination_port);
    match cache::service(key) {
        Some(service) => match for_service(frame, packet, &service, now) {
            Ok(sent) => Some(Ok(sent)),
            Err(Failure::Refused(Reason::NoServer)) => {
                Some(refuse(frame, packet, Reason::NoServerReset, Reason::NoServer))
            }
            Err(Failure::Refused(reason)) => Some(Err(reason)),
            Err(Failure::NotOurs) => {
                Some(refuse(frame, packet, Reason::UnknownReset, Reason::UnknownDropped))
            }
            Err(Failure::Again) => None,
        },
        None => Some(for_nobody(frame, packet)),
    }
}

/// A packet for a virtual service, of no known connection.
#[inline(always)]
fn for_service(frame: &mut Frame, packet: &Packet, service: &Service, now: Stamp) -> Result<Sent, Failure> {
    let is_active = service.closed == 0 && role()? == RouterRole::Active;
    let peer = Peer::of(frame, packet.macs)?;
    // What the peer passes on to a standby it has not scheduled itself: for a moment of a handover both are standby, and
    // to refuse the connection then would be the only failure that a client sees of it.
    let is_ours = is_active || matches!(peer, Peer::Sender);
    let new = New::of(packet, service, now);
    // A packet of a connection that stands, but not in the table: it found no room there.
    if is_ours && (packet.opens() || new.is_hashed) {
        match for_new_connection(frame, packet, &new, &peer) {
            Err(Failure::NotOurs) => {}
            outcome => return outcome,
        }
    }
    match peer {
        Peer::Reachable(hop) => Ok(peer::second_chance(frame, &hop)?),
        // A standby without a peer: nobody should address it, and the kernel may know better.
        Peer::Unknown if !is_active => Err(Failure::Refused(Reason::NotOurs)),
        Peer::Unknown | Peer::Sender => Err(Failure::NotOurs),
    }
}

/// The first packet of a connection, which this router schedules.
#[inline(always)]
fn for_new_connection(
    frame: &mut Frame,
    packet: &Packet,
    new: &New<'_>,
    peer: &Peer,
) -> Result<Sent, Failure> {
    forward::check_ttl(packet)?;
    let (index, real) = connect(frame, packet, new, peer)?;
    if packet.opens() {
        count::connection(index, packet.total_length);
    } else {
        count::to_real(index, packet.total_length);
    }
    Ok(forward::to_real(frame, packet, real)?)
}

/// A packet for an address and port that are no service of ours.
#[inline(always)]
fn for_nobody(frame: &mut Frame, packet: &Packet) -> Outcome {
    let key = RealKey::new(packet.key.protocol, packet.key.source, packet.key.source_port);
    if REAL_KEYS.get_ptr(key).is_none() {
        return Err(Reason::NotOurs);
    }
    // A real server speaks from its service port. To the router itself: the answer to a health check. To anybody else:
    // the reply of a connection that the peer may know.
    if LOCALS.get_ptr(packet.key.destination).is_some() {
        return Err(Reason::Local);
    }
    // In either role: a real server may still take a standby for its gateway, and the peer has the connection.
    match Peer::of(frame, packet.macs) {
        // A SYN alone is no reply: the real server itself connects to somebody, from its service port.
        Ok(Peer::Reachable(hop)) if packet.key.protocol == IPPROTO_TCP && !packet.flags.opens() => {
            peer::second_chance(frame, &hop)
        }
        // The kernel drops by itself what it only overhears.
        Ok(Peer::Reachable(_) | Peer::Sender | Peer::Unknown) | Err(_) => Err(Reason::NotOurs),
    }
}

#[inline(always)]
fn role() -> Result<RouterRole, Reason> {
    let state = ROUTER.get(0).ok_or(Reason::BadTable)?;
    RouterRole::from_u8(state.role).ok_or(Reason::BadTable)
}
