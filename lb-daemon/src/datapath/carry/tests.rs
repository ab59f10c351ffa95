//! Tables of other sizes in memory.

use lb_common::{
    ConnState, Method, Real, RealState, SharedHop,
    flow_table::{Client, HashKey, Phase, SharedMarks, Stamp, Timeouts, bucket_count, mark_count},
};

use super::*;
use crate::datapath::Error;

pub(in crate::datapath) const NOW: u32 = 1000;

#[test]
fn every_connection_is_found_in_a_larger_table_and_in_a_smaller_one() {
    for flows in [8192, 700] {
        let (from, to) = (Table::new(2048), Table::new(flows));
        let clients: Vec<Client> = (0..600).map(client).collect();
        for client in &clients {
            from.add(key(*client, 1), established(NOW - 5));
        }
        assert_eq!(carry(&from, &to).everything(), 600);
        for client in clients {
            assert_eq!(to.find(key(client, 1)), [established(NOW - 5)], "{client:?} of {flows}");
        }
        assert_eq!(to.count(), 600, "and nothing else");
    }
}

#[test]
fn what_is_due_or_of_no_real_server_stays_behind() {
    let (from, to) = (Table::new(2048), Table::new(4096));
    from.add(key(client(1), 1), established(NOW.wrapping_sub(1 << 20)));
    from.add(key(client(2), 9), established(NOW));
    from.add(key(client(3), 1), Meta::new(IPPROTO_TCP, ConnState::Established, Stamp::new(NOW), 5, 0));
    assert_eq!(carry(&from, &to).everything(), 0);
    assert_eq!(to.count(), 0);
}

#[test]
fn established_connections_are_carried_where_half_open_ones_have_no_room() {
    let (from, to) = (Table::new(4096), Table::of_buckets(2));
    for number in 0..16 {
        from.add(key(client(number), 1), half_open());
    }
    for number in 16..32 {
        from.add(key(client(number), 1), established(NOW));
    }
    carry(&from, &to).everything();
    assert_eq!(to.count(), 16);
    for number in 16..32 {
        assert_eq!(to.find(key(client(number), 1)).len(), 1, "{number}");
    }
}

#[test]
fn what_changes_meanwhile_is_copied_again() {
    let (from, to) = (Table::new(2048), Table::new(4096));
    let [kept, changed, made] = [1, 2, 3].map(|number| key(client(number), 1));
    from.add(kept, established(NOW - 5));
    from.add(changed, half_open());
    let carry = carry(&from, &to);
    carry.everything();
    assert_eq!(carry.changes(), 0);
    from.change(changed, half_open(), established(NOW));
    from.add(made, established(NOW));
    assert_eq!(carry.changes(), 2);
    assert_eq!(to.find(changed), [established(NOW)]);
    assert_eq!(to.find(made), [established(NOW)]);
    assert_eq!(to.find(kept), [established(NOW - 5)]);
}

#[test]
fn another_connection_in_the_place_of_one_replaces_it() {
    let (from, to) = (Table::new(2048), Table::new(4096));
    from.add(key(client(1), 1), established(NOW - 5));
    let carry = carry(&from, &to);
    carry.everything();
    // The client has come back, and has been given the other real server of the service.
    from.change(key(client(1), 1), established(NOW - 5), Meta::FREE);
    from.add(key(client(1), 2), half_open());
    carry.changes();
    assert_eq!(to.find(key(client(1), 1)), []);
    assert_eq!(to.find(key(client(1), 2)), [half_open()]);
}

#[test]
fn what_packets_have_written_in_the_new_table_stays() {
    let (from, to) = (Table::new(2048), Table::new(4096));
    let [used, late, rival] = [1, 2, 3].map(|number| key(client(number), 1));
    for key in [used, late] {
        from.add(key, established(NOW - 9));
    }
    let mut carry = carry(&from, &to);
    carry.everything();
    carry.is_in_use();
    to.change(used, established(NOW - 9), closed(NOW));
    to.add(key(client(3), 2), established(NOW));
    from.change(used, established(NOW - 9), established(NOW - 1));
    from.change(late, established(NOW - 9), established(NOW - 1));
    from.add(rival, established(NOW - 1));
    carry.changes();
    assert_eq!(to.find(used), [closed(NOW)], "used in the new table since");
    assert_eq!(to.find(late), [established(NOW - 1)], "used in the old one only");
    assert_eq!(to.find(rival), [], "the client has another connection there by now");
}

