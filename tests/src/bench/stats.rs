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

    /// One of several times that were measured beyond the first: `(eight - one) / 7`.
    #[must_use]
    pub fn one_of_eight(one: Self, eight: Self) -> Self {
        Self { p10: (eight.p10 - one.p10) / 7.0, median: (eight.median - one.median) / 7.0 }
    }
}

/// A round: samples of the program under test, and of the empty one just before.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// Nanoseconds an iteration with the empty program.
    pub base: Vec<f64>,
    /// With the program under test.
    pub target: Vec<f64>,
}

/// How far the base of a round may be above the best one, as a factor: others were at work then.
const TOLERANCE: f64 = 1.06;

/// What the program under test costs, over the rounds in which the machine was quiet.
pub fn net(rounds: &[Round]) -> Option<Figure> {
    let bases: Vec<f64> =
        rounds.iter().filter_map(|round| Some(Figure::of(round.base.clone())?.median)).collect();
    let best = bases.iter().copied().min_by(f64::total_cmp)?;
    let quiet: Vec<&Round> = rounds
        .iter()
        .zip(&bases)
        .filter(|(_, base)| **base <= best * TOLERANCE)
        .map(|(round, _)| round)
        .collect();
    let all = |samples: fn(&Round) -> &[f64]| {
        Figure::of(quiet.iter().flat_map(|round| samples(round).iter().copied()).collect())
    };
    Some(all(|round| &round.target)?.above(all(|round| &round.base)?))
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
    fn a_round_on_a_busy_machine_does_not_count() {
        let quiet = Round { base: vec![10.0; 10], target: vec![15.0; 10] };
        let busy = Round { base: vec![20.0; 10], target: vec![90.0; 10] };
        let net = net(&[busy, quiet]).unwrap();
        assert_eq!(net, Figure { p10: 5.0, median: 5.0 });
    }

    #[test]
    fn one_of_eight_leaves_out_what_is_done_once() {
        let [one, eight] = [12.0, 82.0].map(|ns| Figure { p10: ns, median: ns });
        assert_eq!(Figure::one_of_eight(one, eight), Figure { p10: 10.0, median: 10.0 });
    }
}
