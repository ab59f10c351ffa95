//! Read-only globals, which the loader sets before the verifier sees the program.

use core::{hint::black_box, ptr::addr_of};

use lb_common::flow_table::{HashKey, Timeouts};

/// See [`lb_common::global::BUCKETS`].
#[unsafe(no_mangle)]
static BUCKETS: u32 = 2;

/// See [`lb_common::global::TIMEOUTS`].
#[unsafe(no_mangle)]
static TIMEOUTS: Timeouts = Timeouts([1; 16]);

/// See [`lb_common::global::SECOND`].
#[unsafe(no_mangle)]
static SECOND: u32 = 1;

/// See [`lb_common::global::HAS_VIRTUAL_MACS`].
#[unsafe(no_mangle)]
static HAS_VIRTUAL_MACS: u32 = 0;

/// See [`lb_common::global::HASH_KEY`].
#[unsafe(export_name = "HASH_KEY_VALUE")]
static HASH_KEY: HashKey = HashKey([0; 3]);

/// Buckets of the flow table.
#[inline(always)]
pub(crate) fn buckets() -> u32 {
    // SAFETY: a static is always valid; the compiler must not take its initial value for the last word.
    unsafe { addr_of!(BUCKETS).read_volatile() }
}

/// How long connections live.
#[inline(always)]
pub(crate) fn timeouts() -> &'static Timeouts {
    // SAFETY: as in `buckets`.
    unsafe { &*black_box(addr_of!(TIMEOUTS)) }
}

/// Units of the flow table's clock in a second.
#[inline(always)]
pub(crate) fn second() -> u32 {
    // SAFETY: as in `buckets`.
    unsafe { addr_of!(SECOND).read_volatile() }
}

/// Whether there are virtual MAC addresses.
#[inline(always)]
pub(crate) fn has_virtual_macs() -> bool {
    // SAFETY: as in `buckets`.
    unsafe { addr_of!(HAS_VIRTUAL_MACS).read_volatile() != 0 }
}

/// The secret of the flow table.
#[inline(always)]
pub(crate) fn hash_key() -> HashKey {
    // SAFETY: as in `buckets`.
    unsafe { addr_of!(HASH_KEY).read_volatile() }
}
