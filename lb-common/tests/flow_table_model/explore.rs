//! Every order in which processors may take their steps.
//!
//! States that are the same are walked on from once, however they were reached, so that a small world is walked to its
//! end: no bound on how often processors take turns, none on depth. Of a broken rule the shortest way there is told.

use std::{
    collections::{BTreeMap, HashSet, VecDeque},
    fmt::Write as _,
    hash::{DefaultHasher, Hash, Hasher as _},
};

use lb_common::flow_table::{Key, Meta};

use crate::{
    faults::Fault,
    machine::Memory,
    processor::{Next, Outcome, Position, Processor, Task},
    rules::{self, Broken, Witness},
};

/// A small world: entries that may change, and what is done at once.
pub(crate) struct World {
    pub(crate) name: &'static str,
    /// Place, key and rest of each entry that is not an established connection of a stranger.
    pub(crate) entries: Vec<(usize, Key, Meta)>,
    pub(crate) tasks: Vec<Task>,
    /// What must hold of the outcomes, in the order of the tasks, and of the connections that there are then.
    pub(crate) end: fn(&[Outcome], &[Key]) -> bool,
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// Different states.
    pub(crate) states: usize,
    /// Steps from one to another.
    pub(crate) steps: usize,
    /// Those in which all tasks have ended.
    pub(crate) ends: usize,
    /// The rules that were broken, each with the shortest way to it.
    pub(crate) broken: BTreeMap<Broken, String>,
}

/// Some rule of one world alone, see [`World::end`].
pub(crate) const END: Broken = "all together have come to an end that must not be";

#[derive(Clone, PartialEq, Eq, Hash)]
struct State {
    memory: Memory,
    positions: Vec<Position>,
    witnesses: Vec<Option<Witness>>,
}

impl State {
    /// 128 bits of hash: of ten million states two have the same with a probability below 10^-24.
    fn fingerprint(&self) -> u128 {
        let half = |seed: u8| {
            let mut hasher = DefaultHasher::new();
            seed.hash(&mut hasher);
            self.hash(&mut hasher);
            u128::from(hasher.finish())
        };
        half(0) << 64 | half(1)
    }
}

/// One step: who, and whether an own store became visible instead of an access.
#[derive(Clone, Copy)]
struct Step {
    processor: usize,
    flushes: bool,
}

struct Search {
    processors: Vec<Processor>,
    start: State,
    end: fn(&[Outcome], &[Key]) -> bool,
    /// Fingerprints of all states that were reached: millions of states themselves would take gigabytes.
    known: HashSet<u128>,
    /// From which state each was reached, and how.
    ways: Vec<Option<(usize, Step)>>,
    /// What is to be walked on from.
    queue: VecDeque<(usize, State)>,
    report: Report,
}

/// Walks a world through all its states.
pub(crate) fn explore(world: World, fault: Fault) -> Report {
    let World { entries, tasks, end, .. } = world;
    let open: Vec<usize> = entries.iter().map(|(place, ..)| *place).collect();
    let processors: Vec<_> =
        tasks.into_iter().map(|task| Processor::new(task, fault, open.clone())).collect();
    let start = State {
        memory: Memory::new(&entries, processors.len()),
        positions: vec![0; processors.len()],
        witnesses: vec![None; processors.len()],
    };
    let mut search = Search {
        processors,
        start: start.clone(),
        end,
        known: HashSet::new(),
        ways: Vec::new(),
        queue: VecDeque::new(),
        report: Report::default(),
    };
    search.reach(start, None);
    search.run();
    search.report
}

impl Search {
    fn run(&mut self) {
        while let Some((number, state)) = self.queue.pop_front() {
            let steps = self.steps(&state);
            if steps.is_empty() {
                self.end(number, &state);
            }
            for step in steps {
                self.report.steps += 1;
                let mut after = state.clone();
                match self.take(step, &mut after) {
                    Ok(()) => self.reach(after, Some((number, step))),
                    Err(broken) => self.tell(broken, number, Some(step)),
                }
            }
        }
        self.report.states = self.known.len();
    }

    fn reach(&mut self, state: State, way: Option<(usize, Step)>) {
        if self.known.insert(state.fingerprint()) {
            self.queue.push_back((self.ways.len(), state));
            self.ways.push(way);
        }
    }

