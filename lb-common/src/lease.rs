//! Until when this router may answer for the addresses that move with the active role.

/// An entry of the lease map. The program reads it as one word, and the daemon writes it as one.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lease {
    /// Nanoseconds of `CLOCK_BOOTTIME`, which goes on while the machine sleeps; 0: nothing is answered.
    pub until: u64,
}

/// Leases: one for each group of addresses that moves by itself.
pub const LEASES: usize = 16;

/// The same entry in the memory of the daemon.
#[cfg(not(target_arch = "bpf"))]
#[repr(transparent)]
#[derive(Debug, Default)]
pub struct SharedLease(pub core::sync::atomic::AtomicU64);

#[cfg(not(target_arch = "bpf"))]
const _: () = assert!(size_of::<SharedLease>() == size_of::<Lease>());
