//! Marks for whoever copies the flow table to the peer: which buckets have changed.

use lb_common::flow_table::{Key, MARKS, Places};

use crate::{flows, maps::CHANGES};

/// Marks both buckets of the entry with this key. To be called after the change, so that whoever sees the mark sees the
/// change; only where a connection is forgotten or gets another state, never for each packet.
#[inline(always)]
pub(crate) fn mark(key: Key, protocol: u8) {
    flow_changed(key.word(), protocol as u32);
}

/// See [`mark`]; always 0. A global function, off the way of common packets: the verifier walks it once by itself.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn flow_changed(key: u64, protocol: u32) -> u32 {
    mark_places(&flows::places(Key::from_word(key).client(), protocol as u8));
    0
}

/// The same for buckets that are known: a connection was made.
#[inline(always)]
pub(crate) fn mark_places(places: &Places) {
    for bucket in [places.first, places.second] {
        let Some(marks) = CHANGES.get_ptr_mut(bucket / MARKS as u32) else { continue };
        // SAFETY: the number is below `MARKS`, and a value of the map is valid for the whole run. A plain store of an octet
        // leaves the octets beside it alone.
        unsafe { marks.cast::<u8>().add(bucket as usize & (MARKS - 1)).write_volatile(1) };
    }
}
