//! The worlds that are walked.

use lb_common::{
    ConnState, IPPROTO_TCP,
    flow_table::{Client, Key, Meta, Phase, Stamp},
};

use crate::{
    explore::World,
    processor::{Code, Outcome, Task},
    tasks::{GENERATION, START, first, packet, passing, removal, survey, syn, timeouts},
};

/// A client.
pub(crate) const X: Client = Client::new([10, 0, 0, 1], 1);
/// Another one, whose connections stand in the same buckets.
pub(crate) const Y: Client = Client::new([10, 0, 0, 2], 2);
/// A third one.
const Z: Client = Client::new([10, 0, 0, 3], 3);

/// A place in the first bucket.
const LOW: usize = 1;
/// A higher one in the first bucket.
const MIDDLE: usize = 4;
/// One in the second bucket.
const HIGH: usize = 11;

/// Two SYNs of one client meet two free entries.
pub(crate) fn two_rivals() -> World {
    World {
        name: "two rivals",
        entries: vec![free(LOW), free(HIGH)],
        tasks: vec![opens("one", X, 1, 0), opens("other", X, 2, 0)],
        end: one_gets_through,
    }
}

/// The same in one bucket, where an old key of the client stands in a free entry.
pub(crate) fn two_rivals_and_an_old_key() -> World {
    World {
        name: "two rivals and an old key",
        entries: vec![(LOW, Key::new(X, 2), Meta::FREE), free(MIDDLE), free(HIGH)],
        tasks: vec![opens("one", X, 1, 0), opens("other", X, 2, 0)],
        end: one_gets_through,
    }
}

/// Two clients meet two free entries, one with an old key of one of them.
pub(crate) fn two_clients_and_an_old_key() -> World {
    World {
        name: "two clients and an old key",
        entries: vec![free(LOW), (HIGH, Key::new(X, 2), Meta::FREE)],
        tasks: vec![makes("one", X, 1, 0), makes("other", Y, 1, 0)],
        end: |outcomes, keys| keys.len() == 2 && opened(outcomes) == 2,
    }
}

/// Three SYNs of one client.
pub(crate) fn three_rivals() -> World {
    World {
        name: "three rivals",
        entries: vec![free(LOW), free(MIDDLE), free(HIGH)],
        tasks: vec![makes("one", X, 1, 0), makes("two", X, 2, 0), makes("three", X, 1, 0)],
        end: one_gets_through,
    }
}

/// One client opens connections to two services of one machine, whose replies would look alike, and one more.
pub(crate) fn rivals_by_their_replies() -> World {
    World {
        name: "rivals by their replies",
        entries: vec![free(LOW), free(MIDDLE), free(HIGH)],
        tasks: vec![makes("one", X, 1, 0), makes("alike", X, 3, 0), makes("beside", X, 4, 0)],
        end: |_, keys| !keys.is_empty(),
    }
}

/// Two clients, one free entry.
pub(crate) fn one_place_for_two() -> World {
    World {
        name: "one place for two",
        entries: vec![free(MIDDLE)],
        tasks: vec![opens("one", X, 1, 0), opens("other", Y, 2, 0)],
        end: |outcomes, keys| keys.len() == 1 && opened(outcomes) >= 1,
    }
}

/// Two clients, one entry that may go.
pub(crate) fn one_victim_for_two() -> World {
    World {
        name: "one victim for two",
        entries: vec![live(LOW, Z, 1, ConnState::SynRecv, 0)],
        tasks: vec![opens("one", X, 1, 1), opens("other", Y, 2, 1)],
        end: |outcomes, keys| keys.len() == 1 && opened(outcomes) >= 1,
    }
}

/// A half-open connection is given up while its client confirms it.
pub(crate) fn given_up_and_confirmed(age: u32) -> World {
    World {
        name: "given up and confirmed",
        entries: vec![live(LOW, X, 1, ConnState::SynRecv, 0)],
        tasks: vec![opens("maker", Y, 1, age), confirms("owner", X, age)],
        end: |outcomes, keys| match outcomes {
            [Outcome::Opened(_), ..] => keys == [Key::new(Y, 1)],
            _ => keys == [Key::new(X, 1)],
        },
    }
}

/// The same while the server answers, too.
pub(crate) fn given_up_and_confirmed_twice() -> World {
    let mut world = given_up_and_confirmed(1);
    world.name = "given up and confirmed twice";
    world.tasks.push(confirms("reply", X, 1));
    world
}

/// A connection that is over is opened anew by two SYNs at once.
pub(crate) fn opened_anew_twice() -> World {
    World {
        name: "opened anew twice",
        entries: vec![live(LOW, X, 1, ConnState::Close, 0), free(HIGH)],
        tasks: vec![opens("one", X, 1, 1), opens("other", X, 2, 1)],
        end: one_gets_through,
    }
}

/// A connection that is over is opened anew while one of another client needs its entry.
pub(crate) fn opened_anew_and_given_up() -> World {
    World {
        name: "opened anew and given up",
        entries: vec![live(LOW, X, 1, ConnState::Close, 0), live(MIDDLE, Z, 2, ConnState::SynRecv, 0)],
        tasks: vec![opens("anew", X, 2, 1), opens("other", Y, 2, 1)],
        end: |outcomes, keys| opened(outcomes) >= 1 && !keys.is_empty(),
    }
}

