//! The flow table under threads that change two buckets at once, as processors do: the same connections are made, used, closed
//! and swept in every order that the machine comes up with.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
    thread,
};

use lb_common::{
    ConnState, IPPROTO_TCP,
    flow_table::{
        Bucket as _, Client, Found, Key, Meta, Phase, Rank, Refusal, Shared, Stamp, Standing, Timeouts, WAYS,
        find, insert, rank, worst,
    },
};

/// Threads, more than most machines have processors, so that some are interrupted anywhere.
const THREADS: u64 = 8;
/// What each does.
const STEPS: u32 = 60_000;
/// Clients: more than both buckets hold together with those that stay.
const CLIENTS: u16 = 12;
/// Real servers of the one service; a rival is of another one.
const REALS: u16 = 4;
/// Established connections that nothing may push out.
const STAYING: u16 = 8;

/// Two buckets and a clock.
struct Table {
    buckets: [Shared; 2],
    clock: AtomicU32,
    timeouts: Timeouts,
}

#[test]
fn no_connection_is_ever_there_twice_and_none_that_stands_is_lost() {
    let table =
        Table { buckets: Default::default(), clock: AtomicU32::new(1000), timeouts: Timeouts::at(250) };
    for number in 0..STAYING {
        let client = Client::new([10, 0, 0, 1], number);
        assert_eq!(table.open(client, 0, ConnState::Established), Ok(()));
    }
    let made = AtomicU64::new(0);
    let doubles = thread::scope(|scope| {
        let (table, made) = (&table, &made);
        let workers: Vec<_> = (0..THREADS).map(|seed| scope.spawn(move || work(table, seed, made))).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).sum::<u64>()
    });
    assert_eq!(doubles, 0, "a client had two connections at one moment");
    let made = made.into_inner();
    assert!(made > THREADS * 1000, "{made} connections are no stress");
    table.is_sound();
}

/// A thread that opens, uses, closes and sweeps at random; how often it saw a client with two connections.
fn work(table: &Table, seed: u64, made: &AtomicU64) -> u64 {
    let mut random = Random(seed);
    let mut doubles = 0;
    for _ in 0..STEPS {
        let client = Client::new([10, 0, 0, 2], random.below(CLIENTS.into()) as u16);
        match random.below(16) {
            0..7 => {
                let state = if random.below(2) == 0 { ConnState::SynRecv } else { ConnState::Established };
                if table.open(client, random.below(REALS.into()) as u16, state).is_ok() {
                    made.fetch_add(1, Ordering::Relaxed);
                }
            }
            7..9 => table.touch(client, ConnState::Established),
            9..11 => table.touch(client, ConnState::Close),
            11..14 => table.remove(client),
            14 => table.sweep(),
            // Seldom enough that half-open connections expire, and those that stay do not.
            _ if random.below(16) == 0 => drop(table.clock.fetch_add(1, Ordering::Relaxed)),
            _ => {}
        }
        doubles += u64::from(table.is_double(client));
    }
    doubles
}

impl Table {
    fn buckets(&self) -> [&Shared; 2] {
        self.buckets.each_ref()
    }

    fn now(&self) -> Stamp {
        Stamp::new(self.clock.load(Ordering::Relaxed))
    }

    /// As the program makes a connection: whatever the client has stands in the way while it lives.
    fn open(&self, client: Client, real: u16, state: ConnState) -> Result<(), Refusal> {
        let now = self.now();
        let meta = Meta::new(IPPROTO_TCP, state, now, 1, 0);
        let standing = |_: Key, meta: Meta| {
            if self.timeouts.remaining(meta, now) > 0 { Standing::Rival } else { Standing::Spent }
        };
        let rank = |meta| rank(meta, &self.timeouts, now);
        // Read again after it was chosen, as the program does.
        let give_up = || {
            let (place, _) = worst(self.buckets(), rank)?;
            let meta = self.buckets()[place / WAYS].meta(place % WAYS);
            (rank(meta) > Rank::PROTECTED).then_some((place, meta))
        };
        insert(self.buckets(), Key::new(client, real), meta, give_up, standing)
    }

    fn touch(&self, client: Client, state: ConnState) {
        if let Some(Found { bucket, way, meta, .. }) = self.find(client) {
            bucket.exchange(way, meta, meta.used(state, self.now()));
        }
    }

    fn remove(&self, client: Client) {
        if let Some(Found { bucket, way, meta, .. }) = self.find(client) {
            bucket.exchange(way, meta, meta.freed());
        }
    }

    /// As the daemon forgets what is closed.
    fn sweep(&self) {
        for bucket in self.buckets() {
            for (way, _, meta) in bucket.entries() {
                if meta.state() == ConnState::Close {
                    bucket.exchange(way, meta, meta.freed());
                }
            }
        }
    }

    fn find(&self, client: Client) -> Option<Found<&Shared, Key>> {
        let found = find(|number| self.buckets().get(number).copied(), client, |key, _| Some(key));
        assert!(found.as_ref().is_none_or(|found| found.key.client() == client));
        found
    }

    /// Whether two live entries of the client stand there at one moment: both are the same before and after the other was
    /// read.
    fn is_double(&self, client: Client) -> bool {
        let live = || -> BTreeMap<usize, Meta> {
            let all = self.buckets().into_iter().enumerate();
            all.flat_map(|(number, bucket)| {
                bucket.entries().map(move |(way, key, meta)| (number * WAYS + way, key, meta))
            })
            .filter(|(_, key, _)| key.client() == client)
            .map(|(place, _, meta)| (place, meta))
            .collect()
        };
        let [first, second] = [live(), live()];
        // The clock does not move within a step, so that an entry made anew may look the same: a third look tells.
        first.len() > 1 && first == second && second == live() && live() == first
    }

    /// What must be true once all threads have ended.
    fn is_sound(&self) {
        let mut clients: BTreeMap<Client, u32> = BTreeMap::new();
        for bucket in self.buckets() {
            for way in 0..WAYS {
                let meta = bucket.meta(way);
                assert!(matches!(meta.phase(), Phase::Free | Phase::Live), "{meta:?} was left behind");
                if meta.is_live() {
                    *clients.entry(bucket.key(way).client()).or_default() += 1;
                }
            }
        }
        assert!(clients.values().all(|entries| *entries == 1), "{clients:?}");
        for number in 0..STAYING {
            assert!(clients.contains_key(&Client::new([10, 0, 0, 1], number)), "{number} was pushed out");
        }
    }
}

/// The generator splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}
