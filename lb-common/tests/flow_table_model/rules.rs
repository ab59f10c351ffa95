//! What must hold, at every change of memory and at the end of every task.

use lb_common::flow_table::{Key, Meta, Phase, Rank, rank};

use crate::{
    machine::{Change, Memory},
    processor::{Outcome, Task},
    tasks::{are_rivals, is_alive, may_reuse, service, timeouts},
};

/// A rule that was broken.
pub(crate) type Broken = &'static str;

/// Judges what `processor`, which does `task`, has just changed; `memory` is as it is now.
pub(crate) fn of_change(
    change: Change,
    processor: usize,
    task: &Task,
    memory: &Memory,
) -> Result<(), Broken> {
    let me = u8::try_from(processor).ok();
    let (place, old, new, owner) = match change {
        Change::Meta { place, old, new, owner } => (place, old, new, owner),
        Change::Key { place } => {
            let cell = memory.cell(place);
            return hold(cell.owner == me && cell.meta.phase() == Phase::Claimed, KEY);
        }
    };
    let key = memory.cell(place).key;
    let is_its_client = task.client == Some(key.client());
    match (old.phase(), new.phase()) {
        (Phase::Free, Phase::Claimed) => Ok(()),
        (Phase::Claimed, Phase::Pending) | (Phase::Claimed | Phase::Pending, Phase::Free) => {
            hold(owner == me, STEP)
        }
        // Turned back, by a rival of its maker.
        (Phase::Pending, Phase::Claimed) => hold(owner != me && is_its_client, STEP),
        (Phase::Pending, Phase::Live) => {
            hold(owner == me, STEP)?;
            hold(memory.live().filter(|(_, other, _)| are_rivals(key, *other)).count() == 1, RIVALS)
        }
        (Phase::Live, Phase::Live) => hold(is_its_client, CONFUSED),
        (Phase::Live, Phase::Claimed) => hold(rank(old, &timeouts(), task.now) > Rank::PROTECTED, PUSHED_OUT),
        (Phase::Live, Phase::Free) => {
            let may_remove = task.removes || may_reuse(old);
            hold(!is_alive(old, task.now) || is_its_client && may_remove, REMOVED)
        }
        _ => Err(STEP),
    }
}

fn hold(holds: bool, broken: Broken) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(broken) }
}

/// A key was written into an entry that its writer does not own.
pub(crate) const KEY: Broken = "a key was written by another than the one who claimed the entry";
/// Two rivals.
pub(crate) const RIVALS: Broken = "a client has two connections that are rivals";
/// An entry was taken that must stay.
pub(crate) const PUSHED_OUT: Broken = "a connection was pushed out that must stay";
/// A connection was removed that must stay.
pub(crate) const REMOVED: Broken = "a connection was removed that is neither due nor over";
/// A stranger's packet.
pub(crate) const CONFUSED: Broken = "a packet changed the connection of another client";
/// A step that the protocol does not have.
pub(crate) const STEP: Broken = "an entry made a step that is none";
/// See [`of_outcome`].
pub(crate) const NOT_THERE: Broken = "a connection that was made is not there";
/// See [`of_outcome`].
pub(crate) const MISDIRECTED: Broken =
    "a packet went to the server of a connection that did not stand meanwhile";
/// See [`of_outcome`].
pub(crate) const MISSED: Broken = "a connection that stood all the time was not found";
/// See [`at_the_end`].
pub(crate) const LEFT_BEHIND: Broken = "an entry is left behind, neither free nor a connection";

/// What stood while a task ran: of the connections that its packet may belong to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Witness {
    /// At one moment at least.
    meanwhile: Vec<Key>,
    /// All the time.
    throughout: Vec<(usize, Key)>,
}

impl Witness {
    /// At the beginning of a task.
    pub(crate) fn new(task: &Task, memory: &Memory) -> Self {
        let alive: Vec<_> = own(task, memory).filter(|(_, _, meta)| is_alive(*meta, task.now)).collect();
        Self {
            meanwhile: own(task, memory).map(|(_, key, _)| key).collect(),
            throughout: alive.into_iter().map(|(place, key, _)| (place, key)).collect(),
        }
    }

    /// After a change.
    pub(crate) fn see(&mut self, task: &Task, memory: &Memory) {
        for (_, key, _) in own(task, memory) {
            if !self.meanwhile.contains(&key) {
                self.meanwhile.push(key);
                self.meanwhile.sort_unstable();
            }
        }
        self.throughout
            .retain(|(place, key)| own(task, memory).any(|(other, its, _)| (other, its) == (*place, *key)));
    }
}

fn own(task: &Task, memory: &Memory) -> impl Iterator<Item = (usize, Key, Meta)> {
    memory
        .live()
        .filter(|(_, key, _)| task.client == Some(key.client()) && service(task.real) == service(key.real()))
}

/// Judges the end of a task; the witness is that of a packet.
pub(crate) fn of_outcome(outcome: Outcome, witness: Option<&Witness>, memory: &Memory) -> Result<(), Broken> {
    match outcome {
        Outcome::Opened(key) => hold(memory.live().any(|(_, other, _)| other == key), NOT_THERE),
        Outcome::To(key) => hold(witness.is_none_or(|witness| witness.meanwhile.contains(&key)), MISDIRECTED),
        Outcome::Unknown => hold(witness.is_none_or(|witness| witness.throughout.is_empty()), MISSED),
        Outcome::Refused(_) | Outcome::Taken | Outcome::Done => Ok(()),
    }
}

/// Judges memory once all tasks have ended.
pub(crate) fn at_the_end(memory: &Memory) -> Result<(), Broken> {
    let is_settled = |meta: Meta| matches!(meta.phase(), Phase::Free | Phase::Live);
    hold(memory.cells().all(|(_, cell)| is_settled(cell.meta)), LEFT_BEHIND)
}
