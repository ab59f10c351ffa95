//! Counters. Each processor has its own, so that none is atomic.

use lb_common::{RealCounters, Reason};

use crate::maps::{REAL_COUNTERS, REASONS};

/// Counts a frame of `bytes` by its end.
#[inline(always)]
pub(crate) fn reason(reason: Reason, bytes: usize) {
    if let Some(counter) = REASONS.get_ptr_mut(reason as u32) {
        // SAFETY: the value belongs to this processor, and the program is not interrupted by itself.
        unsafe {
            (*counter).packets += 1;
            (*counter).bytes += bytes as u64;
        }
    }
}

/// Counts the first IP packet of a connection, of `bytes`, to the real server it was scheduled to.
#[inline(always)]
pub(crate) fn connection(real: u32, bytes: u16) {
    with(real, |counters| {
        counters.connections += 1;
        counters.in_packets += 1;
        counters.in_bytes += bytes as u64;
    });
}

/// Counts an IP packet of `bytes` from a client to a real server.
#[inline(always)]
pub(crate) fn to_real(real: u32, bytes: u16) {
    with(real, |counters| {
        counters.in_packets += 1;
        counters.in_bytes += bytes as u64;
    });
}

/// Counts an IP packet of `bytes` from a real server to a client.
#[inline(always)]
pub(crate) fn from_real(real: u32, bytes: u16) {
    with(real, |counters| {
        counters.out_packets += 1;
        counters.out_bytes += bytes as u64;
    });
}

#[inline(always)]
fn with(real: u32, change: impl FnOnce(&mut RealCounters)) {
    if let Some(counters) = REAL_COUNTERS.get_ptr_mut(real) {
        // SAFETY: as in `reason`.
        change(unsafe { &mut *counters });
    }
}
