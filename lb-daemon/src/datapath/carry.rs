//! Carries the connections of one flow table over into another that has more buckets or fewer, or another layout, while the program
//! uses the one and then the other. The rules are those of the flow table: each entry is changed by one exchange.
//!
//! What is made or changed while the whole table is copied has a mark, and is copied again by that. An entry that goes in the old
//! table meanwhile stays in the new one until it is due.

use lb_common::{
    IPPROTO_TCP, IPPROTO_UDP,
    flow_table::{
        Bucket as _, Key, MARKS, Meta, Places, Rank, Shared, SharedMarks, Standing, WAYS, bucket_capacity,
        insert, rank, worst,
    },
};

use super::{Clock, FlowTable};
use crate::sync::record::Server;

/// A flow table that another takes the place of.
pub(super) trait Source {
    /// How many buckets it has.
    fn buckets(&self) -> usize;

    /// Connections that it is made for.
    fn capacity(&self) -> u64;

    /// Shows every connection of a bucket, below [`buckets`](Self::buckets). An entry that changes meanwhile is left out.
    fn connections(&self, bucket: usize, show: &mut dyn FnMut(Key, Meta));

    /// Shows the buckets that have changed since this was asked last, and perhaps others. What is read of a bucket from then on is
    /// newer than the mark that it was shown for.
    fn changed(&self, show: &mut dyn FnMut(usize));
}

impl<T: FlowTable> Source for T {
    fn buckets(&self) -> usize {
        FlowTable::buckets(self).len()
    }

    fn capacity(&self) -> u64 {
        u32::try_from(Source::buckets(self)).map_or(u64::MAX, |buckets| bucket_capacity(buckets).into())
    }

    fn connections(&self, bucket: usize, show: &mut dyn FnMut(Key, Meta)) {
        let bucket = FlowTable::buckets(self).get(bucket);
        for (_, key, meta) in bucket.into_iter().flat_map(Shared::entries) {
            show(key, meta);
        }
    }

    fn changed(&self, show: &mut dyn FnMut(usize)) {
        take_marks(self.changes(), show);
    }
}

/// Takes the marks of a table: the numbers of its buckets that have changed.
pub(super) fn take_marks(marks: &[SharedMarks], show: &mut dyn FnMut(usize)) {
    for (value, marks) in marks.iter().enumerate() {
        marks.take().for_each(|number| show(value * MARKS + number));
    }
}

/// From one table to another of the same real servers, and of the same last hops where the one knows any.
pub(super) struct Carry<'a> {
    from: &'a dyn Source,
    to: &'a dyn FlowTable,
    clock: Clock,
    /// Whether packets use the new table: what they have written there is newer.
    in_use: bool,
}

impl<'a> Carry<'a> {
    /// Into a table that no packet uses yet.
    pub(super) fn new(from: &'a dyn Source, to: &'a dyn FlowTable, clock: Clock) -> Self {
        Self { from, to, clock, in_use: false }
    }

    /// From now on packets use the new table.
    pub(super) fn is_in_use(&mut self) {
        self.in_use = true;
    }

    /// Copies every connection; how many there are.
    pub(super) fn everything(&self) -> u64 {
        // Taken first: what changes from here on has a mark that is found.
        self.from.changed(&mut |_| {});
        (0..self.from.buckets()).map(|bucket| self.bucket(bucket)).sum()
    }

    /// Copies what has changed since; how many buckets that were.
    pub(super) fn changes(&self) -> usize {
        let mut changed = 0;
        self.from.changed(&mut |bucket| {
            changed += 1;
            self.bucket(bucket);
        });
        changed
    }

    /// Copies the connections of a bucket; how many those are.
    fn bucket(&self, bucket: usize) -> u64 {
        let mut count = 0;
        self.from.connections(bucket, &mut |key, meta| {
            if let Some(server) = Server::of_entry(self.to, key, meta)
                && self.clock.timeouts.remaining(meta, self.clock.now) > 0
            {
                count += 1;
                self.put(key, meta, &server);
            }
        });
        count
    }

    fn put(&self, key: Key, meta: Meta, server: &Server) {
        let protocol = if meta.is_udp() { IPPROTO_UDP } else { IPPROTO_TCP };
        let Some(both) = self.buckets(key, protocol) else { return };
        for bucket in both {
            for (way, other, its) in bucket.entries() {
                if other == key && its.is_of(protocol) && its.generation() == meta.generation() {
                    // One that has changed has been used in the new table.
                    if !self.in_use || self.is_later(meta, its) {
                        bucket.exchange(way, its, meta);
                    }
                    return;
                }
            }
        }
        let standing = |other: Key, its: Meta| match Server::of_entry(self.to, other, its) {
            Some(its_server) if !its_server.conflicts(server) => Standing::Other,
            Some(_) if self.in_use => Standing::Rival,
            Some(_) | None => Standing::Spent,
        };
        let rank = |meta| rank(meta, &self.clock.timeouts, self.clock.now);
        let give_up = || {
            let (place, _) = worst(both, rank)?;
            let meta = both.get(place / WAYS)?.meta(place % WAYS);
            // It may have become another one since it was chosen.
            (rank(meta) > Rank::PROTECTED).then_some((place, meta))
        };
        // Where it finds no room, or a rival that packets have made, it is left behind.
        let _ = insert(both, key, meta, give_up, standing);
    }

    fn is_later(&self, meta: Meta, than: Meta) -> bool {
        let now = self.clock.now;
        now.since(meta.seen()) < now.since(than.seen())
    }

    fn buckets(&self, key: Key, protocol: u8) -> Option<[&'a Shared; 2]> {
        let all = self.to.buckets();
        let count = u32::try_from(all.len()).ok().filter(|count| *count >= 2)?;
        let places = Places::of(key.client(), protocol, &self.to.hash_key(), count);
        Some([all.get(places.first as usize)?, all.get(places.second as usize)?])
    }
}

#[cfg(test)]
pub(super) mod tests;
