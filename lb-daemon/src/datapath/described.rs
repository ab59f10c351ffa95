//! An array that an older version has left, in this process's memory, with what it says about itself.

use std::{
    os::fd::AsFd as _,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use aya::maps::{MapData, MapType};

use super::{btf::Btf, mapped::Mapped, syscall};

/// A word of memory, in bytes: the kernel rounds the size of an array's value up to it.
pub(super) const WORD: usize = size_of::<u64>();

/// An array map, its values as words, and its BTF.
pub(super) struct Described {
    words: Mapped<AtomicU64>,
    btf: Vec<u8>,
    /// Number of the values' type there.
    pub(super) kind: u32,
    /// Bytes of a value.
    pub(super) size: u32,
    /// How many values there are.
    pub(super) count: u32,
}

impl Described {
    /// Opens the map that is pinned as `name` in `folder`.
    ///
    /// # Errors
    /// Says, for the operator, why it cannot be read.
    pub(super) fn open(folder: &Path, name: &'static str) -> Result<Self, String> {
        let path = folder.join(name);
        let failed = |error: &dyn std::fmt::Display| format!("its map {name} cannot be read: {error}");
        let pinned = MapData::from_pin(&path).map_err(|error| failed(&error))?;
        let info = pinned.info().map_err(|error| failed(&error))?;
        if !info.map_type().is_ok_and(|kind| kind == MapType::Array) {
            return Err(failed(&"it is no array"));
        }
        let (size, count) = (info.value_size(), info.max_entries());
        let described = syscall::map_btf(&path).map_err(|error| failed(&error))?;
        let (btf, kind) = described.ok_or_else(|| format!("its map {name} has no BTF"))?;
        if size == 0 {
            return Err(failed(&"its values are empty"));
        }
        let words = (size as usize).div_ceil(WORD).checked_mul(count as usize);
        let words =
            words.and_then(|words| u32::try_from(words).ok()).ok_or_else(|| failed(&"it is too large"))?;
        let words = Mapped::open(pinned.fd().as_fd(), words).map_err(|error| failed(&error))?;
        Ok(Self { words, btf, kind, size, count })
    }

    /// Its types.
    ///
    /// # Errors
    /// When they are malformed.
    pub(super) fn btf(&self) -> Result<Btf<'_>, String> {
        Btf::parse(&self.btf).ok_or_else(|| "its BTF is malformed".to_owned())
    }

    /// Every word of it.
    pub(super) fn words(&self) -> &[AtomicU64] {
        self.words.values()
    }

    /// Words of a value.
    pub(super) const fn words_of_value(&self) -> usize {
        (self.size as usize).div_ceil(WORD)
    }
}

/// The bytes of value `index`, of those that have so many `words` each, as they are now; none beyond the last.
pub(super) fn read(all: &[AtomicU64], words: usize, index: usize) -> Vec<u8> {
    let value = all.chunks_exact(words).nth(index).unwrap_or_default();
    value.iter().flat_map(|word| word.load(Ordering::Acquire).to_le_bytes()).collect()
}
