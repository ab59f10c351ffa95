//! What processors do: as the program (`lb-ebpf`: `flows.rs`, `connect.rs`, `pipeline.rs`) and the daemon (`lb-daemon`:
//! `connections.rs`) put the rules of the flow table together.

use lb_common::{
    ConnState, IPPROTO_TCP,
    flow_table::{
        Bucket, Client, Found, Key, Meta, Rank, Refusal, Stamp, Standing, Timeouts, WAYS, find, has_client,
        insert, rank, worst,
    },
};

use crate::{
    faults::Faulty,
    processor::{Outcome, Task},
};

/// When everything begins.
pub(crate) const START: u32 = 1000;
/// Generation of every real server.
pub(crate) const GENERATION: u32 = 7;
/// Real servers 1 and 2 are of one service. Those of another: 3, which is the same machine as 1, and 4.
pub(crate) const SAME_MACHINE: u16 = 3;

/// Times that a change is tried, as in the program.
const TRIES: usize = 3;

/// Timeouts at 250 Hz.
pub(crate) fn timeouts() -> Timeouts {
    Timeouts::at(250)
}

/// Number of the service that a real server is of.
pub(crate) fn service(real: u16) -> u16 {
    real.div_ceil(2)
}

/// Whether two connections of one client must not stand side by side: they are of one service, or their replies look alike.
pub(crate) fn are_rivals(one: Key, other: Key) -> bool {
    let machine = |key: Key| if key.real() == SAME_MACHINE { 1 } else { key.real() };
    one.client() == other.client()
        && (service(one.real()) == service(other.real()) || machine(one) == machine(other))
}

/// Whether a connection is not due.
pub(crate) fn is_alive(meta: Meta, now: Stamp) -> bool {
    timeouts().remaining(meta, now) > 0
}

/// Whether a SYN begins a new connection where this one is remembered.
pub(crate) fn may_reuse(meta: Meta) -> bool {
    matches!(meta.state(), ConnState::TimeWait | ConnState::Close)
}

/// A SYN: of a known connection, or the first of a new one.
pub(crate) fn syn(buckets: [Faulty<'_>; 2], task: &Task) -> Outcome {
    let client = task.client.unwrap();
    if let Some(found) = lookup(buckets, client, task) {
        if !may_reuse(found.meta) {
            touch(&found, task.now, |state| state);
            return Outcome::To(found.key);
        }
        found.bucket.exchange(found.way, found.meta, found.meta.freed());
    }
    let key = Key::new(client, task.real);
    let is_taken = |other: Key, meta: Meta| {
        let is_other = service(other.real()) != service(key.real()) && are_rivals(key, other);
        (is_other && is_alive(meta, task.now)).then_some(())
    };
    if has_client(buckets, client) && find(by_number(buckets), client, is_taken).is_some() {
        return Outcome::Taken;
    }
    match make(buckets, key, task) {
        Ok(()) => Outcome::Opened(key),
        Err(Refusal::Rival) => match lookup(buckets, client, task) {
            Some(other) => Outcome::To(other.key),
            None => Outcome::Refused(Refusal::Rival),
        },
        Err(Refusal::Full) => Outcome::Refused(Refusal::Full),
    }
}

/// The part of [`syn`] that makes a connection, where there is no other of its client at first.
pub(crate) fn first(buckets: [Faulty<'_>; 2], task: &Task) -> Outcome {
    let key = Key::new(task.client.unwrap(), task.real);
    match make(buckets, key, task) {
        Ok(()) => Outcome::Opened(key),
        Err(refusal) => Outcome::Refused(refusal),
    }
}

/// A packet that is no SYN; the connection goes on to `state`.
pub(crate) fn packet(buckets: [Faulty<'_>; 2], task: &Task, state: ConnState) -> Outcome {
    match lookup(buckets, task.client.unwrap(), task) {
        Some(found) => {
            touch(&found, task.now, |_| state);
            Outcome::To(found.key)
        }
        None => Outcome::Unknown,
    }
}

/// A packet of a busy connection, which writes nothing.
pub(crate) fn passing(buckets: [Faulty<'_>; 2], task: &Task) -> Outcome {
    match lookup(buckets, task.client.unwrap(), task) {
        Some(found) => Outcome::To(found.key),
        None => Outcome::Unknown,
    }
}

/// A packet that ends its connection here, as a SYN does whose real server is down.
pub(crate) fn removal(buckets: [Faulty<'_>; 2], task: &Task) -> Outcome {
    match lookup(buckets, task.client.unwrap(), task) {
        Some(found) => {
            found.bucket.exchange(found.way, found.meta, found.meta.freed());
            Outcome::To(found.key)
        }
        None => Outcome::Unknown,
    }
}

/// The daemon forgets what is due.
pub(crate) fn survey(buckets: [Faulty<'_>; 2], task: &Task) -> Outcome {
    for bucket in buckets {
        for way in 0..WAYS {
            let meta = bucket.meta(way);
            if !meta.is_live() {
                continue;
            }
            let _ = bucket.key(way);
            // As `Shared::entries` reads, which is not generic.
            if bucket.meta(way) == meta && !is_alive(meta, task.now) {
                bucket.exchange(way, meta, meta.freed());
            }
        }
    }
    Outcome::Done
}

fn lookup<'a>(buckets: [Faulty<'a>; 2], client: Client, task: &Task) -> Option<Found<Faulty<'a>, ()>> {
    find(by_number(buckets), client, |key, meta| {
        (service(key.real()) == service(task.real) && is_alive(meta, task.now)).then_some(())
    })
}

fn by_number<'a>(buckets: [Faulty<'a>; 2]) -> impl Fn(usize) -> Option<Faulty<'a>> {
    move |number| buckets.get(number).copied()
}

fn make(buckets: [Faulty<'_>; 2], key: Key, task: &Task) -> Result<(), Refusal> {
    let rank = |meta| rank(meta, &timeouts(), task.now);
    let standing = |other: Key, meta: Meta| match (are_rivals(key, other), is_alive(meta, task.now)) {
        (false, _) => Standing::Other,
        (true, true) => Standing::Rival,
        (true, false) => Standing::Spent,
    };
    // Read again after it was chosen, as the program does.
    let give_up = || {
        let (place, _) = worst(buckets, rank)?;
        let meta = buckets[place / WAYS].meta(place % WAYS);
        (rank(meta) > Rank::PROTECTED).then_some((place, meta))
    };
    let meta = Meta::new(IPPROTO_TCP, ConnState::SynRecv, task.now, GENERATION, 0);
    insert(buckets, key, meta, give_up, standing)
}

/// `Connection::touch` of the program, where the packet changes something.
fn touch(found: &Found<Faulty<'_>, ()>, now: Stamp, next: impl Fn(ConnState) -> ConnState) {
    let Found { bucket, way, .. } = *found;
    let mut meta = found.meta;
    for _ in 0..TRIES {
        let changed = meta.used(next(meta.state()), now);
        if changed == meta || bucket.exchange(way, meta, changed) {
            return;
        }
        meta = bucket.meta(way);
        if !meta.is_live() || bucket.key(way) != found.key {
            return;
        }
    }
}
