//! A processor: code of the flow table that is stopped before each of its accesses.
//!
//! What code does next depends on nothing but what it has read so far. So it is run anew from its beginning with the answers
//! that it got, up to the first access that has none; and since this is remembered, once for each row of answers.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    panic::{self, AssertUnwindSafe},
};

use lb_common::{
    ConnState, IPPROTO_TCP,
    flow_table::{Bucket, Client, Key, Meta, Phase, Refusal, Stamp, WAYS},
};

use crate::{
    faults::{Fault, Faulty, Notes},
    machine::Request,
    tasks::{GENERATION, START},
};

/// How a piece of code ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It made this connection.
    Opened(Key),
    /// It sends its packet on as one of this connection.
    To(Key),
    /// It made none.
    Refused(Refusal),
    /// Another service has the client's port at that real server.
    Taken,
    /// It knows no connection of its packet.
    Unknown,
    /// It has no packet.
    Done,
}

/// What a processor does, and for whom.
pub(crate) struct Task {
    /// For people.
    pub(crate) name: &'static str,
    /// Whether it has a packet to send on.
    pub(crate) is_packet: bool,
    /// Whether it may remove a connection of its client whatever its state.
    pub(crate) removes: bool,
    /// Whom it works for.
    pub(crate) client: Option<Client>,
    /// The real server that a new connection gets.
    pub(crate) real: u16,
    /// Its clock.
    pub(crate) now: Stamp,
    /// The code.
    pub(crate) code: Code,
}

/// Runs on both buckets, in the order of the client.
pub(crate) type Code = fn([Faulty<'_>; 2], &Task) -> Outcome;

/// Where a processor stands: the number of a row of answers.
pub(crate) type Position = u32;

/// What comes next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Next {
    /// An access.
    Ask(Request),
    /// Nothing.
    End(Outcome),
}

/// A task with all rows of answers that it has got.
pub(crate) struct Processor {
    pub(crate) task: Task,
    fault: Fault,
    /// Places whose entries change. All others hold established connections of a stranger.
    open: Vec<usize>,
    rows: RefCell<Vec<Row>>,
}

struct Row {
    answers: Vec<u64>,
    next: Next,
    after: BTreeMap<u64, Position>,
}

/// One bucket, as the code sees it.
#[derive(Clone, Copy)]
pub(crate) struct Probe<'a> {
    script: &'a Script<'a>,
    first: usize,
}

struct Script<'a> {
    open: &'a [usize],
    answers: &'a [u64],
    used: Cell<usize>,
    asked: Cell<Option<Request>>,
}

/// Carried by the unwinding that stops the code.
struct Stopped;

impl Processor {
    pub(crate) fn new(task: Task, fault: Fault, open: Vec<usize>) -> Self {
        let processor = Self { task, fault, open, rows: RefCell::default() };
        processor.add(Vec::new());
        processor
    }

    /// What comes next at `position`, which begins at 0.
    pub(crate) fn next(&self, position: Position) -> Next {
        self.rows.borrow()[position as usize].next
    }

    /// Where the processor stands after `answer`.
    pub(crate) fn after(&self, position: Position, answer: u64) -> Position {
        let answers = {
            let row = &self.rows.borrow()[position as usize];
            if let Some(after) = row.after.get(&answer) {
                return *after;
            }
            row.answers.iter().copied().chain([answer]).collect()
        };
        let after = self.add(answers);
        self.rows.borrow_mut()[position as usize].after.insert(answer, after);
        after
    }

    fn add(&self, answers: Vec<u64>) -> Position {
        let next = self.replay(&answers);
        let mut rows = self.rows.borrow_mut();
        rows.push(Row { answers, next, after: BTreeMap::new() });
        Position::try_from(rows.len() - 1).unwrap()
    }

    fn replay(&self, answers: &[u64]) -> Next {
        let script = Script { open: &self.open, answers, used: Cell::new(0), asked: Cell::new(None) };
        let notes = Notes::default();
        let buckets =
            [0, WAYS].map(|first| Faulty::new(Probe { script: &script, first }, self.fault, &notes));
        match panic::catch_unwind(AssertUnwindSafe(|| (self.task.code)(buckets, &self.task))) {
            Ok(outcome) => Next::End(outcome),
            Err(cause) if cause.is::<Stopped>() => Next::Ask(script.asked.get().unwrap()),
            Err(cause) => panic::resume_unwind(cause),
        }
    }
}

impl Script<'_> {
    fn ask(&self, request: Request) -> u64 {
        let number = self.used.get();
        if let Some(answer) = self.answers.get(number) {
            self.used.set(number + 1);
            return *answer;
        }
        self.asked.set(Some(request));
        // Calls no hook, so that nothing is printed.
        panic::resume_unwind(Box::new(Stopped))
    }
}

impl Probe<'_> {
    /// The place of an entry, counted through both buckets.
    pub(crate) fn place(self, way: usize) -> usize {
        self.first + way
    }

    /// Asks for an access to the entry in `way`.
    pub(crate) fn ask(self, request: Request) -> u64 {
        self.script.ask(request)
    }

    fn is_open(self, way: usize) -> bool {
        self.script.open.contains(&self.place(way))
    }
}

impl Bucket for Probe<'_> {
    fn key(self, way: usize) -> Key {
        if !self.is_open(way) {
            return STRANGER;
        }
        Key::from_word(self.ask(Request::Key(self.place(way))))
    }

    fn meta(self, way: usize) -> Meta {
        if !self.is_open(way) {
            return established();
        }
        Meta::from_word(self.ask(Request::Meta(self.place(way))))
    }

    fn store_key(self, way: usize, key: Key) {
        assert!(self.is_open(way), "a stranger's key was written");
        self.ask(Request::StoreKey(self.place(way), key.word()));
    }

    fn exchange(self, way: usize, old: Meta, new: Meta) -> bool {
        assert!(self.is_open(way), "a stranger's connection was changed");
        self.ask(Request::Exchange(self.place(way), Some(old.word()), new.word())) != 0
    }
}

const STRANGER: Key = Key::new(Client::new([192, 0, 2, 200], 9), 9);

/// What a stranger's connection says, last used at the start of the clock.
fn established() -> Meta {
    Meta::new(IPPROTO_TCP, ConnState::Established, Stamp::new(START), GENERATION, 0).in_phase(Phase::Live)
}
