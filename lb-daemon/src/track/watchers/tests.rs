//! Tracks over a network that is told by hand, and over real scripts and hosts.

use std::{fs, time::Duration};

use super::*;
use crate::{config::Command, namespace::in_namespace, topology::Link};

/// Far more than any step takes: a test that waits this long has failed.
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_link_that_goes_down_is_reported_at_once_and_comes_back_after_rise() {
    let (network, seen) = watch::channel(network(true));
    let (sender, mut reports) = mpsc::channel(8);
    let mut watchers = Watchers::new(sender, seen);
    // No tick but the first: what follows is told by the network.
    let hour = Duration::from_secs(3600);
    watchers.set(&[Track { interval: hour, rise: 2, ..track(link("eth0")) }]);
    assert_eq!(next(&mut reports).await, (true, "eth0 is up".to_owned()));
    network.send_replace(self::network(false));
    assert_eq!(next(&mut reports).await, (false, "eth0 is down, or has no carrier".to_owned()));
    network.send_replace(Topology::default());
    while watchers.detail("track").as_deref() != Some("there is no interface eth0") {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    network.send_replace(self::network(true));
    while watchers.detail("track").as_deref() != Some("eth0 is up") {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    assert!(reports.try_recv().is_err(), "one success is not enough");
    network.send_replace(self::network(true));
    assert_eq!(next(&mut reports).await, (true, "eth0 is up".to_owned()));
}

#[tokio::test]
async fn a_script_flips_after_fall_failures() {
    let directory = tempfile::tempdir().unwrap();
    let (counts, says) = (directory.path().join("counts"), directory.path().join("says"));
    fs::write(&says, "0").unwrap();
    let script = format!("echo x >> {}; read code < {}; exit $code", counts.display(), says.display());
    let (sender, mut reports) = mpsc::channel(8);
    let mut watchers = Watchers::new(sender, watch::channel(Topology::default()).1);
    watchers.set(&[Track { interval: Duration::from_millis(20), fall: 3, ..track(self::script(&script)) }]);
    assert_eq!(next(&mut reports).await, (true, "exit code 0".to_owned()));
    let before = fs::read_to_string(&counts).unwrap().lines().count();
    fs::write(&says, "7").unwrap();
    assert_eq!(next(&mut reports).await, (false, "exit code 7".to_owned()));
    let looks = fs::read_to_string(&counts).unwrap().lines().count() - before;
    assert!(looks >= 3, "{looks} failures were enough");
    fs::write(&says, "0").unwrap();
    assert!(next(&mut reports).await.0);
}

#[test]
fn a_gateway_is_asked() {
    in_namespace(async {
        let (sender, mut reports) = mpsc::channel(8);
        let mut watchers = Watchers::new(sender, watch::channel(Topology::default()).1);
        let gateway = |last: u8| TrackProbe::Gateway {
            address: [127, 0, 0, last].into(),
            interface: None,
            timeout: Duration::from_secs(5),
        };
        watchers.set(&[track(gateway(1))]);
        let (ok, detail) = next(&mut reports).await;
        assert!(ok && detail.starts_with("echo after "), "{detail}");
        // A track that is changed starts anew: here, towards a network without a route.
        let elsewhere = TrackProbe::Gateway {
            address: [192, 0, 2, 1].into(),
            interface: None,
            timeout: Duration::from_secs(1),
        };
        watchers.set(&[track(elsewhere)]);
        let (ok, detail) = next(&mut reports).await;
        assert!(!ok && detail.starts_with("cannot ask for an echo: Network is unreachable"), "{detail}");
    });
}

#[tokio::test]
async fn what_is_no_longer_watched_reports_nothing() {
    let (network, seen) = watch::channel(network(true));
    let (sender, mut reports) = mpsc::channel(8);
    let mut watchers = Watchers::new(sender, seen);
    watchers.set(&[track(link("eth0"))]);
    next(&mut reports).await;
    watchers.set(&[]);
    network.send_replace(self::network(false));
    assert_eq!(watchers.detail("track"), None);
    drop(watchers);
    assert_eq!(reports.recv().await, None);
}

async fn next(reports: &mut mpsc::Receiver<Report>) -> (bool, String) {
    let report = tokio::time::timeout(LONG, reports.recv()).await.expect("a report").expect("the task runs");
    assert_eq!(report.track, "track");
    (report.ok, report.detail)
}

fn track(probe: TrackProbe) -> Track {
    let interval = Duration::from_millis(50);
    Track {
        name: "track".to_owned(),
        probe,
        interval,
        rise: 1,
        fall: 1,
        weight: 1,
        fault: false,
        groups: Vec::new(),
    }
}

fn link(interface: &str) -> TrackProbe {
    TrackProbe::Link { interface: interface.to_owned() }
}

/// A shell script, as the user that the test runs as.
fn script(text: &str) -> TrackProbe {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
    TrackProbe::Script(Command {
        words: ["/bin/sh", "-c", text].map(str::to_owned).into(),
        user,
        timeout: LONG,
    })
}

fn network(up: bool) -> Topology {
    let link = Link { index: 1, mac: [2; 6], up };
    Topology { links: [("eth0".to_owned(), link)].into(), ..Topology::default() }
}
