//! The table as the daemon and the tests see it: memory that the program and other threads change meanwhile.

use core::sync::atomic::{AtomicU64, Ordering};

use super::{
    access::{Bucket, RawBucket},
    entry::{Key, Meta},
};

/// One bucket in shared memory.
#[repr(C, align(8))]
#[derive(Debug)]
pub struct Shared {
    ways: [[AtomicU64; 2]; super::WAYS],
}

const _: () = assert!(size_of::<Shared>() == size_of::<RawBucket>());

impl Default for Shared {
    fn default() -> Self {
        Self { ways: [const { [const { AtomicU64::new(0) }; 2] }; super::WAYS] }
    }
}

impl Shared {
    /// Every live entry: its place in the bucket, key and rest. An entry that changes meanwhile is left out.
    pub fn entries(&self) -> impl Iterator<Item = (usize, Key, Meta)> {
        self.ways.iter().enumerate().filter_map(|(way, [key, meta])| {
            let rest = Meta::from_word(meta.load(Ordering::Acquire));
            if !rest.is_live() {
                return None;
            }
            let key = Key::from_word(key.load(Ordering::Acquire));
            // As in `find`: what lies between two equal reads belongs together.
            (meta.load(Ordering::Acquire) == rest.word()).then_some((way, key, rest))
        })
    }
}

impl Bucket for &Shared {
    fn key(self, way: usize) -> Key {
        Key::from_word(self.ways[way][0].load(Ordering::Acquire))
    }

    fn meta(self, way: usize) -> Meta {
        Meta::from_word(self.ways[way][1].load(Ordering::Acquire))
    }

    fn store_key(self, way: usize, key: Key) {
        self.ways[way][0].store(key.word(), Ordering::Release);
    }

    fn exchange(self, way: usize, old: Meta, new: Meta) -> bool {
        let [_, meta] = &self.ways[way];
        meta.compare_exchange(old.word(), new.word(), Ordering::SeqCst, Ordering::SeqCst).is_ok()
    }
}
