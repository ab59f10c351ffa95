//! A line for each step, and what all of them came to.

use std::{
    collections::BTreeMap,
    fmt,
    time::{Duration, Instant},
};

use comfy_table::{CellAlignment, presets};

use super::{step::Step, vitals::Vitals, world::Outcome};

/// What has been seen so far.
#[derive(Debug)]
pub(super) struct Report {
    start: Instant,
    steps: u32,
    losses: u32,
    kinds: BTreeMap<String, Kind>,
    most: [Vitals; 2],
    last: [Vitals; 2],
    emptied: Option<(Duration, usize)>,
    problems: Vec<String>,
}

/// All steps of one kind.
#[derive(Clone, Debug, Default)]
struct Kind {
    steps: u32,
    rest: Duration,
    requests: u64,
    failed: u64,
    keeps_connections: bool,
    keeps_requests: bool,
}

impl Report {
    pub(super) fn new(start: Instant) -> Self {
        Self {
            start,
            steps: 0,
            losses: 0,
            kinds: BTreeMap::new(),
            most: <[Vitals; 2]>::default(),
            last: <[Vitals; 2]>::default(),
            emptied: None,
            problems: Vec::new(),
        }
    }

    /// Notes a step, and prints its line.
    pub(super) fn add(&mut self, step: &Step, outcome: &Outcome) {
        self.steps += 1;
        self.losses += u32::from(step.loses_ends());
        let kind = self.kinds.entry(step.kind()).or_default();
        kind.steps += 1;
        kind.rest = kind.rest.max(outcome.rest);
        kind.requests += outcome.requests.requests;
        kind.failed += outcome.requests.failed();
        (kind.keeps_connections, kind.keeps_requests) = (step.keeps_connections(), step.keeps_requests());
        self.last = outcome.vitals;
        for (most, now) in self.most.iter_mut().zip(outcome.vitals) {
            most.memory = most.memory.max(now.memory);
            most.files = most.files.max(now.files);
            most.threads = most.threads.max(now.threads);
        }
        let Outcome { rest, requests, problems, .. } = outcome;
        println!(
            "{:>6.1} s  {:>4}  {step}: at rest after {:.1} s, failed of {} requests: {}",
            self.start.elapsed().as_secs_f64(),
            self.steps,
            rest.as_secs_f64(),
            requests.requests,
            requests.failures_in_words(),
        );
        for problem in problems {
            println!("        PROBLEM: {problem}");
            self.problems.push(format!("step {}, {step}: {problem}", self.steps));
        }
    }

    /// Notes what nothing can go on from.
    pub(super) fn broken(&mut self, error: &anyhow::Error) {
        self.problems.push(format!("after step {}: {error:#}", self.steps));
    }

    /// Steps in which a router was lost that the other may not have been told everything by.
    pub(super) const fn losses(&self) -> u32 {
        self.losses
    }

    /// Notes that nothing was left, and after what time, but so many entries that have to wait for their timeout.
    pub(super) const fn emptied(&mut self, after: Duration, waiting: usize) {
        self.emptied = Some((after, waiting));
    }

    /// Whether all was as it should be, to the end.
    pub(super) const fn passed(&self) -> bool {
        self.problems.is_empty() && self.emptied.is_some()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut table = comfy_table::Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header([
            "trouble",
            "times",
            "longest until rest",
            "requests failed",
            "none may be lost of",
        ]);
        for (name, kind) in &self.kinds {
            let kept = match (kind.keeps_connections, kind.keeps_requests) {
                (true, true) => "established, new",
                (true, false) => "established",
                (false, _) => "established with other servers",
            };
            table.add_row([
                name.clone(),
                kind.steps.to_string(),
                format!("{:.1} s", kind.rest.as_secs_f64()),
                format!("{} of {}", kind.failed, kind.requests),
                kept.to_owned(),
            ]);
        }
        for column in table.column_iter_mut().skip(1).take(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        writeln!(f, "\n{table}\n")?;
        for ((name, last), most) in ["r1", "r2"].into_iter().zip(&self.last).zip(&self.most) {
            writeln!(f, "lbd of {name}: {last}; at most {most}")?;
        }
        if let Some((time, waiting)) = self.emptied {
            let time = time.as_secs_f64();
            writeln!(
                f,
                "no connection is left after {time:.0} s, but {waiting} whose end was lost with a router"
            )?;
        }
        for problem in &self.problems {
            writeln!(f, "PROBLEM: {problem}")?;
        }
        let verdict = if self.passed() { "passed" } else { "FAILED" };
        write!(f, "{verdict}: {} steps in {:.0} s", self.steps, self.start.elapsed().as_secs_f64())
    }
}
