//! `lbctl status`: the router at a glance. What is not as it should be is written in capitals.

mod services;
mod sync;

use std::time::Duration;

use humantime::format_duration;

use super::{
    outcome::{CliError, Format},
    text::{clean, span},
};
use crate::api::{
    client::Client,
    types::{
        AddressStatus, BehindStatus, ConflictStatus, FailbackStatus, GroupStatus, InterfaceStatus,
        LeaseStatus, Maintenance, PathStatus, PeerStatus, Status, TrackStatus, Transition, WitnessStatus,
    },
};

/// Changes of role that are shown; the API has more.
const TRANSITIONS: usize = 3;

/// Columns before the facts of a line.
const LABEL: usize = 12;

/// Shows the router.
///
/// # Errors
/// When the daemon refuses or does not answer.
pub async fn run(client: &Client, format: Format) -> Result<String, CliError> {
    format.render(&client.status().await?, render)
}

/// The whole picture.
pub fn render(status: &Status) -> String {
    let Status { router, version, role, reason, since_secs, .. } = status;
    let mut out = String::new();
    facts(&mut out, "Router", [format!("{router}, lbd {version}")]);
    if status.groups.is_empty() {
        facts(&mut out, "Role", [format!("{role} for {}: {reason}", span(*since_secs))]);
    }
    facts(&mut out, "Groups", status.groups.iter().map(|one| group(one, status.peer.is_some())));
    facts(&mut out, "Maintenance", status.maintenance.iter().map(maintenance));
    match &status.peer {
        None => facts(&mut out, "Peer", ["none: this router stands alone".to_owned()]),
        Some(peer) => render_peer(&mut out, peer, role),
    }
    facts(&mut out, "Tracks", status.tracks.iter().map(track));
    facts(&mut out, "Sync", status.sync.iter().flat_map(sync::lines));
    facts(&mut out, "  to peer", status.sync_out.iter().flat_map(sync::lines));
    facts(&mut out, "Interfaces", status.interfaces.iter().map(interface));
    facts(&mut out, "Addresses", status.addresses.iter().map(|one| address(one, role_of(status, one))));
    facts(&mut out, "Conflicts", status.conflicts.iter().map(conflict));
    out.push('\n');
    out += &services::render(&status.services);
    if !status.warnings.is_empty() {
        out.push('\n');
    }
    for warning in &status.warnings {
        out += &format!("WARNING: {}\n", clean(warning));
    }
    out
}

/// Lines of facts, the first of them with its label; nothing where there are none.
fn facts(out: &mut String, label: &str, facts: impl IntoIterator<Item = String>) {
    let mut label = label;
    for fact in facts {
        *out += &format!("{label:<LABEL$}{}\n", clean(&fact));
        label = "";
    }
}

fn render_peer(out: &mut String, peer: &PeerStatus, role: &str) {
    facts(out, "Peer", [peer_now(peer)]);
    facts(out, "  paths", peer.paths.iter().map(path));
    facts(out, "  witness", peer.witnesses.iter().map(witness));
    facts(out, "  failback", peer.failback.iter().map(|one| failback(one, role)));
    facts(out, "  copy", peer.behind.iter().map(behind));
    facts(out, "  lease", lease(&peer.lease));
    let ignored: Vec<_> = peer.ignored.iter().map(|(cause, count)| format!("{cause} {count}")).collect();
    facts(out, "  ignored", (!ignored.is_empty()).then(|| ignored.join(", ")));
    facts(out, "  changes", peer.transitions.iter().take(TRANSITIONS).map(transition));
}

fn peer_now(peer: &PeerStatus) -> String {
    let name = peer.name.as_deref().unwrap_or("peer");
    let role = peer.role.as_deref().unwrap_or("role unknown");
    match (peer.alive, &peer.name) {
        (true, _) => {
            let fault = if peer.fault { ", with a FAULT" } else { "" };
            let held = peer.forced.as_ref().map(|role| format!(", held {}", role.to_uppercase()));
            format!("{name}, {role}{fault}{}", held.unwrap_or_default())
        }
        (false, Some(_)) => format!("{name}, NOT HEARD; it was {role}"),
        (false, None) => "NEVER HEARD".to_owned(),
    }
}

