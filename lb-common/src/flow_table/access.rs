//! What a bucket is in memory, and the operations that the rules of the table need of it.

use super::entry::{Client, Key, Meta};

/// Entries of a bucket: two cache lines of 64 bytes.
pub const WAYS: usize = 8;

/// One value of the array map. Free when all zero.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawBucket {
    /// Its entries; found by this name, too.
    pub ways: [RawEntry; WAYS],
}

/// An entry with names for its parts: the first eight bytes are the [`Key`], the others the [`Meta`], each on a little-endian machine.
///
/// The names stand in the map's BTF, for `bpftool map dump`, and for a version with another layout, which finds the parts by them: a name
/// keeps its meaning, its unit and its packing, and what changes one of these changes the name.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawEntry {
    /// Index of the real server.
    pub real: u16,
    /// Port of the client, host order.
    pub client_port: u16,
    /// IPv4 address of the client.
    pub client_address: [u8; 4],
    /// Last use, state, protocol and phase: see [`Meta`].
    pub seen_and_state: u32,
    /// Lower half of the real server's generation.
    pub generation: u16,
    /// Index of the last hop, and in the highest bit whether the peer used the connection last.
    pub last_hop: u16,
}

impl RawEntry {
    /// The entry made of these.
    pub const fn new(key: Key, meta: Meta) -> Self {
        Self {
            real: key.real(),
            client_port: key.client().port(),
            client_address: key.client().address(),
            seen_and_state: meta.word() as u32,
            generation: meta.generation(),
            last_hop: (meta.word() >> 48) as u16,
        }
    }

    /// Whose it is.
    pub const fn key(&self) -> Key {
        Key::new(Client::new(self.client_address, self.client_port), self.real)
    }

    /// The rest of it.
    pub const fn meta(&self) -> Meta {
        let upper = (self.last_hop as u64) << 16 | self.generation as u64;
        Meta::from_word(upper << 32 | self.seen_and_state as u64)
    }
}

/// A bucket that others change at the same time. `way` is below [`WAYS`].
///
/// Every access is one machine word. A `load` is ordered before the loads and stores that follow it in the program
/// ("acquire"), a `store_key` after those that precede it ("release"), and an `exchange` with everything on both sides,
/// whether or not it replaces anything. On x86-64 these are a load, a store and a locked exchange. The only store is that
/// of the key, and an exchange by the same processor follows it.
pub trait Bucket: Copy {
    /// The key of an entry.
    fn key(self, way: usize) -> Key;

    /// The rest of an entry.
    fn meta(self, way: usize) -> Meta;

    /// Writes the key of an entry that the caller has claimed.
    fn store_key(self, way: usize, key: Key);

    /// Replaces the rest of an entry, if it is still `old`; whether it was.
    fn exchange(self, way: usize, old: Meta, new: Meta) -> bool;

    /// The same place, below 2 * [`WAYS`]. The program hides from the verifier which it is, lest it walk what follows once
    /// for each place; `unknown` is any number that the verifier does not know.
    #[inline(always)]
    fn hidden(place: usize, unknown: u64) -> usize {
        let _ = unknown;
        place
    }
}

const _: () = assert!(size_of::<RawBucket>() == 128);
const _: () = assert!(cfg!(target_endian = "little"), "entries are read by their words and by their parts");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_of_an_entry_are_its_words() {
        let (key, meta) = (Key::from_word(0x0102_0304_0506_0708), Meta::from_word(0x1112_1314_1516_1718));
        let raw = RawEntry::new(key, meta);
        assert_eq!((raw.key(), raw.meta()), (key, meta));
        assert_eq!(raw.client_address, [4, 3, 2, 1]);
        // SAFETY: sixteen bytes without padding.
        let words: [u64; 2] = unsafe { core::mem::transmute(raw) };
        assert_eq!(words, [key.word(), meta.word()]);
    }
}
