//! What a daemon finds of the one before it: maps of other sizes, of another layout, or half of a change.

use std::{collections::BTreeMap, fs};

use aya::maps::{Array, MapData};
use lb_common::{
    ConnState, LAYOUT_VERSION, Real,
    flow_table::{Client, Key, Meta, Places, Standing, insert},
    map,
};
use lb_daemon::{
    config::Limits,
    datapath::{
        Datapath as _,
        kernel::{KernelDatapath, Settings},
    },
    reconcile::reconcile,
};

use super::lab::*;

#[test]
fn other_limits_keep_the_pinned_sizes_with_a_notice() {
    in_lab(|lab| {
        drop(lab.open(&[]));
        let settings = Settings { limits: Limits { reals: 128, ..LIMITS }, ..lab.settings() };
        let (datapath, notices) = KernelDatapath::open(&settings, &BTreeMap::new()).unwrap();
        let notice = |name| {
            format!(
                "limits.reals asks for 128 entries in the map {name}, which keeps its 64 until `lbd teardown`"
            )
        };
        assert_eq!(notices, [map::REALS, map::REAL_KEYS, map::REAL_COUNTERS].map(notice));
        assert_eq!(datapath.limits(), LIMITS);
    });
}

#[test]
fn a_flow_table_of_another_size_takes_over_with_its_connections() {
    in_lab(|lab| {
        let (mut first, _) = lab.open(&["lbt0"]);
        reconcile(&mut first, &tables()).unwrap();
        let connections = fill(lab, &first, 1000);
        let (program, link) = (program_id("lbt0"), lab.link_pin("lbt0"));
        drop(first);
        for flows in [4 * LIMITS.flows, 2048] {
            let settings = Settings { limits: Limits { flows, ..LIMITS }, ..lab.settings() };
            let (datapath, notices) = KernelDatapath::open(&settings, &interfaces(&["lbt0"])).unwrap();
            let notice = "limits.flows: the flow table is made anew, 1000 connections are carried over";
            assert_eq!(notices, [notice]);
            assert_eq!(datapath.limits().flows, flows);
            assert_eq!(standing(&datapath), connections, "{flows}");
            assert_eq!(datapath.installed().unwrap(), tables(), "nothing else has changed");
        }
        assert_eq!(lab.link_pin("lbt0"), link, "the same link");
        assert!(program_id("lbt0").is_some() && program_id("lbt0") != program, "with another program");
        let pins = fs::read_dir(lab.pin_dir.join(format!("v{LAYOUT_VERSION}"))).unwrap().count();
        assert_eq!(pins, map::ALL.len(), "nothing else is left");
    });
}

#[test]
fn connections_that_have_no_room_are_told_of() {
    in_lab(|lab| {
        let (mut first, _) = lab.open(&[]);
        reconcile(&mut first, &tables()).unwrap();
        fill(lab, &first, 5000);
        drop(first);
        let settings = Settings { limits: Limits { flows: 1024, ..LIMITS }, ..lab.settings() };
        let (datapath, notices) = KernelDatapath::open(&settings, &BTreeMap::new()).unwrap();
        let left = standing(&datapath).len();
        let lost = format!(
            "limits.flows: the flow table is made anew, {left} connections are carried over; {} had no room and are forgotten",
            5000 - left
        );
        assert_eq!(notices, [lost]);
        assert!((2000..=2048).contains(&left), "the table is full: {left}");
    });
}

#[test]
fn a_change_of_size_that_was_interrupted_is_ended() {
    in_lab(|lab| {
        let (mut first, _) = lab.open(&["lbt0"]);
        reconcile(&mut first, &tables()).unwrap();
        let connections = fill(lab, &first, 100);
        drop(first);
        let pin = |name: &str| lab.pin_dir.join(format!("v{LAYOUT_VERSION}")).join(name);
        let next = |name: &str| pin(&format!("{name}_NEXT"));
        let swapped = [map::FLOWS, map::CHANGES, map::PROGRAMS];
        // Killed before the program was replaced: the maps beside those in use are of no program.
        let other = Settings { pin_dir: lab.pin_dir.with_file_name("other"), ..lab.settings() };
        drop(KernelDatapath::open(&other, &BTreeMap::new()).unwrap());
        for name in swapped {
            let unused = other.pin_dir.join(format!("v{LAYOUT_VERSION}")).join(name);
            MapData::from_pin(unused).unwrap().pin(next(name)).unwrap();
        }
        let (second, notices) = lab.open(&["lbt0"]);
        assert_eq!((notices, standing(&second)), (vec![], connections.clone()));
        assert!(swapped.iter().all(|name| !next(name).exists()));
        drop(second);
        // Killed after it, before all had their names: the program uses them.
        for name in swapped {
            fs::rename(pin(name), next(name)).unwrap();
        }
        let (third, notices) = lab.open(&["lbt0"]);
        assert_eq!((notices, standing(&third)), (vec![], connections));
        assert!(swapped.iter().all(|name| !next(name).exists() && pin(name).exists()));
    });
}

