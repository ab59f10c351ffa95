//! Things that must not stand in a file twice.

use std::collections::{BTreeMap, btree_map::Entry};

/// What has been seen, and on which line first.
#[derive(Debug)]
pub(super) struct Unique<K>(BTreeMap<K, usize>);

impl<K: Ord> Unique<K> {
    /// Nothing seen.
    pub(super) fn new() -> Self {
        Self(BTreeMap::new())
    }

    /// Remembers that `key` stands on `line`; the line where it has been seen before, if it has.
    pub(super) fn claim(&mut self, key: K, line: usize) -> Option<usize> {
        match self.0.entry(key) {
            Entry::Occupied(seen) => Some(*seen.get()),
            Entry::Vacant(free) => {
                free.insert(line);
                None
            }
        }
    }
}
