//! Memory as the processors of x86-64 see it, and one step of one processor.
//!
//! A load takes the newest value, and loads keep their order. A store waits in a buffer of its processor, which alone reads it
//! there; buffers empty in order, at any moment. An exchange is locked: it empties the buffer first, whether or not it
//! succeeds. That is x86-TSO (Sewell and others, "x86-TSO: a rigorous and usable programmer's model", 2010), and what
//! `flow_table::Bucket` asks for is compiled to just these by both implementations.

use lb_common::flow_table::{Key, Meta, Phase};

/// What a processor does next. Places are counted through both buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Request {
    /// Loads a key.
    Key(usize),
    /// Loads the rest of an entry.
    Meta(usize),
    /// Stores a key.
    StoreKey(usize, u64),
    /// Stores the rest of an entry without an exchange: only a broken protocol does so.
    StoreMeta(usize, u64),
    /// Replaces the rest of an entry, if it is the first number; without one, in any case, which only a broken protocol does.
    Exchange(usize, Option<u64>, u64),
}

/// A change of memory that everybody sees.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// A key is another one.
    Key { place: usize },
    /// The rest of an entry, which `owner` had claimed, is another one.
    Meta { place: usize, old: Meta, new: Meta, owner: Option<u8> },
}

/// One entry that changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Cell {
    pub(crate) key: Key,
    pub(crate) meta: Meta,
    /// Who has claimed it.
    pub(crate) owner: Option<u8>,
}

/// The entries, by place, and the stores that wait, by processor.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Memory {
    cells: Vec<(usize, Cell)>,
    waiting: Vec<Vec<Request>>,
}

impl Memory {
    /// Entries at these places, seen by so many processors.
    pub(crate) fn new(entries: &[(usize, Key, Meta)], processors: usize) -> Self {
        let cell = |&(place, key, meta)| (place, Cell { key, meta, owner: None });
        Self { cells: entries.iter().map(cell).collect(), waiting: vec![Vec::new(); processors] }
    }

    /// All entries, with their places.
    pub(crate) fn cells(&self) -> impl Iterator<Item = (usize, &Cell)> {
        self.cells.iter().map(|(place, cell)| (*place, cell))
    }

    /// All connections.
    pub(crate) fn live(&self) -> impl Iterator<Item = (usize, Key, Meta)> {
        self.cells().filter(|(_, cell)| cell.meta.is_live()).map(|(place, cell)| (place, cell.key, cell.meta))
    }

    /// The entry at `place`.
    pub(crate) fn cell(&self, place: usize) -> &Cell {
        self.cells().find(|(other, _)| *other == place).unwrap().1
    }

    /// Whether a store of this processor waits.
    pub(crate) fn has_waiting(&self, processor: usize) -> bool {
        !self.waiting[processor].is_empty()
    }

    /// Whether the processor may do this now.
    pub(crate) fn allows(&self, processor: usize, request: Request) -> bool {
        !matches!(request, Request::Exchange(..)) || !self.has_waiting(processor)
    }

    /// Whether nobody else sees the access, and it sees nothing that anybody else changes.
    pub(crate) fn is_private(&self, processor: usize, request: Request) -> bool {
        match request {
            Request::StoreKey(..) | Request::StoreMeta(..) => true,
            Request::Key(place) => self.cell(place).owner == u8::try_from(processor).ok(),
            Request::Meta(_) | Request::Exchange(..) => false,
        }
    }

    /// Does it; what the processor reads, and what everybody sees.
    pub(crate) fn perform(&mut self, processor: usize, request: Request) -> (u64, Option<Change>) {
        match request {
            Request::Key(place) => (self.own_key(processor, place), None),
            Request::Meta(place) => (self.cell(place).meta.word(), None),
            Request::StoreKey(..) | Request::StoreMeta(..) => {
                self.waiting[processor].push(request);
                (0, None)
            }
            Request::Exchange(place, old, new) => {
                if old.is_some_and(|old| old != self.cell(place).meta.word()) {
                    return (0, None);
                }
                (1, Some(self.set_meta(processor, place, Meta::from_word(new))))
            }
        }
    }

    /// Lets the processor's oldest store become visible.
    pub(crate) fn flush(&mut self, processor: usize) -> Change {
        match self.waiting[processor].remove(0) {
            Request::StoreMeta(place, new) => self.set_meta(processor, place, Meta::from_word(new)),
            Request::StoreKey(place, key) => {
                self.cell_mut(place).key = Key::from_word(key);
                Change::Key { place }
            }
            other => unreachable!("{other:?} waits"),
        }
    }

    fn own_key(&self, processor: usize, place: usize) -> u64 {
        let waiting = self.waiting[processor].iter().rev().find_map(|store| match *store {
            Request::StoreKey(other, key) if other == place => Some(key),
            _ => None,
        });
        waiting.unwrap_or_else(|| self.cell(place).key.word())
    }

    fn set_meta(&mut self, processor: usize, place: usize, new: Meta) -> Change {
        let cell = self.cell_mut(place);
        let (old, owner) = (cell.meta, cell.owner);
        cell.meta = new;
        if new.phase() == Phase::Claimed && old.phase() != Phase::Pending {
            cell.owner = Some(u8::try_from(processor).unwrap());
        } else if matches!(new.phase(), Phase::Free | Phase::Live) {
            cell.owner = None;
        }
        Change::Meta { place, old, new, owner }
    }

    fn cell_mut(&mut self, place: usize) -> &mut Cell {
        &mut self.cells.iter_mut().find(|(other, _)| *other == place).unwrap().1
    }
}
