//! Floating addresses on a real interface.

use std::{fs, path::Path};

use lb_daemon::{
    address::{Addresses, Change, Error, Wanted},
    config::Vip,
};
use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use crate::lab::{self, ip};

#[test]
fn addresses_are_added_and_removed_once() {
    lab::with_peer(async |_peer| {
        let floating = [vip("10.77.0.100/32", "lan"), vip("10.78.0.1/24", "lan")];
        let [one, other] = floating.clone();
        let changes = addresses().reconcile(&all(&floating, Wanted::Here)).await.unwrap();
        assert_eq!(changes, [Change::Added(one.clone()), Change::Added(other.clone())]);
        assert_eq!(addresses().reconcile(&all(&floating, Wanted::Here)).await.unwrap(), []);
        assert!(ip("address show dev lan").contains("inet 10.77.0.100/32 scope global lan"));
        assert!(ip("address show dev lan").contains("inet 10.78.0.1/24 brd 10.78.0.255 scope global lan"));

        let changes = addresses().reconcile(&all(&floating, Wanted::Away)).await.unwrap();
        assert_eq!(changes, [Change::Removed(one), Change::Removed(other)]);
        assert_eq!(addresses().reconcile(&all(&floating, Wanted::Away)).await.unwrap(), []);
        assert!(!ip("address show dev lan").contains("inet "));
    });
}

#[test]
fn only_what_is_missing_is_added() {
    lab::with_peer(async |_peer| {
        ip("address add 10.77.0.100/32 dev lan");
        let floating = [vip("10.77.0.100/32", "lan"), vip("10.77.0.101/32", "lan")];
        let changes = addresses().reconcile(&all(&floating, Wanted::Here)).await.unwrap();
        assert_eq!(changes, [Change::Added(floating[1].clone())]);
    });
}

#[test]
fn an_interface_that_is_not_there_stops_nothing_else() {
    lab::with_peer(async |_peer| {
        let floating = [vip("10.77.0.100/32", "gone"), vip("10.77.0.101/32", "lan")];
        let error = addresses().reconcile(&all(&floating, Wanted::Here)).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot add 10.77.0.100/32 to gone: No such device (os error 19)");
        let Error::Incomplete { changes, failures } = error else { panic!("{error}") };
        assert_eq!(changes, [Change::Added(floating[1].clone())]);
        assert_eq!(failures.len(), 1);
        let changes = addresses().reconcile(&all(&floating, Wanted::Away)).await.unwrap();
        assert_eq!(changes, [Change::Removed(floating[1].clone())], "what cannot stand needs no removal");
    });
}

#[test]
fn a_floating_primary_leaves_the_own_address_and_its_routes() {
    lab::with_peer(async |_peer| {
        set_promotion("0");
        let floating = [vip("10.77.0.100/24", "lan"), vip("10.77.0.101/24", "lan")];
        addresses().reconcile(&all(&floating, Wanted::Here)).await.unwrap();
        ip("address add 10.77.0.1/24 dev lan");
        ip("route add default via 10.77.0.254");
        assert!(
            ip("address show dev lan").contains("10.77.0.1/24 scope global secondary"),
            "the trap is set"
        );

        let changes = addresses().reconcile(&all(&floating, Wanted::Away)).await.unwrap();

        let removed: Vec<Change> = floating.iter().rev().cloned().map(Change::Removed).collect();
        assert_eq!(changes, removed, "nothing had to be restored");
        let standing = ip("address show dev lan");
        assert!(standing.contains("inet 10.77.0.1/24 scope global lan"), "{standing}");
        assert!(!standing.contains("10.77.0.10"), "{standing}");
        assert!(ip("route show default").contains("via 10.77.0.254"));
        assert_eq!(promotion(), "0", "as it was before");
    });
}

#[test]
fn a_floating_secondary_goes_alone() {
    lab::with_peer(async |_peer| {
        set_promotion("0");
        ip("address add 10.77.0.1/24 dev lan");
        let floating = [vip("10.77.0.100/24", "lan")];
        addresses().reconcile(&all(&floating, Wanted::Here)).await.unwrap();
        let changes = addresses().reconcile(&all(&floating, Wanted::Away)).await.unwrap();
        assert_eq!(changes, [Change::Removed(floating[0].clone())]);
        assert!(ip("address show dev lan").contains("inet 10.77.0.1/24 scope global lan"));
    });
}

#[test]
fn without_promotion_the_own_address_is_put_back() {
    lab::with_peer(async |_peer| {
        set_promotion("0");
        lock_sysctl();
        let floating = [vip("10.77.0.100/24", "lan")];
        addresses().reconcile(&all(&floating, Wanted::Here)).await.unwrap();
        ip("address add 10.77.0.1/24 dev lan label lan:own");

        let changes = addresses().reconcile(&all(&floating, Wanted::Away)).await.unwrap();

        let own = vip("10.77.0.1/24", "lan");
        assert_eq!(changes, [Change::Removed(floating[0].clone()), Change::Restored(own)]);
        assert!(ip("address show dev lan").contains("inet 10.77.0.1/24 scope global lan:own"));
    });
}

