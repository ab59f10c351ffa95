//! The table that the processors share, as the daemon sees it.

use std::collections::BTreeMap;

use lb_common::{
    ConnState, IPPROTO_TCP, Real, SharedHop,
    flow_table::{Bucket as _, Client, HashKey, Key, Meta, Phase, Shared, SharedMarks, WAYS},
};
use lb_daemon::{
    connections::{self, Counts},
    datapath::{Clock, Error, FlowTable},
};
use lb_tests::{mapped::Buckets, prog::Program};

use super::super::{
    flows::timeouts,
    world::{GENERATION, World},
};
use super::crowd::{self, Crowd};

/// See [`Table::has_no_lasting_rivals`].
const LOOKS: u32 = 10;

/// The mapped table.
pub(super) struct Table {
    buckets: Buckets,
    reals: BTreeMap<u16, Real>,
    clock: Clock,
}

impl FlowTable for Table {
    fn buckets(&self) -> &[Shared] {
        self.buckets.values()
    }

    fn changes(&self) -> &[SharedMarks] {
        &[]
    }

    fn hash_key(&self) -> HashKey {
        HashKey::default()
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

impl Table {
    pub(super) fn new(world: &World, reals: &[(u16, Real)]) -> Self {
        let buckets = world.program.mapped_flows().unwrap();
        assert_eq!(buckets.values().len(), 2, "all connections share two buckets");
        // Nothing lives so short that the clock would have to go on during the test.
        let clock = Clock { now: world.program.now().unwrap(), timeouts: timeouts(), ..Clock::default() };
        Self { buckets, reals: reals.iter().copied().collect(), clock }
    }

    /// Counts, as the daemon does once a second; nothing is due.
    pub(super) fn survey(&self) -> connections::Survey {
        let survey = connections::survey(self, &self.clock);
        assert_eq!(survey.forgotten, 0, "nothing was due");
        survey
    }

    /// The daemon forgets what is half-open or closed, as if its time had passed. To the program all is alive.
    pub(super) fn forget_what_is_not_established(&self) {
        connections::survey(self, &self.later());
    }

    /// The part of that survey which forgets, without its counts, which take longer than a duel; how many it forgot.
    pub(super) fn expire(&self) -> usize {
        let Clock { now, timeouts, .. } = self.later();
        let mut forgotten = 0;
        for bucket in self.buckets() {
            for (way, _, meta) in bucket.entries() {
                let is_due = timeouts.remaining(meta, now) == 0;
                forgotten += usize::from(is_due && bucket.exchange(way, meta, meta.freed()));
            }
        }
        forgotten
    }

    fn later(&self) -> Clock {
        let mut clock = self.clock;
        for state in [ConnState::SynRecv, ConnState::Close] {
            clock.timeouts.0[state as usize] = 0;
        }
        clock
    }

    /// Empties the table, but for so many established connections of a stranger.
    pub(super) fn fill(&self, strangers: usize, program: &Program) {
        let meta = Meta::new(IPPROTO_TCP, ConnState::Established, program.now().unwrap(), GENERATION, 0);
        let (client, real) = ([198, 51, 100, 1], crowd::index(0, 1));
        let places = self.buckets().iter().flat_map(|bucket| (0..WAYS).map(move |way| (bucket, way)));
        for (number, (bucket, way)) in (0..).zip(places) {
            assert!(bucket.exchange(way, bucket.meta(way), Meta::FREE));
            if usize::from(number) < strangers {
                bucket.store_key(way, Key::new(Client::new(client, number), real));
                assert!(bucket.exchange(way, Meta::FREE, meta.in_phase(Phase::Live)));
            }
        }
    }

    /// Real server and state of each connection that the client with this port has; only for quiet moments.
    pub(super) fn of(&self, port: u16) -> Vec<(u16, ConnState)> {
        let own = self.connections().into_iter().filter(|(key, _)| key.client().port() == port);
        own.map(|(key, meta)| (key.real(), meta.state())).collect()
    }

    /// Every connection, at about this moment.
    pub(super) fn connections(&self) -> Vec<(Key, Meta)> {
        self.placed().into_iter().map(|(_, connection)| connection).collect()
    }

    /// The same, each with the numbers of its bucket and of its place there.
    fn placed(&self) -> Vec<([usize; 2], (Key, Meta))> {
        let buckets = self.buckets().iter().enumerate();
        let all = buckets.flat_map(|(number, bucket)| {
            bucket.entries().map(move |(way, key, meta)| ([number, way], (key, meta)))
        });
        all.collect()
    }

    /// While the table changes: no two rivals stand in all of so many looks that none can have come and gone each time.
    pub(super) fn has_no_lasting_rivals(&self) {
        let mut lasting = self.placed();
        for _ in 0..LOOKS {
            let connections: Vec<_> = lasting.iter().map(|(_, connection)| *connection).collect();
            if connections.iter().all(|(key, _)| self.rivals(*key, &connections) == 0) {
                return;
            }
            // By place, too: one that has moved meanwhile is seen twice in one look.
            let now = self.placed();
            lasting.retain(|connection| now.contains(connection));
        }
        panic!("a client has two connections: {lasting:?}");
    }

    /// What must be true while nobody changes the table.
    pub(super) fn is_sound(&self, crowd: &Crowd) {
        for bucket in self.buckets() {
            for way in 0..WAYS {
                let phase = bucket.meta(way).phase();
                assert!(matches!(phase, Phase::Free | Phase::Live), "an entry was left {phase:?}");
            }
        }
        let connections = self.connections();
        for (key, _) in &connections {
            assert_eq!(self.rivals(*key, &connections), 0, "{key:?} has a rival: {connections:?}");
        }
        self.protects(crowd, &connections);
        let mut counts: BTreeMap<u32, Counts> = BTreeMap::new();
        for (key, meta) in connections {
            let counts = counts.entry(key.real().into()).or_default();
            if meta.state().is_active() { counts.active += 1 } else { counts.inactive += 1 }
        }
        assert_eq!(self.survey().counts, counts, "the survey counts what is there");
    }

    /// All other clients have closed their connections, and the daemon has forgotten them.
    pub(super) fn has_only_protected_connections(&self, crowd: &Crowd) {
        let connections = self.connections();
        assert_eq!(connections.len(), crowd.protected().count(), "{connections:?}");
        self.protects(crowd, &connections);
        let counted: u64 = self.survey().counts.values().map(|counts| counts.active + counts.inactive).sum();
        assert_eq!(counted, connections.len() as u64);
    }

    fn protects(&self, crowd: &Crowd, connections: &[(Key, Meta)]) {
        for (client, real) in crowd.protected() {
            let own: Vec<_> = connections.iter().filter(|(key, _)| key.client() == client).collect();
            assert!(
                matches!(own[..], [(key, meta)] if key.real() == real && meta.state() == ConnState::Established),
                "{client:?} had one connection to {real}: {own:?}"
            );
        }
        assert!(connections.iter().all(|(key, _)| {
            crowd.comes_and_goes(key.client()) || crowd.protected().any(|(client, _)| client == key.client())
        }));
    }

    /// Rivals of a connection among all, itself not counted.
    fn rivals(&self, key: Key, connections: &[(Key, Meta)]) -> usize {
        connections.iter().filter(|(other, _)| self.are_rivals(key, *other)).count() - 1
    }

    /// Whether two connections must not stand side by side: one client, and one service or one machine.
    fn are_rivals(&self, one: Key, other: Key) -> bool {
        let [one_real, other_real] = [one, other].map(|key| self.reals[&key.real()]);
        one.client() == other.client()
            && (one_real.virtual_address == other_real.virtual_address
                || one_real.address == other_real.address)
    }
}
