//! What is tracked reaches the pair and the status.

use super::*;
use crate::config::{Command, Track, TrackProbe};

#[tokio::test]
async fn what_fails_is_told_and_what_is_well_again_too() {
    let mut config = unchecked();
    let link = TrackProbe::Link { interface: "lo".to_owned() };
    config.tracks = vec![track("uplink", link, 0, true), track("disk", script("/bin/true"), 60, false)];
    let rig = Rig::start(config).await;
    let well = rig.until(|status| status.tracks.iter().all(|track| track.ok == Some(true))).await;
    assert_eq!((well.tracks[0].detail.as_str(), well.reason.as_str()), ("lo is up", "no peer is configured"));
    rig.topology.send_modify(|network| network.links.get_mut("lo").unwrap().up = false);
    let failing = rig.until(|status| status.tracks[0].ok == Some(false)).await;
    // A router without a peer goes on.
    assert_eq!(failing.role, "active");
    assert_eq!(failing.reason, "no peer is configured; this router has a fault: uplink");
    assert!(failing.warnings.contains(&"track uplink fails: lo is down, or has no carrier".to_owned()));
    rig.topology.send_modify(|network| network.links.get_mut("lo").unwrap().up = true);
    rig.until(|status| status.reason == "no peer is configured").await;
}

#[tokio::test]
async fn a_reload_changes_what_is_tracked() {
    let mut config = unchecked();
    config.tracks = vec![track("disk", script("/bin/false"), 0, true)];
    let rig = Rig::start(config).await;
    rig.until(|status| status.reason.ends_with("this router has a fault: disk")).await;
    let mut director = rig.stop().await;
    director.parts.config.tracks.clear();
    director.apply_config();
    assert_eq!(director.parts.pair.explanation(0), "no peer is configured");
}

#[tokio::test]
async fn commands_hear_of_roles_and_faults() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let mut config = unchecked();
    config.tracks = vec![track("uplink", TrackProbe::Link { interface: "lo".to_owned() }, 0, true)];
    let TrackProbe::Script(mut command) = script("/bin/sh") else { unreachable!("a script") };
    command.words.extend(["-c".to_owned(), format!("(cat; echo) >> {}", out.display())]);
    config.notify.event = Some(command);
    let rig = Rig::start(config).await;
    rig.topology.send_modify(|network| network.links.get_mut("lo").unwrap().up = false);
    rig.until(|status| status.tracks[0].ok == Some(false)).await;
    rig.topology.send_modify(|network| network.links.get_mut("lo").unwrap().up = true);
    rig.until(|status| status.tracks[0].ok == Some(true)).await;
    rig.stop().await.shutdown().await;
    let told = std::fs::read_to_string(&out).unwrap();
    let told: Vec<serde_json::Value> = told
        .lines()
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let events: Vec<_> = told.iter().map(|one| (one["event"].as_str(), one["reason"].as_str())).collect();
    let expected = [
        ("role", "no peer is configured"),
        ("fault", "this router has a fault: uplink"),
        ("recovered", "this router has no fault any more"),
    ];
    assert_eq!(events, expected.map(|(event, reason)| (Some(event), Some(reason))));
    assert_eq!((&told[0]["role"], &told[0]["previous_role"]), (&"active".into(), &"starting".into()));
    assert_eq!((&told[1]["router"], &told[1]["peer"]), (&"lvs1".into(), &serde_json::Value::Null));
    assert!(humantime::parse_rfc3339(told[0]["time"].as_str().unwrap()).is_ok(), "{told:?}");
}

fn track(name: &str, probe: TrackProbe, weight: u8, fault: bool) -> Track {
    let interval = Duration::from_millis(50);
    Track { name: name.to_owned(), probe, interval, rise: 1, fall: 1, weight, fault, groups: Vec::new() }
}

fn script(program: &str) -> TrackProbe {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
    TrackProbe::Script(Command { words: vec![program.to_owned()], user, timeout: LONG })
}
