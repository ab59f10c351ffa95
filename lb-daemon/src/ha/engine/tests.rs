//! The table row by row, and the rules around it.

use std::time::Duration;

use super::*;
use crate::{
    config::Failback,
    ha::heartbeat::{Echo, Position},
};

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_router_without_a_peer_is_active_at_once_and_silent() {
    let now = Instant::now();
    let mut engine = Engine::new(Settings::alone("alpha".to_owned(), String::new()), false, now);
    assert_eq!((engine.role(), engine.reason()), (Role::Active, "no peer is configured".to_owned()));
    assert_eq!((engine.next_deadline(), engine.poll_transmit(now)), (None, None));
    assert_eq!(engine.failover(now), Err(Refusal::NoPeer));
    engine.shutdown(now);
    assert!(engine.is_finished());
}

#[test]
fn silence_has_its_reason_and_its_place_in_the_history() {
    let (mut engine, start) = started();
    engine.handle_timeout(start + MS * 100);
    sleep_until(&mut engine, start + MS * 999);
    assert_eq!(engine.role(), Role::Starting);
    sleep_until(&mut engine, start + MS * 1000);
    assert_eq!((engine.role(), engine.reason()), (Role::Active, "peer silent for 1s".to_owned()));
    let transition = engine.transitions().next().cloned().unwrap();
    assert_eq!((transition.from, transition.to), (Role::Starting, Role::Active));
    assert_eq!(transition.at, start + MS * 1000);
    assert_eq!(engine.poll_notice(), Some(Notice::Role(transition)));
    assert_eq!(engine.poll_notice(), None);
}

#[test]
fn a_starting_router_is_patient_with_a_peer_that_has_yet_to_prove_itself_but_not_for_ever() {
    let (mut engine, start) = started();
    sleep_until(&mut engine, start + MS * 900);
    let unproven = Heartbeat { echo: None, ..says(Role::Active, 1) };
    assert_eq!(engine.handle_heartbeat(0, &unproven, start + MS * 900), Err(Ignored::Unproven));
    sleep_until(&mut engine, start + MS * 2999);
    assert_eq!(engine.role(), Role::Starting);
    sleep_until(&mut engine, start + MS * 3000);
    assert_eq!(engine.role(), Role::Active);
}

#[test]
fn heartbeats_are_paced_and_a_change_of_role_is_told_at_once() {
    let (mut engine, start) = started();
    assert!(engine.poll_transmit(start).is_some());
    assert!(engine.poll_transmit(start).is_none());
    assert_eq!(engine.next_deadline(), Some(start + MS * 100));
    hear(&mut engine, Role::Active, 1, start + MS * 10);
    assert_eq!(engine.role(), Role::Standby);
    let said = engine.poll_transmit(start + MS * 10).unwrap();
    assert_eq!((said.role, said.sequence), (Role::Standby, 2));
    assert_eq!(said.echo, Some(Echo { incarnation: PEER, sequence: 1 }));
}

#[test]
fn a_standby_router_asks_for_its_role_after_the_delay_and_not_before() {
    let (mut engine, start) = started();
    for n in 0..40 {
        let now = start + MS * 100 * n;
        hear(&mut engine, Role::Active, u64::from(n) + 1, now);
        sleep_until(&mut engine, now);
        let asks = engine.poll_transmit(now).unwrap().wants_role;
        assert_eq!(asks, n >= 30, "after {n} intervals");
    }
}

#[test]
fn a_router_without_the_connections_does_not_ask_for_its_role() {
    let (mut engine, start) = started();
    engine.set_ready(false);
    for n in 0..80 {
        let now = start + MS * 100 * n;
        if n == 60 {
            engine.set_ready(true);
        }
        hear(&mut engine, Role::Active, u64::from(n) + 1, now);
        sleep_until(&mut engine, now);
        assert_eq!(engine.poll_transmit(now).unwrap().wants_role, n >= 60, "after {n} intervals");
    }
}

