//! Marks for whoever copies the flow table to the peer: which buckets have changed.

use lb_common::flow_table::{Client, MARKS, Places};

use crate::{flows, maps::CHANGES};

/// Marks both buckets of a client's connections. To be called after the change, which is then seen before the mark; only
/// where a connection is made, forgotten or gets another state, never for each packet.
#[inline(always)]
pub(crate) fn mark(client: Client, protocol: u8) {
    if let Some(places) = flows::places(client, protocol) {
        mark_places(&places);
    }
}

/// The same where the places are known.
#[inline(always)]
pub(crate) fn mark_places(places: &Places) {
    for bucket in [places.first, places.second] {
        let Some(marks) = CHANGES.get_ptr_mut(bucket / MARKS as u32) else { continue };
        // SAFETY: the number is below `MARKS`, and a value of the map is valid for the whole run. A plain store of an octet: what
        // others do to the octets beside it is not disturbed.
        unsafe { marks.cast::<u8>().add(bucket as usize & (MARKS - 1)).write_volatile(1) };
    }
}
