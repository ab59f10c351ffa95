//! A flow table of any size, with somebody who plays the program.

use std::collections::BTreeMap;

use lb_common::{
    ConnState, IPPROTO_TCP, IPPROTO_UDP, Method, Real, RealState, SharedHop,
    flow_table::{
        Bucket as _, Client, HashKey, Key, MARKS, Meta, Places, Shared, SharedMarks, Stamp, Standing, find,
        insert,
    },
};

use crate::{
    connections,
    datapath::{Clock, Error, FlowTable},
    sync::record::{Condition, Server},
};

/// The last hop of clients whose packets were seen here.
const HOP: u16 = 12;

/// A flow table and what goes with it.
pub(in crate::sync) struct Table {
    buckets: Vec<Shared>,
    changes: Vec<SharedMarks>,
    reals: BTreeMap<u16, Real>,
    key: HashKey,
    pub(in crate::sync) clock: Clock,
}

/// Live flows, each with its state.
pub(in crate::sync) type Flows = BTreeMap<(Client, Server), ConnState>;

/// A client.
pub(in crate::sync) fn client(number: u16) -> Client {
    Client::new([198, 51, 100, (number % 7) as u8], 40_000 + number)
}

/// A real server of a TCP service by NAT.
pub(in crate::sync) fn server(number: u16) -> Server {
    let [high, low] = number.to_be_bytes();
    Server {
        protocol: IPPROTO_TCP,
        virtual_address: [192, 0, 2, 1],
        virtual_port: 80,
        address: [10, 0, high, low],
        port: 8080,
        method: Method::Nat,
    }
}

/// One of a UDP service by direct routing, with the same addresses.
pub(in crate::sync) fn udp_server(number: u16) -> Server {
    Server { protocol: IPPROTO_UDP, method: Method::Direct, ..server(number) }
}

/// One of a second TCP service with the same real servers.
pub(in crate::sync) fn other_service(number: u16) -> Server {
    Server { virtual_port: 443, ..server(number) }
}

impl Table {
    /// An empty table of so many buckets, at least two.
    pub(in crate::sync) fn new(buckets: usize) -> Self {
        Self {
            buckets: (0..buckets).map(|_| Shared::default()).collect(),
            changes: (0..buckets.div_ceil(MARKS)).map(|_| SharedMarks::default()).collect(),
            reals: BTreeMap::new(),
            key: HashKey([buckets as u64, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0]),
            clock: Clock { now: Stamp::new(1000), ..Clock::default() },
        }
    }

    /// Gives a slot to a server.
    pub(in crate::sync) fn own(&mut self, slot: u16, server: Server, generation: u32) {
        let real = Real {
            address: server.address,
            port: server.port,
            method: server.method as u8,
            state: RealState::Up as u8,
            generation,
            virtual_address: server.virtual_address,
            virtual_port: server.virtual_port,
            protocol: server.protocol,
            ..Real::default()
        };
        self.reals.insert(slot, real);
    }

    /// A packet opens a connection, which any other of the client with the service must not stand in the way of.
    pub(in crate::sync) fn open(&self, client: Client, server: Server, state: ConnState) -> bool {
        let mut owners = self.reals.iter();
        let Some((slot, real)) = owners.find(|(_, real)| Server::of(real) == Some(server)) else {
            return false;
        };
        let meta = Meta::new(server.protocol, state, self.clock.now, real.generation, HOP);
        let standing = |key: Key, meta: Meta| match Server::of_entry(self, key, meta) {
            Some(other) if other.conflicts(&server) => Standing::Rival,
            _ => Standing::Other,
        };
        let made =
            insert(self.pair(client, server.protocol), Key::new(client, *slot), meta, || None, standing);
        self.mark(client, server.protocol);
        made.is_ok()
    }

    /// A packet gives every connection of the client another state.
    pub(in crate::sync) fn change(&self, client: Client, state: ConnState) {
        self.used(client, |meta| if meta.is_udp() { ConnState::Udp } else { state });
        [IPPROTO_TCP, IPPROTO_UDP].into_iter().for_each(|protocol| self.mark(client, protocol));
    }

    /// A packet that changes no state, and leaves no mark.
    pub(in crate::sync) fn use_silently(&self, client: Client) {
        self.used(client, Meta::state);
    }

    fn used(&self, client: Client, state: impl Fn(Meta) -> ConnState) {
        for bucket in &self.buckets {
            for (way, _, meta) in bucket.entries().filter(|(_, key, _)| key.client() == client) {
                bucket.exchange(way, meta, meta.used(state(meta), self.clock.now).with_hop(HOP));
            }
        }
    }

    /// The program forgets the client's connection of a protocol.
    pub(in crate::sync) fn remove(&self, client: Client, protocol: u8) {
        let its = |key: Key, meta: Meta| meta.is_of(protocol).then_some(key);
        let buckets = self.pair(client, protocol);
        if let Some(found) = find(|number| Some(buckets[number]), client, its) {
            found.bucket.exchange(found.way, found.meta, found.meta.freed());
        }
        self.mark(client, protocol);
    }

    /// What the daemon does once a second: it leaves no marks.
    pub(in crate::sync) fn survey(&self) {
        connections::survey(self, &self.clock);
    }

    /// All live flows.
    pub(in crate::sync) fn flows(&self) -> Flows {
        self.entries().map(|(client, server, meta)| ((client, server), meta.state())).collect()
    }

    /// All live entries.
    pub(in crate::sync) fn entries(&self) -> impl Iterator<Item = (Client, Server, Meta)> {
        let all = self.buckets.iter().flat_map(Shared::entries);
        let alive = all.filter(|(_, _, meta)| self.clock.timeouts.remaining(*meta, self.clock.now) > 0);
        alive.filter_map(|(_, key, meta)| Some((key.client(), Server::of_entry(self, key, meta)?, meta)))
    }

    /// State of the client's first connection.
    pub(in crate::sync) fn state(&self, client: Client) -> Option<ConnState> {
        self.entries().find(|(one, ..)| *one == client).map(|(_, _, meta)| meta.state())
    }

    /// Seconds since its last use.
    pub(in crate::sync) fn age_secs(&self, client: Client) -> Option<u32> {
        let (_, _, meta) = self.entries().find(|(one, ..)| *one == client)?;
        Some(Condition::of(meta, &self.clock).age_ms / 1000)
    }

    fn places(&self, client: Client, protocol: u8) -> Places {
        Places::of(client, protocol, &self.key, self.buckets.len() as u32)
    }

    fn pair(&self, client: Client, protocol: u8) -> [&Shared; 2] {
        let Places { first, second } = self.places(client, protocol);
        [&self.buckets[first as usize], &self.buckets[second as usize]]
    }

    fn mark(&self, client: Client, protocol: u8) {
        let Places { first, second } = self.places(client, protocol);
        for bucket in [first as usize, second as usize] {
            self.changes[bucket / MARKS].set(bucket % MARKS);
        }
    }
}

impl FlowTable for Table {
    fn buckets(&self) -> &[Shared] {
        &self.buckets
    }

    fn changes(&self) -> &[SharedMarks] {
        &self.changes
    }

    fn hash_key(&self) -> HashKey {
        self.key
    }

    fn real(&self, index: u16) -> Option<Real> {
        self.reals.get(&index).copied()
    }

    fn last_hops(&self) -> &[SharedHop] {
        &[]
    }

    fn clock(&self) -> Result<Clock, Error> {
        Ok(self.clock)
    }
}
