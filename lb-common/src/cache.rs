//! What a processor remembers of the maps that are hashes: a look-up in one of those is a call, and every new connection needs
//! two. A memory counts as long as [`EPOCH`](crate::map::EPOCH) is what it was before the look-up; the daemon counts it up
//! after each change.

use crate::{PeerHop, Service, ServiceKey};

/// Services that a processor remembers, by a hash of their key: a power of two.
pub const CACHED_SERVICES: usize = 512;
/// Interfaces of which a processor remembers the peer, by the lower bits of their index: a power of two.
pub const CACHED_PEERS: usize = 16;

/// A service as it was looked up.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CachedService {
    /// Its key.
    pub key: ServiceKey,
    /// Its value.
    pub service: Service,
    /// The epoch; 0 where nothing is remembered.
    pub epoch: u32,
    _pad: u32,
}

/// The peer on an interface as it was looked up.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CachedPeer {
    /// Index of the interface.
    pub ifindex: u32,
    /// The epoch; 0 where nothing is remembered.
    pub epoch: u32,
    /// The way to the peer.
    pub hop: PeerHop,
    /// 1 where a peer is known on the interface, else 0.
    pub is_known: u32,
}

impl CachedService {
    /// Where the service with `key` is remembered.
    #[inline(always)]
    pub const fn slot(key: &ServiceKey) -> u32 {
        let address = u32::from_ne_bytes(key.address);
        let hash = (address ^ (key.port as u32) << 8 ^ key.protocol as u32).wrapping_mul(0x9e37_79b1);
        hash >> (u32::BITS - CACHED_SERVICES.trailing_zeros())
    }
}

impl CachedPeer {
    /// Where the peer on interface `ifindex` is remembered.
    #[inline(always)]
    pub const fn slot(ifindex: u32) -> u32 {
        ifindex & (CACHED_PEERS as u32 - 1)
    }
}

const _: () = assert!(size_of::<CachedService>() == 32 && size_of::<CachedPeer>() == 24);
const _: () = assert!(CACHED_SERVICES.is_power_of_two() && CACHED_PEERS.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;
    use crate::IPPROTO_TCP;

    #[test]
    fn the_services_of_a_network_have_slots_of_their_own() {
        let slots: std::collections::BTreeSet<u32> = (0..=255)
            .map(|host| CachedService::slot(&ServiceKey::new(IPPROTO_TCP, [192, 0, 2, host], 80)))
            .collect();
        assert!(slots.len() > 200, "{} slots for 256 services", slots.len());
        assert!(slots.iter().all(|&slot| slot < CACHED_SERVICES as u32));
    }
}
