//! The lease in the kernel, mapped into this process: renewing it is one store, which cannot fail.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use lb_common::SharedLease;
use nix::time::{ClockId, clock_gettime};

use super::{Lease, mapped::Mapped};

/// Nanoseconds of `CLOCK_BOOTTIME`, the clock that the program compares with.
fn boot_nanos() -> u64 {
    // It fails for clocks that the kernel does not have; this one is as old as Linux 2.6.39.
    let time = clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default();
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// The pinned map.
pub(super) struct KernelLease(pub(super) Mapped<SharedLease>);

impl KernelLease {
    /// None for a number that there is no lease of, which the program takes for one that has run out.
    fn word(&self, lease: u32) -> Option<&AtomicU64> {
        self.0.values().get(lease as usize).map(|SharedLease(word)| word)
    }

    fn store(&self, lease: u32, until: u64) {
        if let Some(word) = self.word(lease) {
            word.store(until, Ordering::Release);
        }
    }
}

impl Lease for KernelLease {
    fn set(&self, lease: u32, until: Instant) {
        // In this order: whoever is stopped between the two reads makes the lease shorter, not longer.
        let now = boot_nanos();
        let left = until.saturating_duration_since(Instant::now());
        let left = u64::try_from(left.as_nanos()).unwrap_or(u64::MAX);
        self.store(lease, now.saturating_add(left));
    }

    fn release(&self, lease: u32) {
        self.store(lease, 0);
    }

    fn runs(&self, lease: u32) -> bool {
        self.word(lease).is_some_and(|word| word.load(Ordering::Acquire) > boot_nanos())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_goes() {
        let before = boot_nanos();
        std::thread::sleep(Duration::from_millis(2));
        let passed = boot_nanos() - before;
        assert!(passed >= 2_000_000, "{passed}");
    }
}