#[test]
fn a_map_of_another_shape_is_refused() {
    in_lab(|lab| {
        drop(lab.open(&[]));
        let pin = |name| lab.pin_dir.join(format!("v{LAYOUT_VERSION}")).join(name);
        fs::remove_file(pin(map::PEER_HOPS)).unwrap();
        fs::rename(pin(map::LOCALS), pin(map::PEER_HOPS)).unwrap();
        let error = KernelDatapath::open(&lab.settings(), &BTreeMap::new()).err().unwrap().to_string();
        assert!(
            error.contains(
                "PEER_HOPS is not of this version (1024 entries of 4 and 1 bytes instead of 64 of 4 and 12)"
            ),
            "{error}"
        );
        assert!(error.contains("`lbd teardown`"), "{error}");
    });
}

#[test]
fn maps_of_another_layout_go_when_the_new_program_runs() {
    in_lab(|lab| {
        fs::create_dir_all(lab.pin_dir.join("v0")).unwrap();
        let (_datapath, notices) = lab.open(&["lbt0"]);
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(notices[0].starts_with("removed the maps of another version in "), "{notices:?}");
        assert!(!lab.pin_dir.join("v0").exists());
    });
}

#[test]
fn maps_that_the_program_uses_are_not_given_up_for_older_ones() {
    in_lab(|lab| {
        let (mut first, _) = lab.open(&["lbt0"]);
        reconcile(&mut first, &tables()).unwrap();
        let connections = fill(lab, &first, 100);
        drop(first);
        // Killed after the program was replaced, before the maps of the version before it were removed.
        let older = lab.pin_dir.join(format!("v{}", LAYOUT_VERSION - 1));
        fs::create_dir(&older).unwrap();
        for name in [map::FLOWS, map::REALS] {
            let other = Array::<MapData, u64>::create(16, 0).unwrap();
            other.pin(older.join(name)).unwrap();
        }
        let (second, notices) = lab.open(&["lbt0"]);
        assert_eq!((standing(&second), second.installed().unwrap()), (connections, tables()));
        assert_eq!(notices, [format!("removed the maps of another version in {}", older.display())]);
    });
}

/// Makes that many established connections, as the program does. Returns them in their order.
fn fill(lab: &Lab, datapath: &KernelDatapath, count: u16) -> Vec<(Client, u16)> {
    let table = datapath.flow_table();
    let (now, key) = (table.clock().unwrap().now, table.hash_key());
    let generation = Array::<_, Real>::try_from(lab.map(map::REALS)).unwrap().get(&0, 0).unwrap().generation;
    let meta = Meta::new(6, ConnState::Established, now, generation, 0);
    let buckets = table.buckets();
    let clients = (0..count).map(|number| Client::new([198, 51, 100, 1], 1024 + number));
    let mut made: Vec<_> = clients.map(|client| (client, 0)).collect();
    for (client, real) in &made {
        let places = Places::of(*client, 6, &key, buckets.len().try_into().unwrap());
        let both = [places.first, places.second].map(|number| &buckets[number as usize]);
        insert(both, Key::new(*client, *real), meta, || None, |_, _| Standing::Other).unwrap();
    }
    made.sort_unstable();
    made
}

/// The connections of a data plane, in their order; each where packets look for it.
fn standing(datapath: &KernelDatapath) -> Vec<(Client, u16)> {
    let table = datapath.flow_table();
    let buckets = table.buckets();
    let mut all = Vec::new();
    for (number, bucket) in (0..).zip(buckets) {
        for (_, key, _) in bucket.entries() {
            let places = Places::of(key.client(), 6, &table.hash_key(), buckets.len().try_into().unwrap());
            assert!([places.first, places.second].contains(&number));
            all.push((key.client(), key.real()));
        }
    }
    all.sort_unstable();
    all
}
