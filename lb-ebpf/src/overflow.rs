//! Where the flow table had no room: direct routing goes on without an entry. The real server is then chosen by a hash of the
//! connection, so that all its packets find the same one; and as long as such connections may be alive, whatever is unknown
//! in their neighbourhood is taken for one of them.

use lb_common::{
    ConnState, OVERFLOWS as COUNT,
    flow_table::{Places, Stamp},
};

use crate::{globals, maps::OVERFLOWS};

/// Tells a stamp from an entry that was never written.
const WRITTEN: u32 = 1 << Stamp::BITS;

/// Notes that a packet of a connection in these places is forwarded without an entry.
#[inline(always)]
pub(crate) fn note(places: &Places, now: Stamp) {
    if let Some(entry) = entry(places) {
        // SAFETY: a value of the map is aligned and valid for the whole run; the write is one word.
        unsafe { entry.write_volatile(now.number() | WRITTEN) }
    }
}

/// Whether connections without an entry may be alive in these places.
#[inline(always)]
pub(crate) fn is_recent(places: &Places, now: Stamp) -> bool {
    let Some(entry) = entry(places) else { return false };
    // SAFETY: as in `note`.
    let noted = unsafe { entry.read_volatile() };
    let [_, established, ..] = globals::timeouts().0;
    noted & WRITTEN != 0 && now.since(Stamp::new(noted)) < established
}

#[inline(always)]
fn entry(places: &Places) -> Option<*mut u32> {
    OVERFLOWS.get_ptr_mut(places.first & (COUNT as u32 - 1))
}

const _: () = assert!(ConnState::Established as usize == 1 && COUNT.is_power_of_two());