#[test]
fn a_router_that_lacks_what_the_peer_has_told_does_not_ask_for_its_role() {
    let (mut engine, start) = started();
    let at = |session, records| Some(Position { session, records });
    // What the peer has told, and what has been applied here.
    let steps = [
        (at(5, 10), at(5, 9), false),
        (at(5, 10), at(5, 10), true),
        (at(5, 11), at(5, 10), false),
        (at(0, 0), at(5, 99), false),
        (at(6, 1), at(5, 99), false),
        (None, at(5, 9), true),
        (at(5, 10), None, true),
    ];
    for (n, (position, applied, asks)) in (1..).zip([(None, None, false); 40].into_iter().chain(steps)) {
        let now = start + MS * 100 * n;
        engine.set_positions(Positions { told: None, applied }, now);
        let said = Heartbeat { position, ..says(Role::Active, n.into()) };
        engine.handle_heartbeat(0, &said, now).unwrap();
        sleep_until(&mut engine, now);
        let own = engine.poll_transmit(now).unwrap();
        assert_eq!(own.position, applied);
        assert!(n <= 40 || own.wants_role == asks, "step {n}: {position:?}, {applied:?}");
    }
}

#[test]
fn a_failover_to_a_peer_that_lacks_connections_says_so() {
    for (position, age, lacks) in [(9, 1000, true), (9, 900, false), (10, 1000, false)] {
        let (mut engine, start) = started();
        sleep_until(&mut engine, start + MS * 1000);
        let told = Some(Position { session: 5, records: 10 });
        let standby = Heartbeat {
            position: Some(Position { session: 5, records: position }),
            ..says(Role::Standby, 1)
        };
        let heard = start + MS * 1000;
        engine.set_positions(Positions { told, applied: None }, heard);
        engine.handle_heartbeat(0, &standby, heard).unwrap();
        sleep_until(&mut engine, heard + MS * 500);
        engine.handle_heartbeat(0, &Heartbeat { sequence: 2, ..standby }, heard + MS * 500).unwrap();
        sleep_until(&mut engine, heard + MS * age);
        let said = engine.failover(heard + MS * age).unwrap();
        assert!(said.starts_with("handing the active role to beta"), "{said}");
        assert_eq!(said.contains("which has not every connection yet"), lacks, "{position} after {age} ms");
    }
}

#[test]
fn the_active_router_gives_way_to_a_stronger_one_that_asks_and_to_no_other() {
    for (priority, role) in [(201, Role::Leaving), (199, Role::Active)] {
        let (mut engine, start) = started();
        sleep_until(&mut engine, start + MS * 1000);
        let asking = Heartbeat { wants_role: true, priority, ..says(Role::Standby, 1) };
        engine.handle_heartbeat(0, &asking, start + MS * 1000).unwrap();
        assert_eq!(engine.role(), role);
    }
}

#[test]
fn a_leaving_router_waits_until_the_peer_knows() {
    let (mut engine, start) = started();
    sleep_until(&mut engine, start + MS * 1000);
    let now = start + MS * 1000;
    hear(&mut engine, Role::Standby, 1, now);
    engine.shutdown(now);
    let leaving = engine.poll_transmit(now).unwrap();
    assert_eq!(leaving.role, Role::Leaving);
    // Active, but said before our goodbye was heard: it may be about to yield.
    hear_echo(&mut engine, Role::Active, 2, leaving.sequence - 1, now);
    assert_eq!(engine.role(), Role::Leaving);
    hear_echo(&mut engine, Role::Active, 3, leaving.sequence, now);
    assert!(engine.is_finished());
    assert_eq!(engine.role(), Role::Standby);
}

#[test]
fn a_leaving_router_does_not_wait_for_ever() {
    let (mut engine, start) = started();
    let mut now = start + MS * 1000;
    sleep_until(&mut engine, now);
    hear(&mut engine, Role::Standby, 1, now);
    engine.shutdown(now);
    for n in 2..16 {
        assert!(!engine.is_finished(), "heartbeat {n}");
        now += MS * 100;
        hear(&mut engine, Role::Standby, n, now);
        engine.handle_timeout(now);
    }
    assert!(engine.is_finished());
}

