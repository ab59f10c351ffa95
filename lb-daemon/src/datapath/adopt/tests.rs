//! Upgrades, with the maps of this layout as those of an older one.

use std::{fs, path::Path, thread};

use lb_common::LAYOUT_VERSION;
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
    unistd::geteuid,
};

use super::*;
use crate::config::{BpfLog, Limits};

pub(in crate::datapath) const LIMITS: Limits = Limits { flows: 4096, services: 4, reals: 16 };

#[test]
fn maps_that_have_not_changed_are_the_same_maps() {
    with_an_older_layout(|pins, folder| {
        let before = id(&folder.join(map::FLOWS));
        let groups = changed(&[map::ROUTER]);
        let adopted = adopt(pins, LAYOUT_VERSION - 1, folder, &groups);
        assert_eq!(adopted, all_but(&[map::ROUTER]));
        let (ebpf, notices) = load::load((u32::MAX, 0), pins, &LIMITS, BpfLog::Off, false).unwrap();
        drop(ebpf);
        assert_eq!(notices, [""; 0]);
        assert_eq!(id(&pins.map(map::FLOWS)), before, "not a copy");
        assert_ne!(id(&pins.map(map::ROUTER)), id(&folder.join(map::ROUTER)), "another group");
    });
}

#[test]
fn a_group_with_one_map_of_another_shape_begins_anew_and_so_does_what_needs_it() {
    with_an_older_layout(|pins, folder| {
        fs::rename(folder.join(map::LOCALS), folder.join(map::REALS)).unwrap();
        let groups = changed(&[]);
        let adopted = adopt(pins, LAYOUT_VERSION - 1, folder, &groups);
        assert_eq!(adopted, [map::LAST_HOPS, map::HASH_KEY, map::OVERFLOWS].into());
    });
}

#[test]
fn all_else_stays_where_real_servers_get_the_same_slots_in_another_map() {
    with_an_older_layout(|pins, folder| {
        let inherited = inherit(pins, &load::shapes(&LIMITS), &changed(&[map::REALS])).unwrap();
        assert!(inherited.flows.is_none() && inherited.reals.is_some());
        for name in all_but(&[map::REALS]) {
            assert_eq!(id(&pins.map(name)), id(&folder.join(name)), "{name}");
        }
        assert!(!pins.map(map::REALS).exists());
    });
}

#[test]
fn services_stay_where_the_flow_table_has_changed() {
    with_an_older_layout(|pins, folder| {
        let groups = changed(&[map::FLOWS]);
        let adopted = adopt(pins, LAYOUT_VERSION - 1, folder, &groups);
        assert_eq!(adopted, all_but(&[map::FLOWS, map::CHANGES]));
    });
}

#[test]
fn a_layout_in_which_maps_meant_something_else_is_left() {
    with_an_older_layout(|pins, folder| {
        let before = GROUPS.iter().map(|group| group.since).min().unwrap() - 1;
        assert_eq!(adopt(pins, before, folder, &GROUPS), [].into());
        let since = GROUPS.iter().map(|group| group.since).max().unwrap();
        assert_eq!(adopt(pins, since, folder, &GROUPS), all_but(&[]));
    });
}

#[test]
fn what_needs_a_name_is_a_map() {
    let shapes = load::shapes(&LIMITS);
    let mut before = Vec::new();
    for group in GROUPS {
        for name in group.maps {
            assert!(shapes.iter().any(|shape| shape.name == *name), "{name}");
        }
        assert!(group.needs.iter().all(|name| before.contains(name)), "{:?}", group.needs);
        before.extend(group.maps);
    }
}

fn adopt(pins: &Pins, version: u32, folder: &Path, groups: &[Group]) -> BTreeSet<&'static str> {
    let older = Older { version, folder: folder.to_owned() };
    older.adopt(pins, &load::shapes(&LIMITS), groups, &BTreeSet::new()).unwrap()
}

/// The groups, of which those that hold these maps have changed with this layout, and no other ever has.
fn changed(maps: &[&str]) -> [Group; 7] {
    GROUPS.map(|group| {
        let has_changed = group.maps.iter().any(|name| maps.contains(name));
        Group { since: if has_changed { LAYOUT_VERSION } else { 0 }, ..group }
    })
}

fn all_but(maps: &[&str]) -> BTreeSet<&'static str> {
    GROUPS.iter().flat_map(|group| group.maps).copied().filter(|name| !maps.contains(name)).collect()
}

pub(in crate::datapath) fn id(path: &Path) -> u32 {
    MapInfo::from_pin(path).unwrap().id()
}

/// Runs a test with pins in which an older layout has every map, and the present one none; in a mount namespace with a BPF file
/// system of its own.
pub(in crate::datapath) fn with_an_older_layout(test: impl FnOnce(&Pins, &Path) + Send + 'static) {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: maps need root");
        return;
    }
    let body = move || {
        unshare(CloneFlags::CLONE_NEWNS).unwrap();
        let none = None::<&str>;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
        let folder = tempfile::tempdir().unwrap();
        mount(Some("bpf"), folder.path(), Some("bpf"), MsFlags::empty(), none).unwrap();
        let (pins, _) = Pins::create(folder.path()).unwrap();
        drop(load::load((u32::MAX, 0), &pins, &LIMITS, BpfLog::Off, false).unwrap());
        let older = folder.path().join(format!("v{}", LAYOUT_VERSION - 1));
        fs::rename(pins.maps(), &older).unwrap();
        let (pins, _) = Pins::create(folder.path()).unwrap();
        assert_eq!(pins.older_layout().unwrap(), Some((LAYOUT_VERSION - 1, older.clone())));
        test(&pins, &older);
        umount2(folder.path(), MntFlags::MNT_DETACH).unwrap();
    };
    thread::spawn(body).join().expect("the test in its namespace");
}
