//! What a full transfer has listed: at its end, what the peer told of once and does not have any more goes.

use std::ops::Range;

use lb_common::flow_table::{Bucket as _, WAYS};

use crate::{
    datapath::FlowTable,
    sync::{record::Server, segments::Segments},
};

/// A place in the flow table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) bucket: u32,
    pub(super) way: usize,
}

/// A bit for each entry.
#[derive(Debug)]
pub(super) struct Listed(Vec<u8>);

const _: () = assert!(WAYS == 8);

impl Listed {
    /// Nothing is listed of a table of so many buckets.
    pub(super) fn new(buckets: usize) -> Self {
        Self(vec![0; buckets])
    }

    /// An entry is listed.
    pub(super) fn add(&mut self, place: Place) {
        if let Some(bits) = self.0.get_mut(place.bucket as usize) {
            *bits |= 1 << (place.way % WAYS);
        }
    }

    /// Removes what is the peer's and not listed, in these buckets; how many entries that were. Of services that this router is
    /// active for the peer lists nothing.
    ///
    /// What is over goes as well where it was this router's: clients take their ports again, and the connections that they have
    /// since are the peer's. A late packet finds it there.
    pub(super) fn clean(&self, table: &dyn FlowTable, segments: &Segments, buckets: Range<usize>) -> u64 {
        let is_heard = |key, meta| {
            Server::of_entry(table, key, meta).is_none_or(|server| segments.are_heard(server.virtual_address))
        };
        let mut removed = 0;
        let listed = self.0.iter().zip(table.buckets()).skip(buckets.start).take(buckets.len());
        for (bits, bucket) in listed {
            for (way, key, meta) in bucket.entries() {
                let is_listed = bits & 1 << way != 0;
                // One that has been used here since is another one now, and the exchange fails.
                let goes =
                    (meta.is_peers() || meta.state().is_over(true)) && !is_listed && is_heard(key, meta);
                if goes && bucket.exchange(way, meta, meta.freed()) {
                    removed += 1;
                }
            }
        }
        removed
    }
}
