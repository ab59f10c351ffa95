//! Real, small shell scripts.

use std::{fs, path::Path, time::Duration};

use serde_json::{Value, json};

use super::*;

/// Far more than any step takes: a test that waits this long has failed.
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn an_event_is_one_json_object_on_standard_input() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let notifier = Notifier::start();
    notifier.tell(&role("active"), &Notify { active: Some(appends("cat", &out)), ..Notify::default() });
    finish(notifier).await;
    let told: Value = serde_json::from_str(&fs::read_to_string(&out).unwrap()).unwrap();
    let expected = json!({
        "event": "role",
        "router": "lb1",
        "role": "active",
        "previous_role": "standby",
        "reason": "peer silent for 1s",
        "time": "2026-11-25T01:02:03.456Z",
        "peer": {"name": "lb2", "role": "active", "alive": false},
    });
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_conflict_says_who_claims_which_address() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let conflict = Conflict {
        address: Ipv4Addr::new(192, 0, 2, 10),
        interface: "eth0".to_owned(),
        mac: "02:00:00:00:00:09".to_owned(),
        claimed_by: "a stranger".to_owned(),
    };
    let event = Event { event: Kind::ConflictOver, conflict: Some(conflict), ..role("active") };
    let notifier = Notifier::start();
    let silent = Some(appends("echo no", &out));
    notifier.tell(&event, &Notify { active: silent, event: Some(appends("cat", &out)), ..Notify::default() });
    finish(notifier).await;
    let told: Value = serde_json::from_str(&fs::read_to_string(&out).unwrap()).unwrap();
    assert_eq!(told["event"], "conflict_over");
    let expected = json!({"address": "192.0.2.10", "interface": "eth0", "mac": "02:00:00:00:00:09", "claimed_by": "a stranger"});
    assert_eq!(told["conflict"], expected);
}

#[tokio::test]
async fn each_event_runs_its_own_command_and_the_one_for_all() {
    let directory = tempfile::tempdir().unwrap();
    let [states, all] = ["states", "all"].map(|name| directory.path().join(name));
    let says = |word: &str| Some(appends(&format!("echo {word}"), &states));
    let commands = Notify {
        active: says("active"),
        standby: says("standby"),
        fault: says("fault"),
        event: Some(appends("echo x", &all)),
    };
    let notifier = Notifier::start();
    for event in [
        role("standby"),
        role("active"),
        Event { event: Kind::Fault, ..role("active") },
        role("leaving"),
        Event { event: Kind::Recovered, ..role("active") },
        role("standby"),
    ] {
        notifier.tell(&event, &commands);
    }
    finish(notifier).await;
    let lines =
        |path: &Path| fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&states), ["standby", "active", "fault", "standby"], "in the order of the events");
    assert_eq!(lines(&all).len(), 6);
}

#[tokio::test]
async fn nobody_waits_for_a_slow_command_and_one_runs_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let (gate, lock) = (directory.path().join("gate"), directory.path().join("lock"));
    // Waits for the gate; a second one beside it would not get the lock.
    let script = format!(
        "mkdir {lock} || exit 7; until [ -e {gate} ]; do sleep 0.02; done; rmdir {lock}; echo done",
        lock = lock.display(),
        gate = gate.display()
    );
    let out = directory.path().join("out");
    let commands = Notify { active: Some(appends(&script, &out)), ..Notify::default() };
    let notifier = Notifier::start();
    for _ in 0..WAITING + 20 {
        notifier.tell(&role("active"), &commands);
    }
    assert!(!out.exists());
    fs::write(&gate, "").unwrap();
    finish(notifier).await;
    let done = fs::read_to_string(&out).unwrap().lines().count();
    assert!((1..=WAITING + 1).contains(&done), "{done} commands were run, and no more were kept");
}

#[tokio::test]
async fn what_hangs_or_fails_does_not_keep_the_next_one_back() {
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("out");
    let hangs = Command { timeout: Duration::from_millis(100), ..appends("sleep 60", &out) };
    let fails = appends("exit 3", &out);
    let absent = Command { words: vec!["/nonexistent".to_owned()], ..fails.clone() };
    let notifier = Notifier::start();
    for command in [hangs, fails, absent, appends("echo last", &out)] {
        notifier.tell(&role("active"), &Notify { active: Some(command), ..Notify::default() });
    }
    finish(notifier).await;
    assert_eq!(fs::read_to_string(&out).unwrap(), "last\n");
}

#[tokio::test]
async fn without_commands_nothing_is_run() {
    let notifier = Notifier::start();
    notifier.tell(&role("active"), &Notify::default());
    finish(notifier).await;
}

async fn finish(notifier: Notifier) {
    tokio::time::timeout(LONG, notifier.finish()).await.expect("the commands end");
}

fn role(role: &str) -> Event {
    Event {
        group: None,
        event: Kind::Role,
        router: "lb1".to_owned(),
        role: role.to_owned(),
        previous_role: Some("standby".to_owned()),
        reason: "peer silent for 1s".to_owned(),
        time: "2026-11-25T01:02:03.456Z".to_owned(),
        peer: Some(Peer { name: Some("lb2".to_owned()), role: Some("active".to_owned()), alive: false }),
        conflict: None,
    }
}

/// A shell script whose output is appended to `out`, as the user that the test runs as.
fn appends(script: &str, out: &Path) -> Command {
    let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).unwrap().unwrap().name;
    let script = format!("( {script} ) >> {}", out.display());
    Command { words: ["/bin/sh", "-c", &script].map(str::to_owned).into(), user, timeout: LONG }
}
