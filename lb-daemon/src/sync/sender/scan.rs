//! Which buckets are looked at next: those that have changed, at a steady pace; in between, those of the walk of a full
//! transfer; and all of them now and then, for what no mark tells.

use std::time::{Duration, Instant};

use lb_common::flow_table::{MARKS, SharedMarks};

use super::{Next, PACE};

/// Time in which every bucket is looked at, changed or not: the last use of a flow is no change, and makes no mark.
const SWEEP: Duration = Duration::from_secs(30);
/// Values of marks, of 64 buckets each, that count as much as one bucket that is looked at.
const MARKS_A_BUCKET: u32 = 8;

#[derive(Debug)]
pub(super) struct Scan {
    buckets: u32,
    /// Next bucket of the walk; all of them where it is over.
    walked: u32,
    /// The pass over the marks that is under way.
    pass: Option<Pass>,
    next_pass: Instant,
    /// Walk and sweep have had their turn since the last pass: passes that follow each other without a break do not keep
    /// them waiting.
    rested: bool,
    /// Buckets that have changed and were not looked at, for want of room.
    left: Vec<u32>,
    /// Next bucket of the sweep, and how many are still due in this round.
    swept: u32,
    due: u32,
}

#[derive(Debug)]
struct Pass {
    began: Instant,
    /// Next value of the marks.
    next: usize,
}

/// What a step has come to.
pub(super) struct Step {
    /// All that had changed before this moment has been looked at.
    pub(super) covers: Option<Instant>,
    /// The walk has ended with this step.
    pub(super) walk_ended: bool,
    pub(super) next: Next,
}

impl Scan {
    /// A scan of a table of so many buckets, which begins with a walk.
    pub(super) fn new(buckets: usize, now: Instant) -> Self {
        Self {
            buckets: u32::try_from(buckets).unwrap_or(u32::MAX),
            walked: 0,
            pass: None,
            next_pass: now,
            rested: true,
            left: Vec::new(),
            swept: 0,
            due: 0,
        }
    }

    /// How much of the walk is done, in percent.
    pub(super) fn percent(&self) -> u8 {
        let done = u64::from(self.walked) * 100 / u64::from(self.buckets.max(1));
        u8::try_from(done).unwrap_or(100)
    }

    /// Lets `look` look at about `budget` buckets, or fewer where it says that there is no room for more.
    pub(super) fn step(
        &mut self,
        marks: &[SharedMarks],
        budget: u32,
        now: Instant,
        look: &mut impl FnMut(u32) -> bool,
    ) -> Step {
        let mut step = Step { covers: None, walk_ended: false, next: Next::Now };
        let nothing_else = self.is_walked() && self.due == 0;
        if self.pass.is_none() && now >= self.next_pass && (self.rested || nothing_else) {
            self.pass = Some(Pass { began: now, next: 0 });
            self.next_pass = now + PACE;
            self.rested = false;
        }
        if self.pass.is_some() {
            let began = self.pass(marks, budget, look);
            // What stands behind the walk has not been looked at, marks or not.
            step.covers = began.filter(|_| self.is_walked());
            self.due = if began.is_some() { self.share() } else { self.due };
        } else if !self.is_walked() {
            self.walk(budget, look);
            self.rested = true;
            step.walk_ended = self.is_walked();
        } else if self.due > 0 {
            self.sweep(budget, look);
            self.rested = true;
        }
        if self.pass.is_none() && self.is_walked() && self.due == 0 {
            step.next = Next::At(self.next_pass);
        }
        step
    }

    const fn is_walked(&self) -> bool {
        self.walked >= self.buckets
    }

    /// A part of the pass; when it is through, the moment at which it began.
    fn pass(
        &mut self,
        marks: &[SharedMarks],
        budget: u32,
        look: &mut impl FnMut(u32) -> bool,
    ) -> Option<Instant> {
        let pass = self.pass.as_mut()?;
        let mut cost = 0;
        loop {
            while let Some(bucket) = self.left.pop() {
                cost += MARKS_A_BUCKET;
                if bucket < self.buckets && !look(bucket) || cost >= budget * MARKS_A_BUCKET {
                    return None;
                }
            }
            let Some(value) = marks.get(pass.next) else { break };
            let first = pass.next * MARKS;
            self.left.extend(value.take().filter_map(|number| u32::try_from(first + number).ok()));
            pass.next += 1;
            cost += 1;
            if cost >= budget * MARKS_A_BUCKET {
                return None;
            }
        }
        self.pass.take().map(|pass| pass.began)
    }

