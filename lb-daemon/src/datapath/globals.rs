//! The read-only globals of the program: what it must know before the verifier sees it.

use aya::EbpfLoader;
use lb_common::{
    flow_table::{HashKey, Timeouts, units_of},
    global,
};
use nix::time::{ClockId, clock_getres};

/// `CONFIG_HZ` where the kernel does not say: that of most distributions.
const DEFAULT_HZ: u32 = 250;

/// Their values, kept while the loader borrows them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Globals {
    buckets: u32,
    hash_key: HashKey,
    second: u32,
    timeouts: Timeouts,
    has_virtual_macs: u32,
}

impl Globals {
    /// The globals for a flow table of `buckets` buckets with the secret `hash_key`, on this kernel.
    pub fn new(buckets: u32, hash_key: HashKey) -> Self {
        let hz = hz();
        Self { buckets, hash_key, second: units_of(1, hz), timeouts: Timeouts::at(hz), has_virtual_macs: 0 }
    }

    /// The same for a router that has virtual MAC addresses, or has none.
    #[must_use]
    pub const fn with_virtual_macs(self, has_any: bool) -> Self {
        Self { has_virtual_macs: has_any as u32, ..self }
    }

    /// Has the loader set them.
    pub fn set<'a>(&'a self, loader: &mut EbpfLoader<'a>) {
        loader
            .override_global(global::BUCKETS, &self.buckets, true)
            .override_global(global::HASH_KEY, &self.hash_key, true)
            .override_global(global::SECOND, &self.second, true)
            .override_global(global::TIMEOUTS, &self.timeouts, true)
            .override_global(global::HAS_VIRTUAL_MACS, &self.has_virtual_macs, true);
    }
}

/// Jiffies in a second. The coarse clocks advance once a jiffy, and their resolution says so (`KTIME_LOW_RES` in
/// `include/linux/hrtimer_defs.h`).
pub(super) fn hz() -> u32 {
    let tick = clock_getres(ClockId::CLOCK_MONOTONIC_COARSE).map_or(0, |tick| tick.tv_nsec());
    // A tick is not a whole number of nanoseconds at every rate, so that the quotient is rounded.
    u32::try_from((1_000_000_000 + tick / 2).checked_div(tick).unwrap_or(0))
        .ok()
        .filter(|hz| (24..=10_000).contains(hz))
        .unwrap_or(DEFAULT_HZ)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_has_a_rate_that_kernels_have() {
        // The choices of kernel/Kconfig.hz.
        assert!([100, 250, 300, 1000].contains(&hz()), "{}", hz());
    }
}
