//! The addresses that the program lets the kernel answer for, and until when.

use anyhow::Result;
use lb_common::{Lease, map};

use super::Program;

impl Program {
    /// Has `address` answered for under the lease number `lease`.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_floating(&mut self, address: [u8; 4], lease: u32) -> Result<()> {
        Ok(self.hash::<[u8; 4], u32>(map::FLOATING)?.insert(address, lease, 0)?)
    }

    /// Lets the lease run until `until`, in nanoseconds of `CLOCK_BOOTTIME`.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_lease(&mut self, until: u64) -> Result<()> {
        Ok(self.array(map::LEASES)?.set(0, Lease { until }, 0)?)
    }

    /// No address moves with a role, and no lease runs.
    ///
    /// # Errors
    /// When a map cannot be written.
    pub(super) fn clear_lease(&mut self) -> Result<()> {
        self.empty::<[u8; 4], u32>(map::FLOATING)?;
        self.set_lease(0)
    }
}
