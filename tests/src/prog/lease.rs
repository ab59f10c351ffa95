//! The addresses that the program answers for or lets the kernel answer for, and until when.

use anyhow::Result;
use lb_common::{Floating, Lease, VirtualMac, VirtualMacKey, map};

use super::Program;

impl Program {
    /// Has `address` answered for under the lease number `lease`.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_floating(&mut self, address: [u8; 4], lease: u32) -> Result<()> {
        Ok(self.hash::<[u8; 4], Floating>(map::FLOATING)?.insert(address, Floating::new(lease, None), 0)?)
    }

    /// Has the program answer for `address` with the virtual MAC address `mac`, under the first lease.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_floating_at(&mut self, address: [u8; 4], mac: [u8; 6]) -> Result<()> {
        Ok(self.hash::<[u8; 4], Floating>(map::FLOATING)?.insert(address, Floating::new(0, Some(mac)), 0)?)
    }

    /// Has `mac` be a virtual MAC address, under the first lease, on an interface whose own one is `own`.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_virtual_mac(&mut self, ifindex: u32, mac: [u8; 6], own: [u8; 6]) -> Result<()> {
        let key = VirtualMacKey::new(ifindex, mac);
        Ok(self.hash::<VirtualMacKey, VirtualMac>(map::VIRTUAL_MACS)?.insert(
            key,
            VirtualMac { own, lease: 0 },
            0,
        )?)
    }

    /// Lets the lease run until `until`, in nanoseconds of `CLOCK_BOOTTIME`.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_lease(&mut self, until: u64) -> Result<()> {
        Ok(self.array(map::LEASES)?.set(0, Lease { until }, 0)?)
    }

    /// No address moves with a role, there is no virtual MAC address, and no lease runs.
    ///
    /// # Errors
    /// When a map cannot be written.
    pub(super) fn clear_lease(&mut self) -> Result<()> {
        self.empty::<[u8; 4], Floating>(map::FLOATING)?;
        self.empty::<VirtualMacKey, VirtualMac>(map::VIRTUAL_MACS)?;
        self.set_lease(0)
    }
}
