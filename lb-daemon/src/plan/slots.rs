//! Numbers that stay: a service keeps its id while it is configured, a real server its slot.
//!
//! A flow names its real server by slot and generation. So a slot is given to another server only with the next
//! generation, and not while the removal of its old owner is still under way.

use std::{
    collections::{BTreeMap, BTreeSet, btree_map::Entry},
    net::Ipv4Addr,
};

use lb_common::{Method, Real, RealState, ServiceKey};

use super::{Inputs, PlanError, RealId};

/// A real server's place in the real server array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    /// Index into the array.
    pub(super) slot: u32,
    /// Generation of its owner, at least 1: a slot that was never used is all zero.
    pub(super) generation: u32,
}

/// An id for each service: the installed one; for a new service one that is free, and only when there is none that of
/// a service which goes.
pub(super) fn service_ids(inputs: &Inputs<'_>) -> Result<BTreeMap<ServiceKey, u32>, PlanError> {
    let limit = inputs.limits.services;
    let services = &inputs.config.services;
    let installed = &inputs.installed.services;
    let too_many = || PlanError::TooManyServices(services.len(), limit);
    if services.len() > limit as usize {
        return Err(too_many());
    }
    let mut ids: BTreeMap<ServiceKey, u32> =
        services.iter().filter_map(|service| Some((service.key, installed.get(&service.key)?.id))).collect();
    let kept: BTreeSet<u32> = ids.values().copied().collect();
    // A real server may still stand under the id of a service that is gone already.
    let owners = inputs.installed.reals.values().filter(|real| !is_free(real)).map(|real| real.service);
    let going: BTreeSet<u32> = installed
        .values()
        .map(|service| service.id)
        .chain(owners)
        .filter(|id| *id < limit && !kept.contains(id))
        .collect();
    let free = (0..limit).filter(|id| !kept.contains(id) && !going.contains(id));
    let mut unused = free.chain(going.iter().copied());
    for service in services {
        if let Entry::Vacant(new) = ids.entry(service.key) {
            new.insert(unused.next().ok_or_else(too_many)?);
        }
    }
    Ok(ids)
}

/// A slot for each real server: the installed one; for a new server one that was never used, and only when there is
/// none one that an earlier change has freed, with its next generation.
pub(super) fn seats(inputs: &Inputs<'_>) -> Result<BTreeMap<RealId, Seat>, PlanError> {
    let limit = inputs.limits.reals;
    let taken = &inputs.installed.reals;
    let mut kept = installed_seats(inputs);
    let never_used =
        (0..limit).filter(|slot| !taken.contains_key(slot)).map(|slot| Seat { slot, generation: 1 });
    let freed = taken
        .iter()
        .filter(|(slot, real)| **slot < limit && is_free(real))
        .map(|(&slot, real)| Seat { slot, generation: real.generation.wrapping_add(1).max(1) });
    let mut unused = never_used.chain(freed);
    let mut seats = BTreeMap::new();
    let mut homeless = 0;
    for service in &inputs.config.services {
        for real in &service.reals {
            let id = RealId::of(service, real);
            match kept.remove(&(id, real.method)).or_else(|| unused.next()) {
                Some(seat) => drop(seats.insert(id, seat)),
                None => homeless += 1,
            }
        }
    }
    if homeless > 0 {
        let owned = taken.values().filter(|real| !is_free(real)).count();
        let new = seats.values().filter(|seat| !owns(inputs, seat)).count();
        return Err(PlanError::TooManyReals(owned + new + homeless, limit));
    }
    Ok(seats)
}

/// Whether the owner of a seat stands in the maps already.
fn owns(inputs: &Inputs<'_>, seat: &Seat) -> bool {
    let installed = inputs.installed.reals.get(&seat.slot);
    installed.is_some_and(|real| !is_free(real) && real.generation == seat.generation)
}

/// Whether a slot's owner was removed by an earlier change.
const fn is_free(real: &Real) -> bool {
    real.state == RealState::Removed as u8
}

/// The seats of installed real servers, by what makes a server the same one: another method is another server. Each names its
/// service itself: after an upgrade the services may be missing, and connections stay with whom they are with.
fn installed_seats(inputs: &Inputs<'_>) -> BTreeMap<(RealId, Method), Seat> {
    let reals = inputs.installed.reals.iter().filter(|(_, real)| !is_free(real));
    reals
        .filter_map(|(&slot, real)| {
            let service = ServiceKey::new(real.protocol, real.virtual_address, real.virtual_port);
            let id = RealId { service, address: Ipv4Addr::from(real.address), port: real.port };
            Some(((id, Method::from_u8(real.method)?), Seat { slot, generation: real.generation }))
        })
        .collect()
}