    fn walk(&mut self, budget: u32, look: &mut impl FnMut(u32) -> bool) {
        let end = self.walked.saturating_add(budget).min(self.buckets);
        while self.walked < end {
            let bucket = self.walked;
            self.walked += 1;
            if !look(bucket) {
                return;
            }
        }
    }

    fn sweep(&mut self, budget: u32, look: &mut impl FnMut(u32) -> bool) {
        for _ in 0..budget.min(self.due) {
            let bucket = self.swept;
            self.swept = if bucket + 1 < self.buckets { bucket + 1 } else { 0 };
            self.due -= 1;
            if !look(bucket) {
                return;
            }
        }
    }

    /// Buckets of the sweep that are due in each round.
    fn share(&self) -> u32 {
        let rounds = (SWEEP.as_millis() / PACE.as_millis().max(1)).max(1);
        u32::try_from(u128::from(self.buckets).div_ceil(rounds)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUCKETS: usize = 1000;

    #[test]
    fn the_walk_sees_every_bucket_once_and_marks_come_first() {
        let (mut scan, marks, start) = (Scan::new(BUCKETS, Instant::now()), marks(), Instant::now());
        marks[15].set(3);
        let mut seen = Vec::new();
        let steps = run(&mut scan, &marks, start, &mut seen);
        assert_eq!(seen[0], 15 * 64 + 3);
        assert_eq!(seen[1..=BUCKETS], (0..1000).collect::<Vec<_>>());
        assert_eq!(steps.iter().filter(|step| step.walk_ended).count(), 1);
        assert!(steps.iter().all(|step| step.covers.is_none()), "no pass has ended after the walk");
        assert_eq!(scan.percent(), 100);
    }

    #[test]
    fn changes_are_seen_at_the_next_pass_and_only_then() {
        let (mut scan, marks, start) = (Scan::new(BUCKETS, Instant::now()), marks(), Instant::now());
        run(&mut scan, &marks, start, &mut Vec::new());
        marks[0].set(7);
        let mut seen = Vec::new();
        assert_eq!(run(&mut scan, &marks, start, &mut seen)[0].next, Next::At(start + PACE));
        assert!(seen.is_empty(), "{seen:?}");
        let steps = run(&mut scan, &marks, start + PACE, &mut seen);
        assert_eq!(seen[0], 7);
        assert_eq!(steps[0].covers, Some(start + PACE));
    }

    #[test]
    fn a_bucket_waits_where_there_is_no_room() {
        let (mut scan, marks, start) = (Scan::new(BUCKETS, Instant::now()), marks(), Instant::now());
        run(&mut scan, &marks, start, &mut Vec::new());
        (0..64).for_each(|bucket| marks[2].set(bucket));
        let mut seen = Vec::new();
        let mut covers = 0;
        for _ in 0..100 {
            let step = scan.step(&marks, 100, start + PACE, &mut |bucket| {
                seen.push(bucket);
                false
            });
            covers += usize::from(step.covers.is_some());
            if covers > 0 {
                break;
            }
        }
        seen.sort_unstable();
        assert_eq!(seen, (128..192).collect::<Vec<_>>());
    }

    #[test]
    fn the_sweep_sees_everything_within_its_time() {
        let (mut scan, marks, start) = (Scan::new(BUCKETS, Instant::now()), marks(), Instant::now());
        run(&mut scan, &marks, start, &mut Vec::new());
        let mut seen = Vec::new();
        for round in 1..=600 {
            run(&mut scan, &marks, start + PACE * round, &mut seen);
        }
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), BUCKETS);
    }

    fn marks() -> Vec<SharedMarks> {
        (0..BUCKETS.div_ceil(MARKS)).map(|_| SharedMarks::default()).collect()
    }

    /// Steps until there is nothing more to do at this time.
    fn run(scan: &mut Scan, marks: &[SharedMarks], now: Instant, seen: &mut Vec<u32>) -> Vec<Step> {
        let mut steps = Vec::new();
        loop {
            let step = scan.step(marks, 100, now, &mut |bucket| {
                seen.push(bucket);
                true
            });
            let done = step.next != Next::Now;
            steps.push(step);
            if done {
                return steps;
            }
        }
    }
}
