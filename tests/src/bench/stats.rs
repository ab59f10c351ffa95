//! From samples to figures.

use serde::{Deserialize, Serialize};

/// Nanoseconds an iteration, or milliseconds a step of the control side.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// The tenth percentile: what it costs while nobody disturbs.
    pub p10: f64,
    /// The median.
    pub median: f64,
}

impl Figure {
    /// The figure of these samples; `None` where there are none.
    pub fn of(mut samples: Vec<f64>) -> Option<Self> {
        samples.sort_by(f64::total_cmp);
        let at = |share: usize| samples.get(samples.len() * share / 100).copied();
        Some(Self { p10: at(10)?, median: at(50)? })
    }

    /// What is left of it without `base`.
    #[must_use]
    pub fn above(self, base: Self) -> Self {
        Self { p10: self.p10 - base.p10, median: self.median - base.median }
    }

    /// The share of one, where this is what `times` cost.
    #[must_use]
    pub fn of_one(self, times: f64) -> Self {
        Self { p10: self.p10 / times, median: self.median / times }
    }
}

/// What two programs cost, measured in turn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sides {
    /// The one that it is compared with, harness included.
    pub base: Figure,
    /// The program under test, harness included.
    pub whole: Figure,
}

impl Sides {
    /// What the program under test costs beyond the base.
    pub fn net(&self) -> Figure {
        self.whole.above(self.base)
    }
}

/// How far a slice of the base may be above its tenth percentile, as a factor: others were at work then.
const TOLERANCE: f64 = 1.06;

/// The figures of runs of slices: base, target, base, … base. A slice of the target counts where the machine was quiet
/// before and after it, which is seen by the slices of the base alone, and so do those two. `None` where none counts.
pub fn sides(runs: &[Vec<f64>]) -> Option<Sides> {
    let bases = runs.iter().flat_map(|run| run.iter().copied().step_by(2)).collect();
    let most = Figure::of(bases)?.p10 * TOLERANCE;
    let (mut base, mut whole) = (Vec::new(), Vec::new());
    for run in runs {
        for slices in run.windows(3).step_by(2) {
            let &[before, target, after] = slices else { continue };
            if before <= most && after <= most {
                base.extend([before, after]);
                whole.push(target);
            }
        }
    }
    Some(Sides { base: Figure::of(base)?, whole: Figure::of(whole)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples() {
        let figure = Figure::of((0..100).rev().map(f64::from).collect()).unwrap();
        assert_eq!(figure, Figure { p10: 10.0, median: 50.0 });
        assert_eq!(Figure::of(Vec::new()), None);
    }

    #[test]
    fn a_slice_counts_where_the_machine_was_quiet_before_and_after() {
        let run = vec![10.0, 15.0, 10.0, 90.0, 20.0, 80.0, 20.0, 70.0, 10.0, 17.0, 10.0];
        let quiet =
            Sides { base: Figure { p10: 10.0, median: 10.0 }, whole: Figure { p10: 15.0, median: 17.0 } };
        assert_eq!(sides(&[run]), Some(quiet));
        assert_eq!(quiet.net(), Figure { p10: 5.0, median: 7.0 });
    }

    #[test]
    fn slices_of_different_runs_are_no_neighbours() {
        let runs = [vec![20.0, 90.0, 10.0], vec![10.0, 15.0, 10.0], vec![10.0, 80.0, 20.0]];
        assert_eq!(sides(&runs).unwrap().whole, Figure { p10: 15.0, median: 15.0 });
    }

    #[test]
    fn without_a_quiet_moment_there_is_no_figure() {
        assert_eq!(sides(&[vec![10.0, 15.0, 20.0, 15.0, 10.0]]), None);
        assert_eq!(sides(&[]), None);
    }
}
