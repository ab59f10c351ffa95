//! The flow table that an older version has left, of another layout than this one's, and perhaps with a program that uses it still.
//! It describes itself: its map has BTF, and [`Layout`] finds the fields there.

use std::{
    os::fd::AsFd as _,
    path::Path,
    sync::atomic::{AtomicU64, Ordering, fence},
};

use aya::maps::{MapData, MapInfo};
use lb_common::{
    flow_table::{ChangeMarks, Key, MARKS, Meta, SharedMarks},
    map,
};

use super::{
    carry::{Source, take_marks},
    described::{Described, read},
    layout::Layout,
    mapped::Mapped,
};

/// The first layout in which `CHANGES` has a mark for each bucket as it has now.
const MARKS_SINCE: u32 = 3;

/// The flow table of an older layout.
pub(super) struct Predecessor {
    layout: Layout,
    flows: Described,
    marks: Option<Mapped<SharedMarks>>,
}

impl Predecessor {
    /// Opens the flow table that the maps of layout `version` in `folder` have; `None` where there is none. Its entries say nothing
    /// of last hops unless those are kept.
    ///
    /// # Errors
    /// Says, for the operator, why its connections cannot be read.
    pub(super) fn open(folder: &Path, version: u32, with_last_hops: bool) -> Result<Option<Self>, String> {
        if !folder.join(map::FLOWS).exists() {
            return Ok(None);
        }
        let flows = Described::open(folder, map::FLOWS)?;
        let layout = Layout::of(&flows.btf()?, flows.kind, flows.size)?;
        let layout = if with_last_hops { layout } else { layout.without_last_hops() };
        let marks = marks(folder, version, flows.count);
        Ok(Some(Self { layout, flows, marks }))
    }

    fn table(&self) -> Table<'_> {
        let marks = self.marks.as_ref().map(Mapped::values);
        let (words, words_of_bucket) = (self.flows.words(), self.flows.words_of_value());
        Table { layout: &self.layout, words, words_of_bucket, marks }
    }
}

/// The marks of a table of so many buckets; `None` where it has none that this version could read.
fn marks(folder: &Path, version: u32, buckets: u32) -> Option<Mapped<SharedMarks>> {
    let path = folder.join(map::CHANGES);
    let info = MapInfo::from_pin(&path).ok().filter(|_| version >= MARKS_SINCE)?;
    let fits = info.value_size() as usize == size_of::<ChangeMarks>()
        && info.max_entries() as usize >= (buckets as usize).div_ceil(MARKS);
    let pinned = MapData::from_pin(&path).ok().filter(|_| fits)?;
    Mapped::open(pinned.fd().as_fd(), info.max_entries()).ok()
}

impl Source for Predecessor {
    fn buckets(&self) -> usize {
        self.table().buckets()
    }

    fn capacity(&self) -> u64 {
        self.table().capacity()
    }

    fn connections(&self, bucket: usize, show: &mut dyn FnMut(Key, Meta)) {
        self.table().connections(bucket, show);
    }

    fn changed(&self, show: &mut dyn FnMut(usize)) {
        self.table().changed(show);
    }
}

/// A table in memory, whose layout is known.
struct Table<'a> {
    layout: &'a Layout,
    words: &'a [AtomicU64],
    words_of_bucket: usize,
    marks: Option<&'a [SharedMarks]>,
}

impl Source for Table<'_> {
    fn buckets(&self) -> usize {
        self.words.len() / self.words_of_bucket
    }

    fn capacity(&self) -> u64 {
        // As `bucket_capacity`: every other entry is in use.
        self.buckets() as u64 * self.layout.ways() as u64 / 2
    }

    fn connections(&self, bucket: usize, show: &mut dyn FnMut(Key, Meta)) {
        // What an entry says never comes back, and so what was the same twice stood there at one moment between.
        let first = read(self.words, self.words_of_bucket, bucket);
        fence(Ordering::Acquire);
        let second = read(self.words, self.words_of_bucket, bucket);
        for (first, second) in self.layout.entries(&first).zip(self.layout.entries(&second)) {
            if let Some((key, meta)) = self.layout.connection(first).filter(|_| first == second) {
                show(key, meta);
            }
        }
    }

    fn changed(&self, show: &mut dyn FnMut(usize)) {
        match self.marks {
            Some(marks) => take_marks(marks, show),
            // Nothing says what has changed: all may have.
            None => (0..self.buckets()).for_each(show),
        }
    }
}

#[cfg(test)]
mod tests;
