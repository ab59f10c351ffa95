//! What the peer has been told of each entry: the flow table as it was, beside the flow table as it is.

use lb_common::{
    ConnState, IPPROTO_TCP, IPPROTO_UDP, SharedHop,
    flow_table::{Client, Key, Meta, Places, WAYS},
};

use crate::{
    datapath::{Clock, FlowTable},
    sync::{
        record::{Condition, Record, Server},
        segments::Segments,
    },
};

/// Records that one bucket can take: every entry is another one, and each that went was one of a client with as many other
/// connections in its other bucket.
pub(super) const MOST: usize = WAYS + WAYS * WAYS + WAYS;

/// An entry as it was told; `Meta::FREE` where nothing was.
type Told = (Key, Meta);

/// Nothing.
const NOTHING: Told = (Key::from_word(0), Meta::FREE);

/// As large as the flow table, in the words of its entries: of zeros the system gives as many as are touched, so that a large
/// one is made at once.
#[derive(Debug)]
pub(super) struct Shadow(Vec<[[u64; 2]; WAYS]>);

/// What a comparison needs to know.
pub(super) struct View<'a> {
    pub(super) table: &'a dyn FlowTable,
    pub(super) clock: &'a Clock,
    pub(super) segments: &'a Segments,
    pub(super) half_open: bool,
}

impl Shadow {
    /// Nothing has been told.
    pub(super) fn new(buckets: usize) -> Self {
        Self(vec![[[0; 2]; WAYS]; buckets])
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.0.len());
    }

    /// Buckets of the table.
    pub(super) fn buckets(&self) -> usize {
        self.0.len()
    }

    /// Adds what the peer has not heard of a bucket: first the flows that are no more, lest one of them takes the place of
    /// another. At most [`MOST`] records.
    pub(super) fn compare(&mut self, bucket: u32, view: &View<'_>, records: &mut Vec<Record>) {
        let Some(entries) = view.table.buckets().get(bucket as usize) else { return };
        let mut present = [NOTHING; WAYS];
        for (way, key, meta) in entries.entries() {
            // What is due is as good as gone, and nobody may have removed it yet.
            if view.clock.timeouts.remaining(meta, view.clock.now) > 0
                && let Some(slot) = present.get_mut(way)
            {
                *slot = (key, meta);
            }
        }
        for (way, entry) in present.iter().enumerate() {
            self.forget_other(bucket, way, *entry, view, records);
        }
        let Some(told) = self.0.get_mut(bucket as usize) else { return };
        for (told, (key, meta)) in told.iter_mut().zip(present) {
            if is_news(of_words(*told), meta, view)
                && let Some(record) = record(key, meta, view)
            {
                *told = [key.word(), meta.word()];
                records.push(record);
            }
        }
    }

    /// Where another connection was told of than stands there now, tells that it is no more.
    fn forget_other(
        &mut self,
        bucket: u32,
        way: usize,
        present: Told,
        view: &View<'_>,
        records: &mut Vec<Record>,
    ) {
        let Some(told) = self.0.get_mut(bucket as usize).and_then(|told| told.get_mut(way)) else { return };
        let (key, meta) = of_words(*told);
        if meta == Meta::FREE || is_same((key, meta), present) {
            return;
        }
        *told = [0; 2];
        // What is due is due there too. Of a real server that is gone, each router forgets the connections by itself.
        if view.clock.timeouts.remaining(meta, view.clock.now) == 0 {
            return;
        }
        let Some(server) = Server::of_entry(view.table, key, meta) else { return };
        records.push(Record { client: key.client(), server, condition: None, neighbour: [0; 6] });
        self.repeat_others(bucket, key.client(), meta, view, records);
    }

    /// The connection that went may have come back in its other bucket, and have been told of there already: it is told
    /// again, after the removal.
    fn repeat_others(
        &self,
        bucket: u32,
        client: Client,
        gone: Meta,
        view: &View<'_>,
        records: &mut Vec<Record>,
    ) {
        let protocol = if gone.is_udp() { IPPROTO_UDP } else { IPPROTO_TCP };
        let buckets = u32::try_from(self.0.len()).unwrap_or(u32::MAX);
        let Places { first, second } = Places::of(client, protocol, &view.table.hash_key(), buckets);
        let other = if first == bucket { second } else { first };
        let told = self.0.get(other as usize).into_iter().flatten();
        for (key, meta) in told.map(|words| of_words(*words)) {
            if meta != Meta::FREE && key.client() == client && meta.is_udp() == gone.is_udp() {
                records.extend(record(key, meta, view));
            }
        }
    }
}

const fn of_words([key, meta]: [u64; 2]) -> Told {
    (Key::from_word(key), Meta::from_word(meta))
}

/// Whether an entry is the connection that was told of.
fn is_same((key, meta): Told, (present_key, present): Told) -> bool {
    present != Meta::FREE
        && key == present_key
        && meta.is_udp() == present.is_udp()
        && meta.generation() == present.generation()
}

/// Whether an entry says something that the peer must hear. `told` is of the same connection, or nothing.
fn is_news((_, told): Told, present: Meta, view: &View<'_>) -> bool {
    if present == Meta::FREE {
        return false;
    }
    if told == Meta::FREE {
        return is_worth_telling(present, view.half_open);
    }
    // Its last use moves on all the time. The peer may take it for older than it is, but not by so much that it could
    // forget it.
    let moved = present.seen().since(told.seen());
    let lifetime = view.clock.timeouts.0.get(usize::from(present.state_number())).copied().unwrap_or(0);
    present.state() != told.state()
        || present.hop() != told.hop()
        || present.is_confirmed() != told.is_confirmed() && present.is_udp()
        || moved > lifetime / 8
}

/// Whether a connection that the peer does not know is of any use to it.
fn is_worth_telling(meta: Meta, half_open: bool) -> bool {
    match meta.state() {
        // Over before the peer heard of it.
        ConnState::Close | ConnState::TimeWait => false,
        ConnState::None | ConnState::SynRecv | ConnState::SynSent | ConnState::SynAck => half_open,
        ConnState::Udp => half_open || meta.is_confirmed(),
        ConnState::Established
        | ConnState::FinWait
        | ConnState::CloseWait
        | ConnState::LastAck
        | ConnState::Listen => true,
    }
}

/// What the peer hears of an entry; `None` where its real server is gone, or it is the peer that tells of such.
fn record(key: Key, meta: Meta, view: &View<'_>) -> Option<Record> {
    let server = Server::of_entry(view.table, key, meta)
        .filter(|server| view.segments.are_told(server.virtual_address))?;
    let hop = view.table.last_hops().get(usize::from(meta.hop())).map(SharedHop::read).unwrap_or_default();
    Some(Record {
        client: key.client(),
        server,
        condition: Some(Condition::of(meta, view.clock)),
        neighbour: view.segments.neighbour(server.virtual_address, &hop),
    })
}
