//! What each real server may take, and the way to it.

use std::collections::BTreeMap;

use lb_common::{Real, RealState, ServiceKey};

use super::{Inputs, Override, RealId, slots::Seat};
use crate::{config, topology::NextHop};

/// The whole real server array: every configured server in its seat, and all other slots ever used as removed.
pub(super) fn reals(
    inputs: &Inputs<'_>,
    ids: &BTreeMap<ServiceKey, u32>,
    seats: &BTreeMap<RealId, Seat>,
) -> BTreeMap<u32, Real> {
    let removed = |real: &Real| Real { state: RealState::Removed as u8, ..*real };
    let mut reals: BTreeMap<u32, Real> =
        inputs.installed.reals.iter().map(|(&slot, real)| (slot, removed(real))).collect();
    for service in &inputs.config.services {
        for real in &service.reals {
            let id = RealId::of(service, real);
            if let (Some(&number), Some(&seat)) = (ids.get(&service.key), seats.get(&id)) {
                reals.insert(seat.slot, entry(inputs, service, real, number, seat));
            }
        }
    }
    reals
}

/// The weight with which a real server takes part in its service's schedule; 0 when it must take nothing.
pub(super) fn share(real: &Real) -> u32 {
    if real.state == RealState::Up as u8 && real.ifindex != 0 { real.weight } else { 0 }
}

/// One real server's entry.
fn entry(
    inputs: &Inputs<'_>,
    service: &config::Service,
    real: &config::Real,
    number: u32,
    seat: Seat,
) -> Real {
    let id = RealId::of(service, real);
    let wish = inputs.overrides.get(&id).copied().unwrap_or_default();
    let weight = wish.weight.unwrap_or(real.weight);
    // The same owner's entry; a new owner inherits nothing.
    let installed = inputs.installed.reals.get(&seat.slot).filter(|real| real.generation == seat.generation);
    let state = state(wish, weight, health(inputs, service, &id, installed));
    let hop = next_hop(inputs, real, installed);
    Real {
        address: real.address.octets(),
        port: real.port,
        method: real.method as u8,
        state: state as u8,
        mac: hop.mac,
        source_mac: hop.source_mac,
        ifindex: hop.ifindex,
        generation: seat.generation,
        service: number,
        weight,
        virtual_address: service.key.address,
        virtual_port: service.key.port,
        protocol: service.key.protocol,
        ..Real::default()
    }
}

/// The operator's word comes before the check's.
const fn state(wish: Override, weight: u32, healthy: bool) -> RealState {
    if wish.drained || wish.disabled || weight == 0 {
        RealState::Quiesced
    } else if healthy {
        RealState::Up
    } else {
        RealState::Down
    }
}

/// Whether a server is taken for healthy. One that has not been checked yet stays as it is installed, so that the
/// daemon's restart takes nobody out, and a new one waits for its first check.
fn health(inputs: &Inputs<'_>, service: &config::Service, id: &RealId, installed: Option<&Real>) -> bool {
    match (&service.check, inputs.health.get(id)) {
        (None, _) => true,
        (Some(_), Some(&healthy)) => healthy,
        (Some(_), None) => installed.is_some_and(|real| real.state == RealState::Up as u8),
    }
}

/// The way to a real server: as resolved now, or as it was resolved last while its interface exists, so that a
/// neighbour that is silent for a moment costs no connection. All zero where neither is known.
fn next_hop(inputs: &Inputs<'_>, real: &config::Real, installed: Option<&Real>) -> NextHop {
    let kept = |real: &Real| NextHop { ifindex: real.ifindex, mac: real.mac, source_mac: real.source_mac };
    let exists = |hop: &NextHop| inputs.topology.links.values().any(|link| link.index == hop.ifindex);
    let links_known = !inputs.topology.links.is_empty();
    match inputs.topology.next_hops.get(&real.address) {
        Some(&hop) => hop,
        None => installed.map(kept).filter(|hop| !links_known || exists(hop)).unwrap_or(NextHop {
            ifindex: 0,
            mac: [0; 6],
            source_mac: [0; 6],
        }),
    }
}
