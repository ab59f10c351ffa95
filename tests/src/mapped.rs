//! The flow table of a program in a test, mapped into memory as the daemon has it.

use std::{io, os::fd::BorrowedFd};

use lb_common::flow_table::{RawBucket, Shared};
use memmap2::{MmapOptions, MmapRaw};

/// All buckets, while the program changes them.
pub struct Buckets {
    memory: MmapRaw,
    count: usize,
}

impl Buckets {
    /// Maps `count` buckets of the array map `map`.
    ///
    /// # Errors
    /// What the kernel says, also where the map has fewer.
    pub fn open(map: BorrowedFd<'_>, count: u32) -> io::Result<Self> {
        let count = count as usize;
        let memory = MmapOptions::new().len(count * size_of::<RawBucket>()).map_raw(&map)?;
        Ok(Self { memory, count })
    }

    /// The buckets.
    pub fn values(&self) -> &[Shared] {
        // SAFETY: the mapping is as long, stays as long as this value, and starts at a page; a bucket is made of atomics
        // alone, so that others may write to it meanwhile.
        unsafe { std::slice::from_raw_parts(self.memory.as_ptr().cast::<Shared>(), self.count) }
    }
}