#[test]
fn what_lbd_has_added_and_is_floating_no_more_goes() {
    lab::with_peer(async |_peer| leave_the_configuration(&addresses()).await);
}

#[test]
fn a_kernel_that_remembers_nothing_is_helped_by_a_file() {
    lab::with_peer(async |_peer| {
        let directory = tempfile::tempdir().unwrap();
        let addresses = Addresses::new(&directory.path().join("lbd.sock"), "5.15.0-130-generic");
        leave_the_configuration(&addresses).await;
        let file = fs::read_to_string(directory.path().join("lbd.addresses")).unwrap();
        assert!(!file.contains("10.77"), "nothing is left to remember: {file}");
    });
}

#[test]
fn what_cannot_be_noted_is_told_and_done_all_the_same() {
    lab::with_peer(async |_peer| {
        let addresses = Addresses::new(Path::new("/nonexistent/lbd.sock"), "5.15.0");
        let floating = [vip("10.77.0.100/32", "lan")];
        let error = addresses.reconcile(&all(&floating, Wanted::Here)).await.unwrap_err();
        assert!(error.to_string().starts_with("cannot note which addresses are added: "), "{error}");
        assert!(ip("address show dev lan").contains("inet 10.77.0.100/32"));
    });
}

/// Addresses leave the configuration, or change in it, while no daemon runs; one like them is an administrator's.
async fn leave_the_configuration(addresses: &Addresses) {
    let [old, changed, stays] =
        ["10.77.0.100/24", "10.77.0.101/24", "10.77.0.102/32"].map(|one| vip(one, "lan"));
    addresses.reconcile(&all(&[old.clone(), changed.clone(), stays.clone()], Wanted::Here)).await.unwrap();
    ip("address add 10.77.0.103/24 dev lan");

    let moved = vip("10.77.0.101/32", "lan");
    let floating = [moved.clone(), stays];
    let changes = addresses.reconcile(&all(&floating, Wanted::AsTheyAre)).await.unwrap();
    let removed = [&changed, &old].map(|vip| Change::Removed(vip.clone()));
    assert_eq!(changes, removed, "whatever the role, and nothing is added before it is decided");
    let changes = addresses.reconcile(&all(&floating, Wanted::Here)).await.unwrap();
    assert_eq!(changes, [Change::Added(moved.clone())]);

    let changes = addresses.reconcile(&all(&[], Wanted::Here)).await.unwrap();
    assert_eq!(changes.len(), 2, "{changes:?}");
    let standing = ip("address show dev lan");
    assert!(standing.contains("inet 10.77.0.103/24"), "an administrator's stays: {standing}");
    assert_eq!(standing.matches("inet ").count(), 1, "{standing}");
}

#[test]
fn a_new_prefix_length_stands_before_the_old_one_goes() {
    lab::with_peer(async |_peer| {
        let addresses = addresses();
        let [old, new] = ["10.77.0.100/24", "10.77.0.100/32"].map(|one| vip(one, "lan"));
        addresses.reconcile(&all(std::slice::from_ref(&old), Wanted::Here)).await.unwrap();
        let changes = addresses.reconcile(&all(std::slice::from_ref(&new), Wanted::Here)).await.unwrap();
        assert_eq!(changes, [Change::Added(new), Change::Removed(old)]);
        assert!(ip("route show table local").contains("local 10.77.0.100 dev lan"), "it is never missing");
    });
}

/// On this kernel, which is newer than 5.18 wherever these tests run.
fn addresses() -> Addresses {
    Addresses::new(Path::new("/nonexistent/lbd.sock"), "5.18.0")
}

fn vip(address: &str, interface: &str) -> Vip {
    Vip { address: address.parse().unwrap(), interface: interface.to_owned() }
}

/// The switch of the namespace of the calling thread: /proc/sys/net is that of the reader.
const SWITCH: &str = "/proc/sys/net/ipv4/conf/lan/promote_secondaries";

fn set_promotion(value: &str) {
    // The kernel promotes where either switch is set.
    fs::write("/proc/sys/net/ipv4/conf/all/promote_secondaries", value).unwrap();
    fs::write(SWITCH, value).unwrap();
}

fn promotion() -> String {
    fs::read_to_string(SWITCH).unwrap().trim().to_owned()
}

/// Makes every sysctl read-only for the calling thread, as in a container.
fn lock_sysctl() {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
    mount(Some("/proc/sys"), "/proc/sys", none, MsFlags::MS_BIND, none).unwrap();
    let read_only = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(none, "/proc/sys", none, read_only, none).unwrap();
    assert!(fs::write(SWITCH, "1").is_err(), "the lock holds");
}

/// Each of these addresses, wanted so.
fn all(floating: &[Vip], wanted: Wanted) -> Vec<(Vip, Wanted)> {
    floating.iter().map(|vip| (vip.clone(), wanted)).collect()
}
