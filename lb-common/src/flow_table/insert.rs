//! Making a connection, while other processors may make the same one.
//!
//! An entry goes through the phases [`Free`](Phase::Free), [`Claimed`](Phase::Claimed), [`Pending`](Phase::Pending) and
//! [`Live`](Phase::Live). Each step is one exchange of its `Meta`:
//!
//! 1. Claim: from free, due or given up to claimed. From now on the entry belongs to its maker, and nobody else frees it.
//! 2. Write the key, then become pending: visible.
//! 3. Look at every other entry of both buckets for a **rival**, one that must not stand beside this one. A live rival
//!    wins: the maker gives its own entry back. Of two pending ones that in the lower place wins: it turns the other back
//!    to claimed.
//! 4. Become live. That fails where a rival in a lower place was faster; the maker gives its entry back.
//!
//! Two makers of rivals cannot both get through: each became pending before it looked, so at least one sees the other.
//! If the lower one sees the higher pending, then either its exchange of the other's entry succeeds, and the other cannot
//! become live, or the other is live already, and the lower one gives way.
//!
//! An exchange does not compare the key. Whoever has found a live entry and then exchanges it must not meet another
//! connection that says just the same: a new one is later than whatever stood in its place, also where that was free again
//! ([`Meta::in_place_of`]).

use super::{
    access::{Bucket, WAYS},
    entry::{Key, Meta, Phase},
    stamp::Rank,
};

/// Entries of the first bucket that are taken before the second bucket is tried: it fills up only where many share it,
/// and two entries stay for those whose second bucket is full.
const FIRST_WAYS: usize = 6;

/// Times that an entry is chosen. More than one is needed only where another processor takes the same at the same moment.
const CHOICES: usize = 3;

/// How an entry of the same client stands to a new connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It may stand beside it.
    Other,
    /// It must not.
    Rival,
    /// It would be a rival, but it is due: it is taken out, lest a processor whose clock is behind revives it.
    Spent,
}

/// Why a connection was not remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Both buckets are full of connections that must stay.
    Full,
    /// Another processor makes, or has just made, a rival.
    Rival,
}

/// Remembers a connection; its entry is live then.
///
/// `give_up` names the entry that goes where none is free, as [`worst`] does; `standing` says which entries of its
/// client must not stand beside it.
///
/// # Errors
/// See [`Refusal`]; nothing was remembered then.
#[inline(always)]
pub fn insert<B: Bucket>(
    buckets: [B; 2],
    key: Key,
    meta: Meta,
    give_up: impl Fn() -> Option<(usize, Meta)>,
    standing: impl Fn(Key, Meta) -> Standing,
) -> Result<(), Refusal> {
    let (place, meta) = claim(buckets, meta, &give_up)?;
    let place = B::hidden(place, key.word());
    let bucket = bucket_of(buckets, place);
    let way = place % WAYS;
    bucket.store_key(way, key);
    let pending = meta.in_phase(Phase::Pending);
    // Nobody changes an entry that is claimed, but for its maker. The exchange is a barrier: what follows reads what was
    // there after the entry had become visible.
    bucket.exchange(way, meta.in_phase(Phase::Claimed), pending);
    if prevails(buckets, place, key, &standing) && bucket.exchange(way, pending, meta.in_phase(Phase::Live)) {
        return Ok(());
    }
    // Pending still, or claimed by a rival's hand.
    if !bucket.exchange(way, pending, meta.freed()) {
        bucket.exchange(way, meta.in_phase(Phase::Claimed), meta.freed());
    }
    Err(Refusal::Rival)
}

