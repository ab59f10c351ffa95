//! The way of a packet of no known connection: a new connection, the second chance at the peer, or a refusal.

use lb_common::{FlowKey, IPPROTO_TCP, RealKey, Reason, RouterRole, Service, ServiceKey, flow_table::Stamp};

use crate::{
    connect::{Failure, connect},
    count,
    ctx::Frame,
    forward,
    maps::{LOCALS, REAL_KEYS, ROUTER, SERVICES},
    outcome::{Outcome, Sent},
    overflow,
    packet::Packet,
    peer::{self, Peer},
    refuse::refuse,
};

/// Decides about a packet and rewrites it accordingly; `None` where it is to be asked once more.
#[inline(always)]
pub(crate) fn process(frame: &mut Frame, packet: &Packet, now: Stamp) -> Option<Outcome> {
    match service(&packet.key) {
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
    let peer = Peer::of(frame, packet.macs)?;
    let is_active = role()? == RouterRole::Active;
    // What the peer passes on to a standby it has not scheduled itself: for a moment of a handover both are standby, and
    // to refuse the connection then would be the only failure that a client sees of it.
    let is_ours = is_active || matches!(peer, Peer::Sender);
    // A packet of a connection that stands, but not in the table: it found no room there.
    if is_ours && (packet.opens() || overflow::is_recent(&packet.key, now)) {
        match for_new_connection(frame, packet, service, &peer, now) {
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
    service: &Service,
    peer: &Peer,
    now: Stamp,
) -> Result<Sent, Failure> {
    forward::check_ttl(packet)?;
    let (index, real) = connect(frame, packet, service, peer, now)?;
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

/// The service that a packet is for.
#[inline(always)]
fn service(key: &FlowKey) -> Option<Service> {
    let service = SERVICES.get_ptr(ServiceKey::new(key.protocol, key.destination, key.destination_port))?;
    // Copied at once: when the daemon replaces a service, the kernel gives the memory of the old value to the next one.
    // SAFETY: a value of the map is valid for the whole run, and any bytes make a service; every index in it is checked
    // where it is used.
    Some(unsafe { service.read_volatile() })
}

#[inline(always)]
fn role() -> Result<RouterRole, Reason> {
    let state = ROUTER.get(0).ok_or(Reason::BadTable)?;
    RouterRole::from_u8(state.role).ok_or(Reason::BadTable)
}
