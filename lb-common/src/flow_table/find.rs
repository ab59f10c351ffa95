//! Looking a connection up.

use super::{
    access::{Bucket, WAYS},
    entry::{Client, Key, Meta},
};

/// An entry that was found.
#[derive(Clone, Copy, Debug)]
pub struct Found<B, T> {
    /// Its bucket.
    pub bucket: B,
    /// Its place in the bucket.
    pub way: usize,
    /// Its key.
    pub key: Key,
    /// The rest of it, as it was read: together with the key.
    pub meta: Meta,
    /// What the caller made of it.
    pub value: T,
}

/// The first live entry of `client` that `accept` makes something of. `buckets` gives the first bucket and the second, 0 and
/// 1: most look-ups need one.
#[inline(always)]
pub fn find<B: Bucket, T>(
    buckets: impl Fn(usize) -> Option<B>,
    client: Client,
    accept: impl Fn(Key, Meta) -> Option<T>,
) -> Option<Found<B, T>> {
    for number in 0..2 {
        let bucket = buckets(number)?;
        for way in 0..WAYS {
            let Some((key, meta)) = live(bucket, way, client) else { continue };
            if let Some(value) = accept(key, meta) {
                return Some(Found { bucket, way: B::hidden(way, key.word()), key, meta, value });
            }
        }
    }
    None
}

/// Whether any entry, in use or not, names `client`. Where none does, nothing of his can be in the way of a new connection.
#[inline(always)]
pub fn has_client<B: Bucket>(buckets: [B; 2], client: Client) -> bool {
    for bucket in buckets {
        for way in 0..WAYS {
            // Not gathered in a variable: the verifier would walk on once for each of its values.
            if bucket.key(way).client() == client {
                return true;
            }
        }
    }
    false
}

/// The live entry of `client` in one place.
#[inline(always)]
fn live<B: Bucket>(bucket: B, way: usize, client: Client) -> Option<(Key, Meta)> {
    let key = bucket.key(way);
    if key.client() != client {
        return None;
    }
    let meta = bucket.meta(way);
    // The key is written while the entry is claimed. Where it is the same before and after, what lies between is its own.
    (meta.is_live() && bucket.key(way) == key).then_some((key, meta))
}
