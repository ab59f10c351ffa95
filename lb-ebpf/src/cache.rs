//! Look-ups in the maps that are hashes, remembered by each processor: see `lb_common`'s `cache`.

use lb_common::{CachedPeer, CachedService, PeerHop, Service, ServiceKey};

use crate::maps::{EPOCH, PEER_CACHE, PEER_HOPS, SERVICE_CACHE, SERVICES};

/// The service with this key.
#[inline(always)]
pub(crate) fn service(key: ServiceKey) -> Option<Service> {
    let epoch = epoch();
    let memory = SERVICE_CACHE.get_ptr_mut(CachedService::slot(&key))?;
    // SAFETY: the value belongs to this processor, and the program is not interrupted by itself.
    let memory = unsafe { &mut *memory };
    if epoch != 0 && memory.epoch == epoch && same(&memory.key, &key) {
        return Some(memory.service);
    }
    let found = SERVICES.get_ptr(key)?;
    // Copied at once: when the daemon replaces a service, the kernel gives the memory of the old value to the next one.
    // SAFETY: a value of the map is valid for the whole run, and any bytes make a service; every index in it is checked
    // where it is used.
    let service = unsafe { found.read_volatile() };
    memory.key = key;
    memory.service = service;
    memory.epoch = epoch;
    Some(service)
}

/// The way to the peer on interface `ifindex`.
#[inline(always)]
pub(crate) fn peer(ifindex: u32) -> Option<PeerHop> {
    let epoch = epoch();
    let memory = PEER_CACHE.get_ptr_mut(CachedPeer::slot(ifindex))?;
    // SAFETY: as in `service`.
    let memory = unsafe { &mut *memory };
    if epoch == 0 || memory.epoch != epoch || memory.ifindex != ifindex {
        memory.is_known = 0;
        if let Some(hop) = PEER_HOPS.get_ptr(ifindex) {
            // SAFETY: a value of the map is valid for the whole run, and any bytes make MAC addresses.
            memory.hop = unsafe { hop.read() };
            memory.is_known = 1;
        }
        memory.ifindex = ifindex;
        memory.epoch = epoch;
    }
    (memory.is_known != 0).then_some(memory.hop)
}

/// What the maps are counted as. Read before they are: what is remembered is never younger than that.
#[inline(always)]
fn epoch() -> u32 {
    // SAFETY: a value of the map is aligned and valid for the whole run.
    EPOCH.get_ptr(0).map_or(0, |epoch| unsafe { epoch.read_volatile() })
}

/// Whether two keys are the same. As arrays they would be compared octet by octet.
#[inline(always)]
fn same(one: &ServiceKey, other: &ServiceKey) -> bool {
    u32::from_ne_bytes(one.address) == u32::from_ne_bytes(other.address)
        && one.port == other.port
        && one.protocol == other.protocol
}
