//! What the flow table says of connections: how many each real server has, which entries are due to be forgotten, and
//! the list that people read.

use std::{collections::BTreeMap, net::SocketAddrV4};

use lb_common::{
    Real, RealState,
    flow_table::{Bucket as _, Key, Meta},
};

use crate::{
    api::types::{Connection, Protocol},
    datapath::{Clock, FlowTable},
    last_hops::Used,
};

/// Connections of a real server, as `ipvsadm -Ln` counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `ActiveConn`.
    pub active: u64,
    /// `InActConn`: closing or closed, and all of UDP.
    pub inactive: u64,
}

/// The flow table at a glance.
#[derive(Clone, Debug, Default)]
pub struct Survey {
    /// Counts by real server slot; one without connections is absent.
    pub counts: BTreeMap<u32, Counts>,
    /// Entries that were forgotten: expired, or of a real server that is gone.
    pub forgotten: u64,
    /// The last hops that connections name.
    pub last_hops: Used,
}

/// Counts connections, and forgets those that are due.
pub fn survey(table: &dyn FlowTable, clock: &Clock) -> Survey {
    let mut owners = Owners::new(table);
    let mut counts = vec![Counts::default(); 1 << 16];
    let mut forgotten = 0;
    let mut last_hops = Used::default();
    for bucket in table.buckets() {
        for (way, key, meta) in bucket.entries() {
            last_hops.add(meta.hop());
            if clock.timeouts.remaining(meta, clock.now) > 0 && owners.of(key, meta).is_some() {
                if let Some(counts) = counts.get_mut(usize::from(key.real())) {
                    if meta.state().is_active() { counts.active += 1 } else { counts.inactive += 1 }
                }
            } else if bucket.exchange(way, meta, meta.freed()) {
                // One that has changed since lives again.
                forgotten += 1;
            }
        }
    }
    let counts = (0..).zip(counts).filter(|(_, counts)| *counts != Counts::default()).collect();
    Survey { counts, forgotten, last_hops }
}

/// How many entries are in use.
pub fn entries(table: &dyn FlowTable) -> u64 {
    table.buckets().iter().map(|bucket| bucket.entries().count() as u64).sum()
}

/// The connections in force, in the order of the table.
pub fn list(table: &dyn FlowTable, clock: &Clock) -> Vec<Connection> {
    let mut owners = Owners::new(table);
    let mut list = Vec::new();
    // Two loops rather than one over a flattened iterator: a third of the time, and a full table has a million entries.
    for bucket in table.buckets() {
        for (_, key, meta) in bucket.entries() {
            list.extend(connection(&mut owners, key, meta, clock));
        }
    }
    list
}

/// The owners of the real server slots, read when first asked for.
struct Owners<'a> {
    table: &'a dyn FlowTable,
    /// As read last; `None` for a slot that was not, or that nobody owns.
    known: Vec<Option<Owner>>,
}

/// What connections need to know of their real server.
#[derive(Clone, Copy)]
struct Owner {
    /// Lower half of the generation.
    generation: u16,
    virtual_address: SocketAddrV4,
    destination: SocketAddrV4,
}

impl<'a> Owners<'a> {
    fn new(table: &'a dyn FlowTable) -> Self {
        Self { table, known: vec![None; 1 << 16] }
    }

    /// The entry's real server, if it is still the one that its connection was made with.
    fn of(&mut self, key: Key, meta: Meta) -> Option<Owner> {
        let known = self.known.get_mut(usize::from(key.real()))?;
        if known.is_none_or(|owner| owner.generation != meta.generation()) {
            // The slot may have got its owner, and this connection been made, since it was read.
            *known = self.table.real(key.real()).filter(is_owned).map(Owner::from);
        }
        known.filter(|owner| owner.generation == meta.generation())
    }
}

impl From<Real> for Owner {
    fn from(real: Real) -> Self {
        Self {
            generation: real.generation as u16,
            virtual_address: SocketAddrV4::new(real.virtual_address.into(), real.virtual_port),
            destination: SocketAddrV4::new(real.address.into(), real.port),
        }
    }
}

fn is_owned(real: &Real) -> bool {
    real.state != RealState::Removed as u8
}

/// A connection for people; `None` where it is due.
fn connection(owners: &mut Owners<'_>, key: Key, meta: Meta, clock: &Clock) -> Option<Connection> {
    let remaining = clock.timeouts.remaining(meta, clock.now);
    if remaining == 0 {
        return None;
    }
    let Owner { virtual_address, destination, .. } = owners.of(key, meta)?;
    let client = key.client();
    Some(Connection {
        protocol: if meta.is_udp() { Protocol::Udp } else { Protocol::Tcp },
        state: meta.state(),
        expires_secs: u32::try_from(clock.secs(remaining)).unwrap_or(u32::MAX),
        source: SocketAddrV4::new(client.address().into(), client.port()),
        virtual_address,
        destination,
    })
}

#[cfg(test)]
mod tests {
    use lb_common::{
        ConnState, IPPROTO_TCP, IPPROTO_UDP,
        flow_table::{Client, Phase, Stamp},
    };