/// A new connection while a RST closes that of another client, whose entry may go then.
pub(crate) fn closed_and_given_up() -> World {
    World {
        name: "closed and given up",
        entries: vec![live(LOW, X, 1, ConnState::Established, 0)],
        tasks: vec![resets("reset", X, 1), confirms("owner", X, 1), opens("maker", Y, 1, 1)],
        end: |_, keys| keys.len() == 1,
    }
}

/// An entry that was X's is made another's, while one more packet of X comes.
pub(crate) fn old_key() -> World {
    World {
        name: "old key",
        entries: vec![(LOW, Key::new(X, 1), Meta::FREE)],
        tasks: vec![makes("maker", Y, 1, 0), sends("late", X, 1, 0, passing)],
        end: |outcomes, keys| keys == [Key::new(Y, 1)] && outcomes[1] == Outcome::Unknown,
    }
}

/// A half-open connection is given up twice while its client confirms it, all within one unit of time.
pub(crate) fn handed_on_twice() -> World {
    World {
        name: "handed on twice",
        entries: vec![live(LOW, X, 1, ConnState::SynRecv, 0)],
        tasks: vec![makes("first", Y, 1, 0), makes("second", Z, 1, 0), confirms("owner", X, 0)],
        end: |_, keys| keys.len() == 1,
    }
}

/// A half-open connection is removed while its client confirms it, and another one gets its entry within the same unit of time.
pub(crate) fn removed_and_handed_on() -> World {
    World {
        name: "removed and handed on",
        entries: vec![live(LOW, X, 1, ConnState::SynRecv, 0)],
        tasks: vec![removes("removal", X, 0), makes("second", Z, 1, 0), confirms("owner", X, 0)],
        end: |_, keys| keys.len() <= 1,
    }
}

/// The daemon forgets a connection that is due, which a processor with a slower clock still uses.
pub(crate) fn expired_and_used() -> World {
    let due = timeouts().0[ConnState::SynRecv as usize];
    World {
        name: "expired and used",
        entries: vec![live(LOW, X, 1, ConnState::SynRecv, 0), free(HIGH)],
        tasks: vec![surveys(due), confirms("owner", X, due - 1), opens("anew", X, 2, due)],
        end: |_, keys| keys.len() <= 1,
    }
}

/// The daemon forgets a connection that is due, while others are made.
pub(crate) fn expired_and_given_up() -> World {
    let due = timeouts().0[ConnState::SynRecv as usize];
    World {
        name: "expired and given up",
        entries: vec![live(LOW, X, 1, ConnState::SynRecv, 0)],
        tasks: vec![surveys(due), opens("maker", Y, 1, due), opens("anew", X, 2, due)],
        end: |outcomes, keys| opened(outcomes) <= keys.len() + 1 && keys.len() <= 1,
    }
}

/// The daemon looks while connections are made, used and closed.
pub(crate) fn surveyed() -> World {
    World {
        name: "surveyed",
        entries: vec![live(LOW, X, 1, ConnState::Established, 0), free(HIGH)],
        tasks: vec![surveys(1), resets("reset", X, 1), opens("maker", Y, 1, 1)],
        end: |outcomes, keys| keys.len() == 2 && opened(outcomes) == 1,
    }
}

fn one_gets_through(outcomes: &[Outcome], keys: &[Key]) -> bool {
    keys.len() == 1
        && outcomes.iter().any(|outcome| *outcome == Outcome::Opened(keys[0]))
        && opened(outcomes) == 1
}

fn opened(outcomes: &[Outcome]) -> usize {
    outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Opened(_))).count()
}

fn free(place: usize) -> (usize, Key, Meta) {
    (place, Key::default(), Meta::FREE)
}

/// A connection that was used last when everything begins, plus `age`.
fn live(place: usize, client: Client, real: u16, state: ConnState, age: u32) -> (usize, Key, Meta) {
    let meta = Meta::new(IPPROTO_TCP, state, Stamp::new(START + age), GENERATION, 0);
    (place, Key::new(client, real), meta.in_phase(Phase::Live))
}

/// A SYN that finds its way, whatever there is.
fn opens(name: &'static str, client: Client, real: u16, now: u32) -> Task {
    sends(name, client, real, now, syn)
}

/// A SYN that has found nothing.
fn makes(name: &'static str, client: Client, real: u16, now: u32) -> Task {
    Task { is_packet: false, ..sends(name, client, real, now, first) }
}

fn confirms(name: &'static str, client: Client, now: u32) -> Task {
    sends(name, client, 1, now, |buckets, task| packet(buckets, task, ConnState::Established))
}

fn resets(name: &'static str, client: Client, now: u32) -> Task {
    sends(name, client, 1, now, |buckets, task| packet(buckets, task, ConnState::Close))
}

fn sends(name: &'static str, client: Client, real: u16, now: u32, code: Code) -> Task {
    let now = Stamp::new(START + now);
    Task { name, is_packet: true, removes: false, client: Some(client), real, now, code }
}

/// A SYN whose real server is down, before it is given another one.
fn removes(name: &'static str, client: Client, now: u32) -> Task {
    Task { removes: true, ..sends(name, client, 1, now, removal) }
}

fn surveys(now: u32) -> Task {
    let now = Stamp::new(START + now);
    Task { name: "daemon", is_packet: false, removes: false, client: None, real: 0, now, code: survey }
}