#[test]
fn a_stopped_router_knows_whether_anybody_took_over() {
    // Alone with its role: nobody can.
    let (mut active, start) = started();
    let now = start + MS * 1000;
    sleep_until(&mut active, now);
    let mut relieved = active.clone();
    active.shutdown(now);
    assert!(active.is_finished() && active.is_unrelieved());
    // The peer does.
    hear(&mut relieved, Role::Standby, 1, now);
    relieved.shutdown(now);
    let leaving = relieved.poll_transmit(now).unwrap();
    hear_echo(&mut relieved, Role::Active, 2, leaving.sequence, now);
    assert!(relieved.is_finished() && !relieved.is_unrelieved());
    // There is no role to take over; but a data plane that resumes is one.
    for resumes in [false, true] {
        let mut starting = Engine::new(settings(), resumes, start);
        starting.shutdown(start);
        assert_eq!(starting.is_unrelieved(), resumes);
    }
    let (mut standby, start) = started();
    hear(&mut standby, Role::Active, 1, start);
    standby.shutdown(start);
    assert!(!standby.is_unrelieved());
}

#[test]
fn other_settings_come_into_force_at_once() {
    let (mut engine, start) = started();
    engine.poll_transmit(start);
    let settings = Settings { priority: 7, config_hash: 9, incarnation: 1, ..engine.settings().clone() };
    engine.reconfigure(settings, start);
    let said = engine.poll_transmit(start).unwrap();
    assert_eq!((said.priority, said.config_hash, said.incarnation), (7, 9, OWN));
}

#[test]
fn of_two_equal_routers_one_wins() {
    for (incarnation, role) in [(OWN + 1, Role::Active), (OWN - 1, Role::Standby)] {
        let (mut engine, start) = started();
        let passive = Heartbeat { priority: 200, incarnation, ..says(Role::Starting, 1) };
        engine.handle_heartbeat(0, &passive, start).unwrap();
        assert_eq!(engine.role(), role);
    }
}

#[test]
fn the_router_that_was_active_before_both_started_stays_active() {
    let start = Instant::now();
    let mut weaker = Engine::new(Settings { priority: 100, ..settings() }, true, start);
    hear(&mut weaker, Role::Starting, 1, start);
    assert_eq!(weaker.role(), Role::Active);
    assert_eq!(weaker.reason(), "was active before the restart, and the peer is not");
    let mut stronger = Engine::new(settings(), false, start);
    let resumes = Heartbeat { resumes: true, ..says(Role::Starting, 1) };
    stronger.handle_heartbeat(0, &resumes, start).unwrap();
    assert_eq!(stronger.role(), Role::Standby);
}

const OWN: u64 = 1000;
const PEER: u64 = 2000;

fn settings() -> Settings {
    Settings {
        group: String::new(),
        name: "alpha".to_owned(),
        incarnation: OWN,
        config_hash: 7,
        paths: 1,
        priority: 200,
        interval: MS * 100,
        dead_after: MS * 1000,
        failback: Failback::Auto { delay: MS * 3000 },
        witness: false,
    }
}

fn started() -> (Engine, Instant) {
    let start = Instant::now();
    (Engine::new(settings(), false, start), start)
}

/// Lives through every deadline up to `end`, as a driver does.
fn sleep_until(engine: &mut Engine, end: Instant) {
    while let Some(now) = engine.next_deadline().filter(|now| *now < end) {
        engine.handle_timeout(now);
        engine.poll_transmit(now);
    }
    engine.handle_timeout(end);
}

fn hear(engine: &mut Engine, role: Role, sequence: u64, now: Instant) {
    engine.handle_heartbeat(0, &says(role, sequence), now).unwrap();
}

fn hear_echo(engine: &mut Engine, role: Role, sequence: u64, echo: u64, now: Instant) {
    let echo = Some(Echo { incarnation: OWN, sequence: echo });
    engine.handle_heartbeat(0, &Heartbeat { echo, ..says(role, sequence) }, now).unwrap();
}

/// A heartbeat of a peer that has heard our first one.
fn says(role: Role, sequence: u64) -> Heartbeat {
    Heartbeat {
        sequence,
        config_hash: 7,
        echo: Some(Echo { incarnation: OWN, sequence: 1 }),
        name: "beta".to_owned(),
        ..Heartbeat::plain(role, PEER)
    }
}
