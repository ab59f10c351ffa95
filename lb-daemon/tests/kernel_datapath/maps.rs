//! The maps: what is written, read back, and shared with the program.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use aya::maps::{Array, PerCpuArray, PerCpuValues};
use lb_common::{
    ConnState, Method, Real, RealCounters, RealState, Scheduler,
    flow_table::{Client, HashKey, Key, Meta, Phase, RawBucket, RawEntry},
    map,
};
use lb_daemon::{
    connections::{self, Counts},
    datapath::{Datapath as _, Op, pins::teardown},
    reconcile::{diff, reconcile},
    tables::{ServiceTable, Tables},
};

use super::lab::*;

#[test]
fn a_lease_outlives_the_daemon_that_gave_it() {
    in_lab(|lab| {
        let (first, _) = lab.open(&[]);
        assert!(!first.lease().runs(0), "nobody has given one");
        first.lease().set(0, Instant::now() + Duration::from_secs(3600));
        drop(first);

        let (second, _) = lab.open(&[]);
        let lease = second.lease();
        assert!(lease.runs(0));
        lease.set(0, Instant::now());
        assert!(!lease.runs(0), "it is over at once");
        lease.set(0, Instant::now() + Duration::from_secs(3600));
        lease.release(0);
        assert!(!lease.runs(0));
    });
}

#[test]
fn what_is_written_is_read_back() {
    in_lab(|lab| {
        let (mut datapath, _) = lab.open(&[]);
        assert_eq!(datapath.installed().unwrap(), Tables::default());
        assert!(!reconcile(&mut datapath, &tables()).unwrap().is_empty());
        assert_eq!(datapath.installed().unwrap(), tables());
        assert_eq!(reconcile(&mut datapath, &tables()).unwrap(), []);

        for op in diff(&tables(), &Tables::default()) {
            datapath.apply(&op).unwrap();
            datapath.apply(&op).unwrap_or_else(|error| panic!("a second time, {op:?}: {error}"));
        }
        assert_eq!(datapath.installed().unwrap(), Tables::default());
    });
}

#[test]
fn a_new_ring_goes_into_the_half_that_is_not_read() {
    in_lab(|lab| {
        let (mut datapath, _) = lab.open(&[]);
        let service = |ring: &[u16], start| ServiceTable {
            id: 3,
            scheduler: Scheduler::WeightedRoundRobin,
            ring: ring.to_vec(),
            start,
            closed: false,
        };
        datapath.apply(&Op::SetService(WEB, service(&[1, 2, 3], 2))).unwrap();
        let mut positions: Array<_, u64> = lab.map(map::POSITIONS).try_into().unwrap();
        positions.set(6, 7, 0).unwrap();
        assert_eq!(datapath.position(&WEB).unwrap(), Some(7), "as the program has counted");
        assert_eq!(datapath.installed().unwrap().services[&WEB], service(&[1, 2, 3], 2));

        let schedules = datapath.schedules();
        assert_eq!(schedules.positions().unwrap(), [(WEB, 7)].into());
        schedules.set_position(&WEB, 9).unwrap();
        assert_eq!(datapath.position(&WEB).unwrap(), Some(9), "as the peer has told");
        schedules.set_position(&DNS, 9).unwrap();

        datapath.apply(&Op::SetService(WEB, service(&[4], 1))).unwrap();
        assert_eq!(positions.get(&7, 0).unwrap(), 1);
        assert_eq!(datapath.position(&WEB).unwrap(), Some(1));
        datapath.apply(&Op::SetService(WEB, service(&[5, 6], 0))).unwrap();
        assert_eq!((datapath.position(&WEB).unwrap(), positions.get(&6, 0).unwrap()), (Some(0), 0));
        assert_eq!(datapath.position(&DNS).unwrap(), None);
    });
}

#[test]
fn a_service_that_closes_keeps_its_ring_and_position() {
    in_lab(|lab| {
        let (mut datapath, _) = lab.open(&[]);
        let scheduler = Scheduler::RoundRobin;
        let service = ServiceTable { id: 3, scheduler, ring: vec![1, 2, 3], start: 2, closed: false };
        datapath.apply(&Op::SetService(WEB, service.clone())).unwrap();
        let mut positions: Array<_, u64> = lab.map(map::POSITIONS).try_into().unwrap();
        positions.set(6, 7, 0).unwrap();
        for closed in [true, false] {
            datapath.apply(&Op::SetClosed(WEB, closed)).unwrap();
            assert_eq!(
                datapath.installed().unwrap().services[&WEB],
                ServiceTable { closed, ..service.clone() }
            );
            assert_eq!(datapath.position(&WEB).unwrap(), Some(7));
        }
        // A new ring leaves it as it is told.
        let other = ServiceTable { ring: vec![4], closed: true, ..service };
        datapath.apply(&Op::SetService(WEB, other.clone())).unwrap();
        assert_eq!(datapath.installed().unwrap().services[&WEB], other);
    });
}

