//! One record becomes a change of the flow table, under the rules that packets change it by.

use lb_common::{
    IPPROTO_TCP, IPPROTO_UDP,
    flow_table::{
        self, Bucket as _, Client, HashKey, Key, Meta, Places, Rank, Shared, Standing, WAYS, insert, worst,
    },
};

use super::{listed::Place, servers::Servers};
use crate::{
    datapath::{Clock, FlowTable},
    last_hops,
    sync::{
        record::{Condition, Record, Server},
        segments::Segments,
    },
};

/// Times that a record is tried when a packet changes the same entry.
const TRIES: usize = 3;

/// Why a record is not in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Refusal {
    /// This router has no such real server.
    UnknownServer,
    /// It is of a service that this router is active for.
    ActiveHere,
    /// The connection, or one that would be taken for it, was used here later than at the peer.
    UsedHere,
    /// Its buckets are full of connections that must stay.
    TableFull,
    /// Packets changed its entry again and again.
    Contended,
    /// So old that it is due.
    Expired,
}

/// Applies records at one moment.
pub(super) struct Apply<'a> {
    table: &'a dyn FlowTable,
    clock: &'a Clock,
    segments: &'a Segments,
    servers: &'a mut Servers,
}

/// Two buckets with their numbers.
struct Buckets<'a> {
    places: Places,
    both: [&'a Shared; 2],
}

/// An entry of the client.
struct Entry {
    place: usize,
    key: Key,
    meta: Meta,
    server: Server,
}

impl Refusal {
    /// Its name in status.
    pub const fn name(self) -> &'static str {
        match self {
            Self::UnknownServer => "unknown_server",
            Self::ActiveHere => "active_here",
            Self::UsedHere => "used_here",
            Self::TableFull => "table_full",
            Self::Contended => "contended",
            Self::Expired => "expired",
        }
    }
}

impl<'a> Apply<'a> {
    pub(super) fn new(
        table: &'a dyn FlowTable,
        clock: &'a Clock,
        segments: &'a Segments,
        servers: &'a mut Servers,
    ) -> Self {
        Self { table, clock, segments, servers }
    }

