//! The addresses that move with the active role, and the virtual MAC addresses that they may keep meanwhile.

/// Value of the map of floating addresses: how one is answered for.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Floating {
    /// Index of the lease that it is answered for under.
    pub lease: u32,
    /// The virtual MAC address that the program answers with; all zero where the kernel answers, with that of its interface.
    pub mac: [u8; 6],
    _pad: [u8; 2],
}

impl Floating {
    /// An address under `lease`, at the virtual MAC address `mac` if it has one.
    pub const fn new(lease: u32, mac: Option<[u8; 6]>) -> Self {
        let mac = match mac {
            Some(mac) => mac,
            None => [0; 6],
        };
        Self { lease, mac, _pad: [0; 2] }
    }

    /// Its virtual MAC address, if it has one.
    #[inline(always)]
    pub fn virtual_mac(&self) -> Option<[u8; 6]> {
        (crate::mac_number(self.mac) != 0).then_some(self.mac)
    }
}

/// Key of the map of virtual MAC addresses: one on one interface.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VirtualMacKey {
    /// Index of the interface.
    pub ifindex: u32,
    /// The virtual MAC address.
    pub mac: [u8; 6],
    _pad: [u8; 2],
}

impl VirtualMacKey {
    /// The virtual MAC address `mac` on interface `ifindex`.
    #[inline(always)]
    pub const fn new(ifindex: u32, mac: [u8; 6]) -> Self {
        Self { ifindex, mac, _pad: [0; 2] }
    }
}

/// Value of the map of virtual MAC addresses: whose one is on an interface.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VirtualMac {
    /// The interface's own MAC address.
    pub own: [u8; 6],
    /// Index of the lease of its group.
    pub lease: u16,
}

/// Virtual MAC addresses over all interfaces: each group has one, and interfaces are few.
pub const VIRTUAL_MACS: usize = 1024;

const _: () = assert!(size_of::<Floating>() == 12);
const _: () = assert!(size_of::<VirtualMacKey>() == 12);
const _: () = assert!(size_of::<VirtualMac>() == 8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_without_a_virtual_mac_has_none() {
        assert_eq!(Floating::new(3, None).virtual_mac(), None);
        assert_eq!(
            Floating::new(3, Some([0, 0, 0x5e, 0, 1, 51])).virtual_mac(),
            Some([0, 0, 0x5e, 0, 1, 51])
        );
    }
}