#[test]
fn what_does_not_fit_is_refused_and_says_where() {
    in_lab(|lab| {
        let (mut datapath, _) = lab.open(&[]);
        let error = datapath.apply(&Op::SetReal(LIMITS.reals, real(1, Method::Nat))).unwrap_err().to_string();
        assert!(error.starts_with("map REALS: setting an entry failed: "), "{error}");
        let ring = vec![0; lb_common::RING_SLOTS + 1];
        let service = ServiceTable { id: 0, scheduler: Scheduler::RoundRobin, ring, start: 0, closed: false };
        assert!(datapath.apply(&Op::SetService(WEB, service)).is_err());
        assert_eq!(datapath.installed().unwrap(), Tables::default());
    });
}

#[test]
fn counters_are_summed_over_the_cpus_and_reset() {
    in_lab(|lab| {
        let (mut datapath, _) = lab.open(&[]);
        let mut counters: PerCpuArray<_, RealCounters> = lab.map(map::REAL_COUNTERS).try_into().unwrap();
        let cpus = aya::util::nr_cpus().unwrap();
        let one = RealCounters { connections: 2, in_packets: 3, in_bytes: 5, out_packets: 7, out_bytes: 11 };
        counters.set(9, PerCpuValues::try_from(vec![one; cpus]).unwrap(), 0).unwrap();
        let mut sum = RealCounters::default();
        (0..cpus).for_each(|_| sum += one);
        assert_eq!(
            datapath.real_counters(&[8, 9]).unwrap(),
            BTreeMap::from([(8, RealCounters::default()), (9, sum)])
        );
        datapath.reset_real_counters(9).unwrap();
        assert_eq!(datapath.real_counters(&[9]).unwrap()[&9], RealCounters::default());
        assert_eq!(datapath.reasons().unwrap().len(), lb_common::Reason::ALL.len());
    });
}

#[test]
fn the_flow_table_is_read_and_cleaned_in_place() {
    in_lab(|lab| {
        let (datapath, _) = lab.open(&[]);
        let table = datapath.flow_table();
        assert_eq!(connections::entries(table.as_ref()), 0);
        let mut map: Array<_, RawBucket> = lab.map(map::FLOWS).try_into().unwrap();
        assert_eq!(table.buckets().len(), map.len() as usize);
        let clock = table.clock().unwrap();
        let of =
            |generation| Meta::new(6, ConnState::Established, clock.now, generation, 0).in_phase(Phase::Live);
        let mut bucket = RawBucket::default();
        for (way, generation) in (0..).zip([1, 2, 1]) {
            let client = Client::new([198, 51, 100, 1], way);
            bucket.ways[usize::from(way)] = RawEntry::new(Key::new(client, 1), of(generation));
        }
        let last = map.len() - 1;
        map.set(last, bucket, 0).unwrap();
        let real = Real { state: RealState::Up as u8, generation: 2, ..Real::default() };
        lab.map(map::REALS)
            .try_into()
            .map(|mut reals: Array<_, Real>| reals.set(1, real, 0))
            .unwrap()
            .unwrap();
        let survey = connections::survey(table.as_ref(), &clock);
        assert_eq!(survey.counts, BTreeMap::from([(1, Counts { active: 1, inactive: 0 })]));
        assert_eq!(survey.forgotten, 2);
        let left = map.get(&last, 0).unwrap().ways.map(|entry| entry.meta().is_live());
        assert_eq!(left.iter().filter(|is_live| **is_live).count(), 1);
        assert!(left[1], "the one of the present owner stays");
    });
}

#[test]
fn the_clock_of_the_flows_advances_by_jiffies() {
    in_lab(|lab| {
        let (datapath, _) = lab.open(&[]);
        let before = datapath.flow_table().clock().unwrap();
        thread::sleep(Duration::from_millis(1500));
        let after = datapath.flow_table().clock().unwrap();
        let units = after.now.since(before.now);
        assert!(after.secs(units + 1) >= 1, "{units} units at {} Hz", after.hz);
        assert!(after.secs(units) < 3600, "{units}");
    });
}

#[test]
fn the_secret_of_the_flow_table_stays_with_it() {
    in_lab(|lab| {
        drop(lab.open(&[]));
        let secret = || -> HashKey { Array::try_from(lab.map(map::HASH_KEY)).unwrap().get(&0, 0).unwrap() };
        let first = secret();
        assert_ne!(first, HashKey::default());
        drop(lab.open(&[]));
        assert_eq!(secret(), first);
        teardown(&lab.pin_dir).unwrap();
        drop(lab.open(&[]));
        assert_ne!(secret(), first);
    });
}