    /// Applies a record whose age was taken `held_ms` milliseconds ago. Where it stands then; `None` where it was to go.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(super) fn record(&mut self, record: &Record, held_ms: u32) -> Result<Option<Place>, Refusal> {
        let Record { client, server, condition, neighbour } = *record;
        if !self.segments.are_heard(server.virtual_address) {
            return Err(Refusal::ActiveHere);
        }
        let buckets = self.buckets(client, server.protocol).ok_or(Refusal::TableFull)?;
        let Some(condition) = condition.map(|condition| condition.after(held_ms)) else {
            return self.remove(&buckets, client, &server).map(|()| None);
        };
        let (slot, generation) = self.servers.slot(&server, self.table).ok_or(Refusal::UnknownServer)?;
        let hop = self.hop(&server, neighbour);
        let (key, meta) =
            (Key::new(client, slot), condition.entry(server.protocol, generation, hop, self.clock));
        if self.clock.timeouts.remaining(meta, self.clock.now) == 0 {
            // What was told of it before may live longer.
            self.remove(&buckets, client, &server)?;
            return Err(Refusal::Expired);
        }
        for _ in 0..TRIES {
            if let Some(done) = self.put(&buckets, key, meta, &server, condition) {
                return done.map(Some);
            }
        }
        Err(Refusal::Contended)
    }

    /// Tries once; `None` where it must be tried again.
    fn put(
        &self,
        buckets: &Buckets<'_>,
        key: Key,
        meta: Meta,
        server: &Server,
        condition: Condition,
    ) -> Option<Result<Place, Refusal>> {
        for entry in self.entries(buckets, key.client(), server.protocol) {
            if !entry.server.conflicts(server) {
                continue;
            }
            let is_it = entry.key == key && entry.meta.is_of_generation(meta.generation().into());
            let after = if self.yields(&entry, condition) {
                if is_it { self.later(entry.meta, meta) } else { entry.meta.freed() }
            } else if is_it && [entry.meta, meta].iter().all(|meta| meta.state().is_over(false)) {
                // Both say so, this router with the later packet. Whether there is another connection by now the peer knows, which
                // has the role since.
                entry.meta.of_peer()
            } else {
                return Some(Err(Refusal::UsedHere));
            };
            let (bucket, way) = (buckets.of(entry.place)?, entry.place % WAYS);
            if !bucket.exchange(way, entry.meta, after) {
                return None;
            }
            if is_it {
                return Some(Ok(buckets.place(entry.place)));
            }
        }
        match self.insert(buckets, key, meta, server) {
            Ok(()) => {}
            Err(flow_table::Refusal::Full) => return Some(Err(Refusal::TableFull)),
            Err(flow_table::Refusal::Rival) => return None,
        }
        let is_it = |entry: &Entry| entry.key == key && entry.server == *server;
        let entry = self.entries(buckets, key.client(), server.protocol).into_iter().find(is_it)?;
        Some(Ok(buckets.place(entry.place)))
    }

    /// Forgets a connection of the peer.
    fn remove(&self, buckets: &Buckets<'_>, client: Client, server: &Server) -> Result<(), Refusal> {
        let entries = self.entries(buckets, client, server.protocol);
        let Some(entry) = entries.into_iter().find(|entry| entry.server == *server) else { return Ok(()) };
        let gone = |bucket: &&Shared| bucket.exchange(entry.place % WAYS, entry.meta, entry.meta.freed());
        let is_peers = entry.meta.is_peers();
        // One that has changed has been used here.
        if is_peers && buckets.of(entry.place).filter(gone).is_some() {
            Ok(())
        } else {
            Err(Refusal::UsedHere)
        }
    }

    /// Whether what the peer says of a connection replaces an entry: the later use of the two decides, and of equal ones the
    /// active router's.
    fn yields(&self, entry: &Entry, condition: Condition) -> bool {
        let is_due = self.clock.timeouts.remaining(entry.meta, self.clock.now) == 0;
        let age = self.clock.now.since(entry.meta.seen());
        let told = self.clock.now.since(self.clock.before(condition.age_ms));
        is_due || entry.meta.is_peers() || told <= age
    }

    /// The later one of two uses of the same connection, as the peer tells of it: replies may have passed here since.
    fn later(&self, here: Meta, told: Meta) -> Meta {
        let now = self.clock.now;
        // Of two numbers for the way back, one that is known.
        let told = if told.hop() == 0 { told.with_hop(here.hop()).of_peer() } else { told };
        if now.since(here.seen()) >= now.since(told.seen()) {
            told.in_phase(flow_table::Phase::Live).not_before(here.seen())
        } else {
            here.used(told.state(), here.seen()).with_hop(told.hop()).of_peer()
        }
    }

    fn insert(
        &self,
        buckets: &Buckets<'_>,
        key: Key,
        meta: Meta,
        server: &Server,
    ) -> Result<(), flow_table::Refusal> {
        let (timeouts, now) = (&self.clock.timeouts, self.clock.now);
        let standing = |other: Key, its: Meta| match Server::of_entry(self.table, other, its) {
            Some(its_server) if !its_server.conflicts(server) => Standing::Other,
            Some(_) if timeouts.remaining(its, now) > 0 => Standing::Rival,
            Some(_) | None => Standing::Spent,
        };
        let rank = |meta| flow_table::rank(meta, timeouts, now);
        let give_up = || {
            let (place, _) = worst(buckets.both, rank)?;
            let meta = buckets.of(place)?.meta(place % WAYS);
            // It may have become another one since it was chosen.
            (rank(meta) > Rank::PROTECTED).then_some((place, meta))
        };
        insert(buckets.both, key, meta, give_up, standing)
    }

    /// The client's connections of a protocol, with real servers that are not gone.
    fn entries(&self, buckets: &Buckets<'_>, client: Client, protocol: u8) -> Vec<Entry> {
        let of_client = |(bucket, number): (&Shared, usize)| {
            let mine =
                bucket.entries().filter(|(_, key, meta)| key.client() == client && meta.is_of(protocol));
            mine.map(|(way, key, meta)| (number * WAYS + way, key, meta)).collect::<Vec<_>>()
        };
        let all = buckets.both.into_iter().zip(0..).flat_map(of_client);
        all.filter_map(|(place, key, meta)| {
            Server::of_entry(self.table, key, meta).map(|server| Entry { place, key, meta, server })
        })
        .collect()
    }

    /// The number of the neighbour that the client's packets come from; 0 where it is not known.
    fn hop(&self, server: &Server, neighbour: [u8; 6]) -> u16 {
        let HashKey([secret, ..]) = self.table.hash_key();
        let hop = self.segments.last_hop(server.virtual_address, neighbour);
        hop.map_or(0, |hop| last_hops::number_of(self.table.last_hops(), &hop, secret))
    }

    fn buckets(&self, client: Client, protocol: u8) -> Option<Buckets<'a>> {
        debug_assert!(matches!(protocol, IPPROTO_TCP | IPPROTO_UDP));
        let all = self.table.buckets();
        let count = u32::try_from(all.len()).ok().filter(|count| *count >= 2)?;
        let places = Places::of(client, protocol, &self.table.hash_key(), count);
        let both = [all.get(places.first as usize)?, all.get(places.second as usize)?];
        Some(Buckets { places, both })
    }
}

impl<'a> Buckets<'a> {
    fn of(&self, place: usize) -> Option<&'a Shared> {
        self.both.get(place / WAYS).copied()
    }

    const fn place(&self, place: usize) -> Place {
        let bucket = if place < WAYS { self.places.first } else { self.places.second };
        Place { bucket, way: place % WAYS }
    }
}