    use super::*;
    use crate::datapath::memory::MemoryDatapath;

    #[test]
    fn connections_are_counted_as_ipvs_does() {
        let table = table();
        enter(&table, 1, IPPROTO_TCP, ConnState::Established);
        enter(&table, 2, IPPROTO_TCP, ConnState::FinWait);
        enter(&table, 3, IPPROTO_UDP, ConnState::Udp);
        let survey = survey(&table, &at(NOW));
        assert_eq!(survey.counts, BTreeMap::from([(SLOT.into(), Counts { active: 1, inactive: 2 })]));
        assert_eq!((survey.forgotten, entries(&table)), (0, 3));
    }

    #[test]
    fn an_expired_connection_is_forgotten() {
        let table = table();
        enter(&table, 1, IPPROTO_TCP, ConnState::Established);
        let timeout = at(NOW).timeouts.0[ConnState::Established as usize];
        assert_eq!(survey(&table, &at(NOW + timeout - 1)).forgotten, 0);
        let survey = survey(&table, &at(NOW + timeout));
        assert_eq!((survey.counts, survey.forgotten), (BTreeMap::new(), 1));
        assert_eq!(entries(&table), 0);
    }

    #[test]
    fn connections_of_a_server_that_is_gone_are_forgotten() {
        let changes: [fn(&mut Real); 2] =
            [|real| real.generation += 1, |real| real.state = RealState::Removed as u8];
        for change in changes {
            let table = table();
            enter(&table, 1, IPPROTO_TCP, ConnState::Established);
            change(table.state().tables.reals.get_mut(&SLOT.into()).unwrap());
            assert_eq!(list(&table, &at(NOW)), []);
            assert_eq!(survey(&table, &at(NOW)).forgotten, 1);
        }
        let table = table();
        enter(&table, 1, IPPROTO_TCP, ConnState::Established);
        table.state().tables.reals.clear();
        assert_eq!(survey(&table, &at(NOW)).forgotten, 1, "no such slot");
    }

    #[test]
    fn a_server_that_is_down_keeps_its_connections() {
        let table = table();
        enter(&table, 1, IPPROTO_TCP, ConnState::Established);
        for state in [RealState::Up, RealState::Quiesced, RealState::Down] {
            table.state().tables.reals.get_mut(&SLOT.into()).unwrap().state = state as u8;
            assert_eq!(survey(&table, &at(NOW)).forgotten, 0, "{state:?}");
        }
    }

    #[test]
    fn what_is_only_being_made_is_left_alone() {
        let table = table();
        let meta = enter(&table, 1, IPPROTO_TCP, ConnState::None);
        for phase in [Phase::Claimed, Phase::Pending] {
            let bucket = &table.buckets()[0];
            assert!(bucket.exchange(1, bucket.meta(1), meta.in_phase(phase)));
            let survey = survey(&table, &at(NOW + 1_000_000));
            assert_eq!((survey.counts, survey.forgotten), (BTreeMap::new(), 0));
        }
    }

    #[test]
    fn the_list_reads_as_ipvsadm_prints_it() {
        let table = table();
        enter(&table, 5, IPPROTO_TCP, ConnState::SynRecv);
        let expected = Connection {
            protocol: Protocol::Tcp,
            state: ConnState::SynRecv,
            expires_secs: 57,
            source: "198.51.100.7:40005".parse().unwrap(),
            virtual_address: "192.0.2.1:80".parse().unwrap(),
            destination: "10.0.0.1:8080".parse().unwrap(),
        };
        // Two and a half seconds at 250 Hz and 32 jiffies a unit.
        assert_eq!(list(&table, &at(NOW + 20)), [expected]);
    }

    const NOW: u32 = 5000;
    const SLOT: u16 = 4;
    const GENERATION: u32 = 0x0002_0003;

    fn at(now: u32) -> Clock {
        Clock { now: Stamp::new(now), ..Clock::default() }
    }

    fn table() -> MemoryDatapath {
        let real = Real {
            address: [10, 0, 0, 1],
            port: 8080,
            generation: GENERATION,
            state: RealState::Up as u8,
            virtual_address: [192, 0, 2, 1],
            virtual_port: 80,
            ..Real::default()
        };
        let table = MemoryDatapath::default();
        table.state().tables.reals.insert(SLOT.into(), real);
        table
    }

    /// Puts a connection from port 40,000 and `number` into entry `number` of the first bucket.
    fn enter(table: &MemoryDatapath, number: u16, protocol: u8, state: ConnState) -> Meta {
        let bucket = &table.buckets()[0];
        let client = Client::new([198, 51, 100, 7], 40_000 + number);
        let meta = Meta::new(protocol, state, Stamp::new(NOW), GENERATION, 0).in_phase(Phase::Live);
        bucket.store_key(number.into(), Key::new(client, SLOT));
        assert!(bucket.exchange(number.into(), Meta::FREE, meta));
        meta
    }
}