fn group(group: &GroupStatus, has_peer: bool) -> String {
    let GroupStatus { name, role, reason, since_secs, .. } = group;
    let held = group.peer_forced.as_ref().map(|role| format!(", held {}", role.to_uppercase()));
    let peer =
        format!("; peer {}{}", group.peer_role.as_deref().unwrap_or("NOT HEARD"), held.unwrap_or_default());
    let returns = group.failback.as_ref().map(|one| format!("; failback {}", failback(one, role)));
    let lacks = group.behind.as_ref().filter(|one| one.far).map(|one| format!("; {}", behind(one)));
    let now =
        format!("{name} {role} for {}: {reason}{}", span(*since_secs), if has_peer { &peer } else { "" });
    [now, returns.unwrap_or_default(), lacks.unwrap_or_default()].concat()
}

/// The role that an address moves with.
fn role_of<'a>(status: &'a Status, address: &AddressStatus) -> &'a str {
    let group = status.groups.iter().find(|group| Some(&group.name) == address.group.as_ref());
    group.map_or(&status.role, |group| &group.role)
}

fn maintenance(held: &Maintenance) -> String {
    let reason = if held.reason.is_empty() { String::new() } else { format!(": {}", held.reason) };
    format!("held {} by the operator{reason}", held.role.name().to_uppercase())
}

fn path(path: &PathStatus) -> String {
    let PathStatus { local, remote, alive, silent_ms } = path;
    format!("{local} -> {remote}, {}", heard(*alive, *silent_ms))
}

/// When something was heard last that is to be heard all the time.
fn heard(alive: bool, silent_ms: Option<u64>) -> String {
    match (alive, silent_ms) {
        (true, Some(ms)) => format!("heard {ms} ms ago"),
        (true, None) => "heard".to_owned(),
        (false, Some(ms @ 0..1000)) => format!("SILENT for {ms} ms"),
        (false, Some(ms)) => format!("SILENT for {}", span(ms / 1000)),
        (false, None) => "NEVER HEARD".to_owned(),
    }
}

/// Whether a router in this role takes it back.
fn failback(failback: &FailbackStatus, role: &str) -> String {
    let waits = failback.mode == "auto" && role == "standby" && !failback.ready;
    let waits = if waits { ", WAITS for connections or real servers" } else { "" };
    let delay = failback.delay_ms.map(|ms| format!(" after {}", format_duration(Duration::from_millis(ms))));
    format!("{}{}{waits}", failback.mode, delay.unwrap_or_default())
}

/// How far the standby of the two routers is behind, whichever that is.
fn behind(behind: &BehindStatus) -> String {
    let age = match behind.age_ms {
        ms @ 0..1000 => format!("{ms} ms"),
        ms => span(ms / 1000),
    };
    let word = if behind.far { "BEHIND" } else { "behind" };
    match (behind.records, behind.bytes.unwrap_or(0)) {
        (None, _) => format!("the standby has NOT EVERYTHING, for {age}"),
        (Some(0), _) => "the standby has everything that was told".to_owned(),
        (Some(records), bytes) => {
            format!("the standby is {word} by {records} records, {bytes} bytes, for {age}")
        }
    }
}

/// Nothing where the daemon is too old to say.
fn lease(lease: &LeaseStatus) -> Option<String> {
    match (lease.state.as_str(), lease.left_ms) {
        ("running", Some(ms)) => Some(format!("runs for {ms} ms more")),
        ("expired", _) => Some(
            "EXPIRED: addresses are not answered for until the peer is heard, or stays silent".to_owned(),
        ),
        ("none", _) => Some("none".to_owned()),
        _ => None,
    }
}

fn witness(witness: &WitnessStatus) -> String {
    format!("{}, {}", witness.address, heard(witness.answers, witness.silent_ms))
}

fn transition(transition: &Transition) -> String {
    let Transition { ago_secs, group, from, to, reason } = transition;
    let group = group.as_ref().map(|name| format!("{name} ")).unwrap_or_default();
    format!("{} ago {group}{from} -> {to}: {reason}", span(*ago_secs))
}

fn track(track: &TrackStatus) -> String {
    let TrackStatus { name, ok, weight, fault, detail } = track;
    match ok {
        None => format!("{name} not looked at yet"),
        Some(true) => format!("{name} well: {detail}"),
        Some(false) => {
            let fault = fault.then(|| "a fault".to_owned());
            let weight = (*weight > 0).then(|| format!("priority lowered by {weight}"));
            let effect: Vec<_> = [fault, weight].into_iter().flatten().collect();
            format!("{name} FAILS, {}: {detail}", effect.join(", "))
        }
    }
}

fn interface(interface: &InterfaceStatus) -> String {
    let InterfaceStatus { name, mode } = interface;
    match mode.as_str() {
        "generic" => format!("{name} GENERIC: its driver has no XDP, so every packet is slow"),
        mode => format!("{name} {mode}"),
    }
}

