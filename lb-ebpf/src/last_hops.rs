//! The table of last hops: a flow has room for a number, not for two MAC addresses and an interface.
//!
//! Entries are added here, and by the daemon for flows that the peer tells of, and freed by the daemon, once no flow names
//! them.

use core::intrinsics::{AtomicOrdering, atomic_cxchg};

use lb_common::{LAST_HOPS as COUNT, LastHop};

use crate::{globals, maps::LAST_HOPS};

/// Places that are tried for a neighbour. A table so full that all are taken serves the others by the routing table.
const PROBES: usize = 8;

/// The neighbour with number `index`; one that is not known where there is none.
#[inline(always)]
pub(crate) fn get(index: u16) -> LastHop {
    match LAST_HOPS.get_ptr_mut(index as u32) {
        Some(entry) => read(entry),
        None => LastHop::default(),
    }
}

/// The number of a neighbour, which is added where it is new; 0 where there is no room.
#[inline(always)]
pub(crate) fn number_of(hop: &LastHop) -> u16 {
    let start = hop.start(globals::hash_key().0[0]);
    for probe in 0..PROBES {
        let index = (start + probe) & (COUNT - 1);
        // Number 0 says that there is none.
        if index == 0 {
            continue;
        }
        let Some(entry) = LAST_HOPS.get_ptr_mut(index as u32) else { return 0 };
        if read(entry) == *hop || add(entry, hop) {
            return index as u16;
        }
    }
    0
}

#[inline(always)]
fn read(entry: *mut LastHop) -> LastHop {
    let words = entry.cast::<u64>();
    // SAFETY: an entry is two aligned words, valid for the whole run.
    unsafe { LastHop([words.read_volatile(), words.add(1).read_volatile()]) }
}

/// Takes a free entry. A neighbour that two processors add at once may get two entries, of which both are right.
#[inline(always)]
fn add(entry: *mut LastHop, hop: &LastHop) -> bool {
    const ORDER: AtomicOrdering = AtomicOrdering::SeqCst;
    let words = entry.cast::<u64>();
    let LastHop([first, second]) = *hop;
    // SAFETY: as in `read`; the first word is changed atomically, the second by whoever has taken the entry.
    unsafe {
        let (_, taken) = atomic_cxchg::<u64, ORDER, ORDER>(words, 0, first);
        if taken {
            words.add(1).write_volatile(second);
        }
        taken
    }
}