/// Claims the entry that is given up most readily: its place, counted through both buckets, and what is to be said there.
#[inline(always)]
fn claim<B: Bucket>(
    buckets: [B; 2],
    meta: Meta,
    give_up: &impl Fn() -> Option<(usize, Meta)>,
) -> Result<(usize, Meta), Refusal> {
    for _ in 0..CHOICES {
        let (place, old) = choose(buckets, give_up).ok_or(Refusal::Full)?;
        let meta = meta.in_place_of(old);
        if bucket_of(buckets, place).exchange(place % WAYS, old, meta.in_phase(Phase::Claimed)) {
            return Ok((place, meta));
        }
    }
    Err(Refusal::Rival)
}

/// The entry to be claimed, as it was read.
#[inline(always)]
fn choose<B: Bucket>(buckets: [B; 2], give_up: &impl Fn() -> Option<(usize, Meta)>) -> Option<(usize, Meta)> {
    let [first, second] = buckets;
    free(first, 0, FIRST_WAYS)
        .or_else(|| free(second, 0, WAYS).map(|(way, meta)| (WAYS + way, meta)))
        .or_else(|| free(first, FIRST_WAYS, WAYS))
        .or_else(give_up)
}

/// The first free entry of a bucket within `from..to`.
#[inline(always)]
fn free<B: Bucket>(bucket: B, from: usize, to: usize) -> Option<(usize, Meta)> {
    for way in from..to {
        let meta = bucket.meta(way);
        if meta.is_free() {
            return Some((way, meta));
        }
    }
    None
}

/// The entry that is given up most readily: its place, counted through both buckets, and what was read of it. `None` where
/// all are protected.
#[inline(always)]
pub fn worst<B: Bucket>(buckets: [B; 2], rank: impl Fn(Meta) -> Rank) -> Option<(usize, Meta)> {
    let mut worst = None;
    let mut worst_rank = Rank::PROTECTED;
    for place in 0..2 * WAYS {
        let meta = bucket_of(buckets, place).meta(place % WAYS);
        let rank = rank(meta);
        if rank > worst_rank {
            worst_rank = rank;
            worst = Some((place, meta));
        }
    }
    worst
}

/// Whether the pending entry in `own` has no rival that goes before it. Pending rivals in higher places are turned back.
#[inline(always)]
fn prevails<B: Bucket>(
    buckets: [B; 2],
    own: usize,
    key: Key,
    standing: &impl Fn(Key, Meta) -> Standing,
) -> bool {
    for place in 0..2 * WAYS {
        let (bucket, way) = (bucket_of(buckets, place), place % WAYS);
        // A rival is always of the same client.
        let other = bucket.key(way);
        if other.client() != key.client() || place == own {
            continue;
        }
        if !gives_way(bucket, way, other, place > own, standing) {
            return false;
        }
    }
    true
}

/// Whether the entry with key `other` is no rival, or is turned back, which it may be where it stands `higher`.
#[inline(always)]
fn gives_way<B: Bucket>(
    bucket: B,
    way: usize,
    other: Key,
    higher: bool,
    standing: &impl Fn(Key, Meta) -> Standing,
) -> bool {
    let meta = bucket.meta(way);
    // An entry that is free or claimed becomes pending only later, and its maker then sees this one. So it is with an
    // entry whose key has just become another.
    if !matches!(meta.phase(), Phase::Pending | Phase::Live) || bucket.key(way) != other {
        return true;
    }
    let after = match (standing(other, meta), meta.phase()) {
        (Standing::Other, _) => return true,
        (Standing::Rival, Phase::Live) => return false,
        (Standing::Rival | Standing::Spent, Phase::Pending) if !higher => return false,
        (Standing::Rival | Standing::Spent, Phase::Pending) => meta.in_phase(Phase::Claimed),
        (Standing::Spent, _) | (Standing::Rival, _) => meta.freed(),
    };
    // Where it has changed, it has been given back, or has become live.
    bucket.exchange(way, meta, after) || !bucket.meta(way).is_live()
}

#[inline(always)]
fn bucket_of<B: Bucket>(buckets: [B; 2], place: usize) -> B {
    let [first, second] = buckets;
    if place < WAYS { first } else { second }
}
