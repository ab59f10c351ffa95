//! Which buckets have changed: the program marks them, and whoever copies the table to the peer takes the marks.
//!
//! A mark is set **after** the change, by a plain store: x86-64 makes stores visible in their order. It is taken **before**
//! the bucket is read. So a change is either seen by that reader, or its mark is found the next time.

/// Buckets whose marks stand in one value of the map: a cache line.
pub const MARKS: usize = 64;

/// One value of the map: an octet for each bucket, not zero where it has changed.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeMarks(pub [u8; MARKS]);

/// Values of the map for a table of `buckets` buckets.
pub const fn mark_count(buckets: u32) -> u32 {
    buckets.div_ceil(MARKS as u32)
}

#[cfg(not(target_arch = "bpf"))]
pub use shared::SharedMarks;

#[cfg(not(target_arch = "bpf"))]
mod shared {
    use core::sync::atomic::{AtomicU64, Ordering};

    use super::{ChangeMarks, MARKS};

    /// Marks in a word.
    const WORD: usize = 8;

    /// [`ChangeMarks`] in memory that the program shares.
    #[derive(Debug, Default)]
    #[repr(C)]
    pub struct SharedMarks([AtomicU64; MARKS / WORD]);

    const _: () = assert!(size_of::<SharedMarks>() == size_of::<ChangeMarks>());

    impl SharedMarks {
        /// Takes the marks: the numbers, below [`MARKS`], of the buckets that have changed since they were taken last.
        pub fn take(&self) -> impl Iterator<Item = usize> {
            self.0.iter().enumerate().flat_map(|(word, marks)| {
                // Most have not changed, and a load leaves the cache line with the processor that has it.
                let taken = match marks.load(Ordering::Relaxed) {
                    0 => 0,
                    _ => marks.swap(0, Ordering::SeqCst),
                };
                let octets = taken.to_le_bytes().into_iter().enumerate();
                octets.filter(|(_, octet)| *octet != 0).map(move |(octet, _)| word * WORD + octet)
            })
        }

        /// Marks bucket `number`, below [`MARKS`]; for tests, and for whoever plays the program.
        pub fn set(&self, number: usize) {
            let mark = 1 << (number % WORD * 8);
            if let Some(word) = self.0.get(number / WORD) {
                word.fetch_or(mark, Ordering::SeqCst);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_taken_once() {
        let marks = SharedMarks::default();
        for number in [63, 0, 9, 9] {
            marks.set(number);
        }
        assert_eq!(marks.take().collect::<Vec<_>>(), [0, 9, 63]);
        assert_eq!(marks.take().count(), 0);
    }

    #[test]
    fn the_program_marks_octets() {
        let mut octets = ChangeMarks([0; MARKS]);
        octets.0[17] = 1;
        // SAFETY: 64 octets either way, any of which make words.
        let shared: SharedMarks = unsafe { core::mem::transmute(octets) };
        assert_eq!(shared.take().collect::<Vec<_>>(), [17]);
    }

    #[test]
    fn every_bucket_has_a_mark() {
        assert_eq!([1, 64, 65, 128].map(mark_count), [1, 1, 2, 2]);
    }
}
