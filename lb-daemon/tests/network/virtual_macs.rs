//! Virtual MAC addresses at a real interface.

use std::{collections::BTreeMap, fs, process::Command};

use lb_daemon::{
    address::Wanted,
    mac::Mac,
    virtual_mac::{Change, Outcome, Place, VirtualMacs},
};
use tempfile::TempDir;

use crate::lab::{self, ip};

const ONE: Mac = Mac::of_virtual_router(51);
const OTHER: Mac = Mac::of_virtual_router(52);

#[test]
fn they_are_added_and_removed_once() {
    lab::with_peer(async |_peer| {
        let (_folder, macs) = macs();
        let here = wanted(ONE, Wanted::Here);
        assert_eq!(macs.reconcile(&here).await, changed([Change::Added(place(ONE))]));
        assert!(stands(ONE));
        assert_eq!(macs.reconcile(&here).await, Outcome::default());
        let away = wanted(ONE, Wanted::Away);
        assert_eq!(macs.reconcile(&away).await, changed([Change::Removed(place(ONE))]));
        assert!(!stands(ONE));
        assert_eq!(macs.reconcile(&away).await, Outcome::default());
    });
}

#[test]
fn one_that_somebody_has_removed_comes_back_and_one_that_is_gone_is_no_mistake() {
    lab::with_peer(async |_peer| {
        let (_folder, macs) = macs();
        macs.reconcile(&wanted(ONE, Wanted::Here)).await;
        bridge(&format!("fdb del {ONE} dev lan self"));
        assert_eq!(macs.reconcile(&wanted(ONE, Wanted::Here)).await, Outcome::default());
        assert!(stands(ONE));
        bridge(&format!("fdb del {ONE} dev lan self"));
        let outcome = macs.reconcile(&wanted(ONE, Wanted::Away)).await;
        assert_eq!(outcome, changed([Change::Removed(place(ONE))]));
    });
}

#[test]
fn a_daemon_after_a_crash_removes_its_own_and_no_other() {
    lab::with_peer(async |_peer| {
        let (folder, macs) = macs();
        macs.reconcile(&wanted(ONE, Wanted::Here)).await;
        // As keepalived does.
        ip("link add vrrp.52 link lan type macvlan mode private");
        ip(&format!("link set vrrp.52 address {OTHER}"));
        ip("link set vrrp.52 up");
        let next = VirtualMacs::new(&folder.path().join("lbd.sock"));
        assert_eq!(next.reconcile(&wanted(ONE, Wanted::AsTheyAre)).await, Outcome::default());
        assert_eq!([ONE, OTHER].map(stands), [true, true]);
        let outcome = next.reconcile(&wanted(OTHER, Wanted::Away)).await;
        assert_eq!(outcome, changed([Change::Removed(place(ONE))]), "the configuration has another one now");
        assert_eq!([ONE, OTHER].map(stands), [false, true]);
    });
}

#[test]
fn an_interface_that_is_not_there_stops_nothing_else() {
    lab::with_peer(async |_peer| {
        let (_folder, macs) = macs();
        let gone = Place { interface: "gone".to_owned(), mac: ONE };
        let mut both = wanted(ONE, Wanted::Here);
        both.insert(gone, Wanted::Here);
        let Outcome { changes, failures } = macs.reconcile(&both).await;
        assert_eq!(changes, [Change::Added(place(ONE))]);
        let expected =
            format!("cannot add the virtual MAC address {ONE} to gone: there is no such interface");
        assert_eq!(failures, [expected]);
    });
}

#[test]
fn the_kernel_asks_for_others_in_the_name_of_its_best_address() {
    lab::with_peer(async |_peer| {
        let (_folder, macs) = macs();
        let announce = || fs::read_to_string("/proc/sys/net/ipv4/conf/lan/arp_announce").unwrap();
        assert_eq!(announce(), "0\n");
        macs.reconcile(&wanted(ONE, Wanted::Here)).await;
        assert_eq!(announce(), "2\n");
    });
}

/// With a file of their own.
fn macs() -> (TempDir, VirtualMacs) {
    let folder = tempfile::tempdir().unwrap();
    let macs = VirtualMacs::new(&folder.path().join("lbd.sock"));
    (folder, macs)
}

fn place(mac: Mac) -> Place {
    Place { interface: "lan".to_owned(), mac }
}

fn wanted(mac: Mac, wanted: Wanted) -> BTreeMap<Place, Wanted> {
    [(place(mac), wanted)].into()
}

fn changed<const N: usize>(changes: [Change; N]) -> Outcome {
    Outcome { changes: changes.into(), failures: Vec::new() }
}

/// Whether the interface receives what is addressed there.
fn stands(mac: Mac) -> bool {
    bridge("fdb show dev lan").contains(&format!("{mac} self permanent"))
}

/// Runs `bridge` in the network namespace of the calling thread and returns what it prints.
fn bridge(arguments: &str) -> String {
    let output = Command::new("bridge").args(arguments.split_whitespace()).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "bridge {arguments}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
