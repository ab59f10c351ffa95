//! An array map in this process's memory: the program's values, while it reads and writes them.

use std::{io, marker::PhantomData, os::fd::BorrowedFd, sync::atomic::AtomicU64};

use lb_common::{
    LastHop, Lease, Real, SharedHop, SharedLease,
    flow_table::{ChangeMarks, RawBucket, Shared, SharedMarks},
};
use memmap2::{MmapOptions, MmapRaw};

/// What may be read through a shared reference while the program writes to it.
///
/// # Safety
/// Made of atomics alone, without padding, of the size that the map's values have, a multiple of eight bytes.
pub(super) unsafe trait Concurrent: Sync {}

// SAFETY: atomics alone, as large as a bucket of the map.
unsafe impl Concurrent for Shared {}
// SAFETY: atomics alone, as large as an entry of the map.
unsafe impl Concurrent for SharedHop {}
// SAFETY: atomics alone, as large as a value of the map.
unsafe impl Concurrent for SharedMarks {}

// SAFETY: one atomic, as large as a value of the map.
unsafe impl Concurrent for SharedLease {}

// SAFETY: one atomic. The kernel rounds the size of an array's value up to eight bytes, so that words are all there is.
unsafe impl Concurrent for AtomicU64 {}

/// The values of a map that was made with `BPF_F_MMAPABLE`.
pub(super) struct Mapped<T> {
    memory: MmapRaw,
    entries: usize,
    values: PhantomData<T>,
}

impl<T> Mapped<T> {
    /// Maps the first `entries` values of the array map behind `map`, or that many words of it.
    ///
    /// # Errors
    /// What the kernel says: also where the map may not be mapped, or is shorter.
    pub(super) fn open(map: BorrowedFd<'_>, entries: u32) -> io::Result<Self> {
        let entries = entries as usize;
        let length = entries.checked_mul(size_of::<T>()).ok_or(io::ErrorKind::InvalidInput)?;
        Ok(Self { memory: MmapOptions::new().len(length).map_raw(&map)?, entries, values: PhantomData })
    }

    /// A value as it is now; `None` beyond the last one. Another process may write it at the same time, so that parts of it
    /// may be old and parts new.
    pub(super) fn read(&self, index: usize) -> Option<T>
    where
        T: aya::Pod,
    {
        if index >= self.entries {
            return None;
        }
        let values = self.memory.as_ptr().cast::<T>();
        // SAFETY: within the mapping, which starts at a page and holds values of this size; any bytes make a `Pod`.
        Some(unsafe { values.add(index).read_volatile() })
    }
}

impl<T: Concurrent> Mapped<T> {
    /// All values.
    pub(super) fn values(&self) -> &[T] {
        // SAFETY: the mapping is as long and stays as long as this value; it starts at a page; `Concurrent` says that
        // others may write to the values meanwhile.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast::<T>(), self.entries) }
    }
}

// The kernel rounds the size of an array's value up to eight bytes.
const _: () = assert!(size_of::<RawBucket>().is_multiple_of(8) && size_of::<Real>().is_multiple_of(8));
const _: () = assert!(size_of::<SharedHop>() == size_of::<LastHop>());
const _: () = assert!(size_of::<SharedMarks>() == size_of::<ChangeMarks>());
const _: () = assert!(size_of::<SharedLease>() == size_of::<Lease>());
