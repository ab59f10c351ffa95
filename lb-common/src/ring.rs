//! The schedule of a service: real server indices in the order in which they are taken.

/// Slots of a ring. A `wrr` sequence is as long as the sum of the weights divided by their greatest common divisor; a
/// longer one is scaled down to fit, and the order is then the kernel's for the scaled weights.
pub const RING_SLOTS: usize = 16_384;

/// Slots that `sh` uses: `IP_VS_SH_TAB_SIZE` of the kernel (`CONFIG_IP_VS_SH_TAB_BITS` = 8).
pub const SH_BUCKETS: usize = 256;

/// Slots that `mh` uses. Maglev needs a prime number, so that every step size leads through all slots: this is the greatest
/// one that a ring has room for, and one of the sizes that the kernel's `ip_vs_mh.c` can be built with.
pub const MH_SLOTS: usize = 16_381;

/// One schedule. Only the first [`Service::ring_len`](crate::Service::ring_len) slots mean anything.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Ring {
    /// Indices into the real server array.
    pub slots: [u16; RING_SLOTS],
}

const _: () = assert!(size_of::<Ring>() == 2 * RING_SLOTS);
const _: () = assert!(MH_SLOTS <= RING_SLOTS);