    /// The steps that are to be taken in a state.
    fn steps(&self, state: &State) -> Vec<Step> {
        let mut steps = Vec::new();
        for processor in 0..self.processors.len() {
            let access = match self.next(processor, state) {
                Next::Ask(request) => Some(request),
                Next::End(_) => None,
            };
            if access.is_some_and(|request| state.memory.is_private(processor, request)) {
                // Whatever the others do before or after it is the same.
                return vec![Step { processor, flushes: false }];
            }
            if state.memory.has_waiting(processor) {
                steps.push(Step { processor, flushes: true });
            }
            if access.is_some_and(|request| state.memory.allows(processor, request)) {
                steps.push(Step { processor, flushes: false });
            }
        }
        steps
    }

    fn next(&self, processor: usize, state: &State) -> Next {
        self.processors[processor].next(state.positions[processor])
    }

    /// Takes a step and judges it.
    fn take(&self, step: Step, state: &mut State) -> Result<(), Broken> {
        let number = step.processor;
        let processor = &self.processors[number];
        let task = &processor.task;
        if task.is_packet && state.witnesses[number].is_none() {
            state.witnesses[number] = Some(Witness::new(task, &state.memory));
        }
        let change = match self.next(number, state) {
            Next::Ask(request) if !step.flushes => {
                let (answer, change) = state.memory.perform(number, request);
                state.positions[number] = processor.after(state.positions[number], answer);
                change
            }
            _ => Some(state.memory.flush(number)),
        };
        if let Some(change) = change {
            rules::of_change(change, number, task, &state.memory)?;
            self.witness(state);
        }
        match self.next(number, state) {
            // Nobody asks the witness any more: states that differ in it alone are the same.
            Next::End(outcome) => {
                rules::of_outcome(outcome, state.witnesses[number].take().as_ref(), &state.memory)
            }
            Next::Ask(_) => Ok(()),
        }
    }

    /// Shows a change to all tasks that run.
    fn witness(&self, state: &mut State) {
        for (processor, witness) in self.processors.iter().zip(&mut state.witnesses) {
            if let Some(witness) = witness {
                witness.see(&processor.task, &state.memory);
            }
        }
    }

    /// All tasks have ended.
    fn end(&mut self, number: usize, state: &State) {
        self.report.ends += 1;
        let outcomes: Vec<Outcome> = (0..self.processors.len())
            .map(|processor| match self.next(processor, state) {
                Next::End(outcome) => outcome,
                Next::Ask(request) => unreachable!("{request:?} is always possible"),
            })
            .collect();
        let keys: Vec<Key> = state.memory.live().map(|(_, key, _)| key).collect();
        if let Err(broken) = rules::at_the_end(&state.memory) {
            self.tell(broken, number, None);
        } else if !(self.end)(&outcomes, &keys) {
            self.tell(END, number, None);
        }
    }

    /// Notes a broken rule, and how it came to that where it is the first time.
    fn tell(&mut self, broken: Broken, number: usize, last: Option<Step>) {
        if self.report.broken.contains_key(broken) {
            return;
        }
        let mut steps: Vec<Step> = last.into_iter().collect();
        let mut number = number;
        while let Some((before, step)) = self.ways[number] {
            steps.push(step);
            number = before;
        }
        let story = self.story(steps.into_iter().rev());
        self.report.broken.insert(broken, story);
    }

    /// Tells steps from the beginning on.
    fn story(&self, steps: impl Iterator<Item = Step>) -> String {
        let mut state = self.start.clone();
        let mut story = String::new();
        for step in steps {
            let name = self.processors[step.processor].task.name;
            let what = match self.next(step.processor, &state) {
                Next::Ask(request) if !step.flushes => format!("{request:x?}"),
                _ => "its store becomes visible".to_owned(),
            };
            let broken = self.take(step, &mut state).err().unwrap_or_default();
            writeln!(story, "  {name}: {what} {broken}").unwrap();
        }
        for (place, cell) in state.memory.cells() {
            let (client, meta) = (cell.key.client(), cell.meta);
            writeln!(
                story,
                "  place {place}: client port {} at {}, {:?} {:?} of {}",
                client.port(),
                cell.key.real(),
                meta.phase(),
                meta.state(),
                meta.seen().number(),
            )
            .unwrap();
        }
        story
    }
}
