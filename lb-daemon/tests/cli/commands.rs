//! Every command, from its arguments to its output.

use lb_daemon::api::types::LeaseStatus;
use serde_json::{Value, json};

use crate::{
    fake::{Fake, Outcome, Running},
    fixture,
    snapshot::assert_snapshot,
};

#[tokio::test]
async fn status_shows_everything_within_100_columns() {
    let running = Running::start(Fake::default());
    let text = done(running.lbctl(&["status"]).await);
    assert_snapshot("status-pair.txt", &text);
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
        assert!(!line.ends_with(' '), "{line:?}");
    }
}

#[tokio::test]
async fn status_of_a_router_alone() {
    let running = Running::start(Fake { status: fixture::alone(), ..Fake::default() });
    assert_snapshot("status-alone.txt", &done(running.lbctl(&["status"]).await));
}

#[tokio::test]
async fn status_of_a_router_that_has_not_heard_its_peer() {
    let mut status = fixture::pair();
    let peer = status.peer.as_mut().unwrap();
    (peer.name, peer.role, peer.alive, peer.behind) = (None, None, false, None);
    peer.lease = LeaseStatus { state: "expired".to_owned(), left_ms: None };
    peer.paths[0].alive = false;
    peer.ignored.clear();
    peer.transitions.clear();
    let running = Running::start(Fake { status, ..Fake::default() });
    assert_snapshot("status-unheard.txt", &done(running.lbctl(&["status"]).await));
}

#[tokio::test]
async fn status_of_a_router_with_a_fault() {
    let mut status = fixture::pair();
    status.role = "standby".to_owned();
    status.reason = "peer has taken over; this router has a fault: uplink".to_owned();
    status.tracks[0].ok = Some(false);
    status.tracks[0].detail = "eth0 is down, or has no carrier".to_owned();
    let peer = status.peer.as_mut().unwrap();
    (peer.role, peer.fault) = (Some("active".to_owned()), false);
    peer.lease = LeaseStatus { state: "none".to_owned(), left_ms: None };
    let running = Running::start(Fake { status, ..Fake::default() });
    assert_snapshot("status-fault.txt", &done(running.lbctl(&["status"]).await));
}

#[tokio::test]
async fn status_of_a_router_that_is_cut_off() {
    let mut status = fixture::pair();
    status.role = "standby".to_owned();
    status.reason = "neither the peer nor a witness answers: this router may be cut off".to_owned();
    let peer = status.peer.as_mut().unwrap();
    (peer.alive, peer.paths[0].alive, peer.witnesses[0].answers) = (false, false, false);
    peer.behind = None;
    peer.lease = LeaseStatus { state: "none".to_owned(), left_ms: None };
    let running = Running::start(Fake { status, ..Fake::default() });
    assert_snapshot("status-cut-off.txt", &done(running.lbctl(&["status"]).await));
}

#[tokio::test]
async fn status_tells_of_each_group() {
    let running = Running::start(Fake { status: fixture::groups(), ..Fake::default() });
    assert_snapshot("status-groups.txt", &done(running.lbctl(&["status"]).await));
}

#[tokio::test]
async fn stats_hide_zeros_unless_asked() {
    let running = Running::start(Fake::default());
    assert_snapshot("stats.txt", &done(running.lbctl(&["stats"]).await));
    assert_snapshot("stats-all.txt", &done(running.lbctl(&["stats", "--all"]).await));
}

#[tokio::test]
async fn conns_lists_them_all() {
    let connections = fixture::many_connections();
    let running = Running::start(Fake { connections: connections.clone(), ..Fake::default() });
    assert_eq!(done(running.lbctl(&["conns"]).await).lines().count(), connections.len() + 2);
}

#[tokio::test]
async fn commands_reach_the_daemon_and_say_what_it_did() {
    let cases = [
        (&["failover"][..], "failover"),
        (&["failover", "--group", "west"], "failover of west"),
        (&["reload"], "reload"),
        (&["maintenance", "standby", "--group", "west"], "Some(Standby) for  of west"),
        (&["maintenance", "standby", "--reason", "new cables"], "Some(Standby) for new cables"),
        (&["maintenance", "active"], "Some(Active) for "),
        (&["maintenance", "off"], "None for "),
        (&["server", "rs1", "weight", "5"], "Weight(5) rs1 in all"),
        (&["server", "rs1", "weight", "0", "--service", "web"], "Weight(0) rs1 in web"),
        (&["server", "10.0.1.2:80", "drain"], "Drain 10.0.1.2:80 in all"),
        (&["server", "10.0.1.2", "enable"], "Enable 10.0.1.2 in all"),
        (&["server", "--service", "web", "rs1", "disable"], "Disable rs1 in web"),
        (&["server", "drain", "drain"], "Drain drain in all"),
    ];
    for (args, command) in cases {
        let running = Running::start(Fake::default());
        assert_eq!(done(running.lbctl(args).await), format!("did {command}\n"), "{args:?}");
        assert_eq!(running.commands(), [command], "{args:?}");
    }
}

#[tokio::test]
async fn json_is_what_the_api_says() {
    let running = Running::start(Fake { connections: fixture::many_connections(), ..Fake::default() });
    let status = serde_json::to_value(fixture::pair()).unwrap();
    let cases = [
        (&["status", "--json"][..], status.clone()),
        (&["--json", "list", "--stats"], status),
        (&["stats", "--json"], serde_json::to_value(fixture::stats()).unwrap()),
        (&["conns", "--json"], serde_json::to_value(fixture::many_connections()).unwrap()),
        (&["failover", "--json"], json!({"message": "did failover"})),
        (&["reload", "--json"], json!({"message": "did reload"})),
        (&["server", "rs1", "drain", "--json"], json!({"message": "did Drain rs1 in all"})),
    ];
    for (args, expected) in cases {
        let text = done(running.lbctl(args).await);
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected, "{args:?}");
    }
}

#[tokio::test]
async fn help_tells_commands_and_exit_codes() {
    let running = Running::start(Fake::default());
    assert_snapshot("help.txt", &done(running.lbctl(&["--help"]).await));
    let version = done(running.lbctl(&["--version"]).await);
    assert_eq!(version, format!("lbctl {}\n", env!("CARGO_PKG_VERSION")));
}

/// The output of a run that went well.
fn done(outcome: Outcome) -> String {
    assert_eq!((outcome.code, outcome.stderr.as_str()), (Some(0), ""), "{}", outcome.stdout);
    outcome.stdout
}