/// A flow table and its real servers 1 and 2, of one service.
pub(in crate::datapath) struct Table {
    buckets: Vec<Shared>,
    changes: Vec<SharedMarks>,
}

impl Table {
    pub(in crate::datapath) fn new(flows: u32) -> Self {
        Self::of_buckets(bucket_count(flows))
    }

    fn of_buckets(buckets: u32) -> Self {
        Self {
            buckets: (0..buckets).map(|_| Shared::default()).collect(),
            changes: (0..mark_count(buckets)).map(|_| SharedMarks::default()).collect(),
        }
    }

    /// Makes a connection as the program does, and marks it.
    fn add(&self, key: Key, meta: Meta) {
        let places = self.places(key);
        let both = [places.first, places.second].map(|number| &self.buckets[number as usize]);
        insert(both, key, meta, || None, |_, _| Standing::Other).unwrap();
        self.mark(key);
    }

    fn change(&self, key: Key, old: Meta, new: Meta) {
        let places = self.places(key);
        let changed = [places.first, places.second].iter().any(|number| {
            let bucket = &self.buckets[*number as usize];
            bucket.entries().any(|(way, its, _)| its == key && bucket.exchange(way, old, new))
        });
        assert!(changed, "{key:?} is not {old:?}");
        self.mark(key);
    }

    /// Marks the bucket that a connection stands in, or stood in.
    fn mark(&self, key: Key) {
        let places = self.places(key);
        let holds = |number: &u32| self.buckets[*number as usize].entries().any(|(_, its, _)| its == key);
        let number = [places.first, places.second].into_iter().find(holds).unwrap_or(places.first) as usize;
        self.changes[number / MARKS].set(number % MARKS);
    }

    pub(in crate::datapath) fn find(&self, key: Key) -> Vec<Meta> {
        let places = self.places(key);
        let all = [places.first, places.second].map(|number| &self.buckets[number as usize]);
        let mine = all.into_iter().flat_map(Shared::entries).filter(|(_, its, _)| *its == key);
        mine.map(|(_, _, meta)| meta).collect()
    }

    pub(in crate::datapath) fn count(&self) -> usize {
        self.buckets.iter().map(|bucket| bucket.entries().count()).sum()
    }

    fn places(&self, key: Key) -> Places {
        Places::of(key.client(), IPPROTO_TCP, &self.hash_key(), self.buckets.len().try_into().unwrap())
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
        HashKey::new([0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0])
    }

    fn real(&self, index: u16) -> Option<Real> {
        matches!(index, 1 | 2).then(|| real(u8::try_from(index).unwrap()))
    }

    fn last_hops(&self) -> &[SharedHop] {
        &[]
    }

    fn clock(&self) -> Result<Clock, Error> {
        Ok(Clock { now: Stamp::new(NOW), timeouts: Timeouts::at(250), hz: 250 })
    }
}

/// A real server of the one service.
pub(in crate::datapath) fn real(host: u8) -> Real {
    Real {
        address: [10, 0, 0, host],
        port: 80,
        method: Method::Nat as u8,
        state: RealState::Up as u8,
        generation: 1,
        virtual_address: [192, 0, 2, 1],
        virtual_port: 80,
        protocol: IPPROTO_TCP,
        ..Real::default()
    }
}

fn carry<'a>(from: &'a Table, to: &'a Table) -> Carry<'a> {
    Carry::new(from, to, from.clock().unwrap())
}

pub(in crate::datapath) fn client(number: u16) -> Client {
    Client::new([198, 51, 100, 7], 1024 + number)
}

pub(in crate::datapath) fn key(client: Client, real: u16) -> Key {
    Key::new(client, real)
}

pub(in crate::datapath) fn established(seen: u32) -> Meta {
    meta(ConnState::Established, seen)
}

fn closed(seen: u32) -> Meta {
    meta(ConnState::Close, seen)
}

pub(in crate::datapath) fn half_open() -> Meta {
    meta(ConnState::SynRecv, NOW - 9)
}

fn meta(state: ConnState, seen: u32) -> Meta {
    Meta::new(IPPROTO_TCP, state, Stamp::new(seen), 1, 0).in_phase(Phase::Live)
}
