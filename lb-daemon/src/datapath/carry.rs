//! Carries the connections of one flow table over into another that has more buckets or fewer, while the program uses the one and
//! then the other. The rules are those of the flow table: each entry is changed by one exchange.
//!
//! What is made or changed while the whole table is copied has a mark, and is copied again by that. An entry that goes in the old
//! table meanwhile stays in the new one until it is due.

use lb_common::{
    IPPROTO_TCP, IPPROTO_UDP,
    flow_table::{Bucket as _, Key, MARKS, Meta, Places, Rank, Shared, Standing, WAYS, insert, rank, worst},
};

use super::{Clock, FlowTable};
use crate::sync::record::Server;

/// From one table to another of the same secret and the same real servers.
pub(super) struct Carry<'a> {
    from: &'a dyn FlowTable,
    to: &'a dyn FlowTable,
    clock: Clock,
    /// Whether packets use the new table: what they have written there is newer.
    in_use: bool,
}

impl<'a> Carry<'a> {
    /// Into a table that no packet uses yet.
    pub(super) fn new(from: &'a dyn FlowTable, to: &'a dyn FlowTable, clock: Clock) -> Self {
        Self { from, to, clock, in_use: false }
    }

    /// From now on packets use the new table.
    pub(super) fn is_in_use(&mut self) {
        self.in_use = true;
    }

    /// Copies every connection; how many there are.
    pub(super) fn everything(&self) -> u64 {
        // Taken first: what changes from here on has a mark that is found.
        for marks in self.from.changes() {
            marks.take().for_each(drop);
        }
        self.from.buckets().iter().map(|bucket| self.bucket(bucket)).sum()
    }

    /// Copies what has changed since; how many buckets that were.
    pub(super) fn changes(&self) -> usize {
        let mut changed = 0;
        for (value, marks) in self.from.changes().iter().enumerate() {
            for number in marks.take() {
                changed += 1;
                if let Some(bucket) = self.from.buckets().get(value * MARKS + number) {
                    self.bucket(bucket);
                }
            }
        }
        changed
    }

    /// Copies the connections of a bucket; how many those are.
    fn bucket(&self, bucket: &Shared) -> u64 {
        let mut count = 0;
        for (_, key, meta) in bucket.entries() {
            if let Some(server) = Server::of_entry(self.from, key, meta)
                && self.clock.timeouts.remaining(meta, self.clock.now) > 0
            {
                count += 1;
                self.put(key, meta, &server);
            }
        }
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
mod tests;
