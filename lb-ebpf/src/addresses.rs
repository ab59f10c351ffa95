//! Whether a packet concerns the balancer at all.

use lb_common::{AddressFilter, FILTER_WORDS};

use crate::{ctx::opaque, maps::ADDRESSES};

/// What a packet may be, going by its addresses.
#[derive(Clone, Copy)]
pub(crate) struct Concern {
    /// It may be for a virtual service.
    pub(crate) to_service: bool,
    /// It may be the reply of a NAT real server.
    pub(crate) from_real: bool,
}

impl Concern {
    /// Whether the balancer has nothing to do with it.
    #[inline(always)]
    pub(crate) const fn is_none(self) -> bool {
        !self.to_service && !self.from_real
    }
}

/// What a packet from `source` to `destination` may be.
#[inline(always)]
pub(crate) fn concern(source: [u8; 4], destination: [u8; 4]) -> Concern {
    let Some(filter) = ADDRESSES.get_ptr(0) else { return Concern { to_service: false, from_real: false } };
    // SAFETY: a value of the map is valid for the whole run.
    let (services, reals) =
        unsafe { (&raw const (*filter).virtual_addresses, &raw const (*filter).real_addresses) };
    Concern { to_service: contains(services, destination), from_real: contains(reals, source) }
}

#[inline(always)]
fn contains(set: *const [u64; FILTER_WORDS], address: [u8; 4]) -> bool {
    let (word, bit) = AddressFilter::bit(address);
    // The compiler knows the range of the word, the verifier does not: the mask tells it.
    let word = opaque(word) & (FILTER_WORDS - 1);
    // SAFETY: the word is within the set, which is part of a map's value.
    unsafe { set.cast::<u64>().add(word).read_volatile() & bit != 0 }
}