fn address(address: &AddressStatus, role: &str) -> String {
    let AddressStatus { address, interface, present, virtual_mac, .. } = address;
    let place = match (present, role) {
        (true, "standby") => "PRESENT, though the role is standby",
        (true, _) => "present",
        (false, "active") => "MISSING",
        (false, _) => "not here",
    };
    let mac = virtual_mac.as_ref().map(|mac| format!(", virtual MAC {mac}")).unwrap_or_default();
    format!("{address} on {interface}, {place}{mac}")
}

fn conflict(conflict: &ConflictStatus) -> String {
    let ConflictStatus { address, interface, mac, claimed_by, since_secs, .. } = conflict;
    format!("{address} on {interface} CLAIMED by {claimed_by}, {mac}, for {}", span(*since_secs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_that_contradicts_the_role_is_loud() {
        let shown = |present, role: &str| {
            let status = AddressStatus {
                group: None,
                address: "10.9.9.9/32".to_owned(),
                interface: "eth0".to_owned(),
                present,
                virtual_mac: None,
            };
            address(&status, role)
        };
        assert_eq!(shown(true, "active"), "10.9.9.9/32 on eth0, present");
        assert_eq!(shown(false, "active"), "10.9.9.9/32 on eth0, MISSING");
        assert_eq!(shown(true, "standby"), "10.9.9.9/32 on eth0, PRESENT, though the role is standby");
        assert_eq!(shown(false, "standby"), "10.9.9.9/32 on eth0, not here");
    }

    #[test]
    fn a_track_that_fails_is_loud_and_says_what_follows() {
        let shown = |ok, weight, fault| {
            let (name, detail) = ("disk".to_owned(), "exit code 1".to_owned());
            track(&TrackStatus { name, ok, weight, fault, detail })
        };
        assert_eq!(shown(None, 1, true), "disk not looked at yet");
        assert_eq!(shown(Some(true), 1, true), "disk well: exit code 1");
        assert_eq!(shown(Some(false), 0, true), "disk FAILS, a fault: exit code 1");
        assert_eq!(shown(Some(false), 9, true), "disk FAILS, a fault, priority lowered by 9: exit code 1");
    }

    #[test]
    fn a_lease_says_whether_addresses_are_answered_for() {
        let shown = |state: &str, left_ms| lease(&LeaseStatus { state: state.to_owned(), left_ms });
        assert_eq!(shown("running", Some(812)).as_deref(), Some("runs for 812 ms more"));
        assert!(shown("expired", None).is_some_and(|text| text.starts_with("EXPIRED")));
        assert_eq!(shown("none", None).as_deref(), Some("none"));
        assert_eq!(shown("", None), None);
    }

    #[test]
    fn a_failback_says_what_it_waits_for() {
        let shown = |mode: &str, delay_ms, ready, role| {
            failback(&FailbackStatus { mode: mode.to_owned(), delay_ms, ready }, role)
        };
        assert_eq!(shown("manual", None, false, "standby"), "manual");
        assert_eq!(shown("auto", Some(2500), true, "standby"), "auto after 2s 500ms");
        assert_eq!(shown("auto", Some(0), false, "active"), "auto after 0s");
        let waits = "auto after 5s, WAITS for connections or real servers";
        assert_eq!(shown("auto", Some(5000), false, "standby"), waits);
    }

    #[test]
    fn a_standby_that_is_far_behind_is_loud() {
        let shown = |records: Option<u64>, age_ms, far| {
            behind(&BehindStatus { records, bytes: records.map(|records| records * 30), age_ms, far })
        };
        assert_eq!(shown(Some(0), 0, false), "the standby has everything that was told");
        assert_eq!(shown(Some(7), 40, false), "the standby is behind by 7 records, 210 bytes, for 40 ms");
        assert_eq!(shown(Some(7), 75_000, true), "the standby is BEHIND by 7 records, 210 bytes, for 1m 15s");
        assert_eq!(shown(None, 999, true), "the standby has NOT EVERYTHING, for 999 ms");
    }

    #[test]
    fn a_path_says_when_it_was_heard() {
        let shown = |alive, silent_ms| {
            let status =
                PathStatus { local: "10.1.0.1".to_owned(), remote: "10.1.0.2".to_owned(), alive, silent_ms };
            path(&status)
        };
        assert_eq!(shown(true, Some(12)), "10.1.0.1 -> 10.1.0.2, heard 12 ms ago");
        assert_eq!(shown(false, Some(34_567)), "10.1.0.1 -> 10.1.0.2, SILENT for 34s");
        assert_eq!(shown(false, None), "10.1.0.1 -> 10.1.0.2, NEVER HEARD");
    }
}
