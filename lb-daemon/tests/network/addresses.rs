//! Floating addresses on a real interface.

use std::fs;

use lb_daemon::{
    address::{self, Change, Error},
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
        assert_eq!(address::present(&floating).await.unwrap(), [].into());

        let changes = address::reconcile(&floating, true).await.unwrap();
        assert_eq!(changes, [Change::Added(one.clone()), Change::Added(other.clone())]);
        assert_eq!(address::reconcile(&floating, true).await.unwrap(), []);
        assert_eq!(address::present(&floating).await.unwrap(), floating.clone().into());
        assert!(ip("address show dev lan").contains("inet 10.78.0.1/24 brd 10.78.0.255 scope global lan"));

        let changes = address::reconcile(&floating, false).await.unwrap();
        assert_eq!(changes, [Change::Removed(one), Change::Removed(other)]);
        assert_eq!(address::reconcile(&floating, false).await.unwrap(), []);
        assert!(!ip("address show dev lan").contains("inet "));
    });
}

#[test]
fn only_what_is_missing_is_added() {
    lab::with_peer(async |_peer| {
        ip("address add 10.77.0.100/32 dev lan");
        let floating = [vip("10.77.0.100/32", "lan"), vip("10.77.0.101/32", "lan")];
        let changes = address::reconcile(&floating, true).await.unwrap();
        assert_eq!(changes, [Change::Added(floating[1].clone())]);
    });
}

#[test]
fn an_interface_that_is_not_there_stops_nothing_else() {
    lab::with_peer(async |_peer| {
        let floating = [vip("10.77.0.100/32", "gone"), vip("10.77.0.101/32", "lan")];
        let error = address::reconcile(&floating, true).await.unwrap_err();
        assert_eq!(error.to_string(), "cannot add 10.77.0.100/32 to gone: No such device (os error 19)");
        let Error::Incomplete { changes, failures } = error else { panic!("{error}") };
        assert_eq!(changes, [Change::Added(floating[1].clone())]);
        assert_eq!(failures.len(), 1);
        let changes = address::reconcile(&floating, false).await.unwrap();
        assert_eq!(changes, [Change::Removed(floating[1].clone())], "what cannot stand needs no removal");
    });
}

#[test]
fn a_floating_primary_leaves_the_own_address_and_its_routes() {
    lab::with_peer(async |_peer| {
        set_promotion("0");
        let floating = [vip("10.77.0.100/24", "lan"), vip("10.77.0.101/24", "lan")];
        address::reconcile(&floating, true).await.unwrap();
        ip("address add 10.77.0.1/24 dev lan");
        ip("route add default via 10.77.0.254");
        assert!(
            ip("address show dev lan").contains("10.77.0.1/24 scope global secondary"),
            "the trap is set"
        );

        let changes = address::reconcile(&floating, false).await.unwrap();

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
        address::reconcile(&floating, true).await.unwrap();
        let changes = address::reconcile(&floating, false).await.unwrap();
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
        address::reconcile(&floating, true).await.unwrap();
        ip("address add 10.77.0.1/24 dev lan label lan:own");

        let changes = address::reconcile(&floating, false).await.unwrap();

        let own = vip("10.77.0.1/24", "lan");
        assert_eq!(changes, [Change::Removed(floating[0].clone()), Change::Restored(own)]);
        assert!(ip("address show dev lan").contains("inet 10.77.0.1/24 scope global lan:own"));
    });
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
