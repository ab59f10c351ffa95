//! Counting tests by the lines that the test runner ends with.

use std::{fmt, iter::Sum, ops::Add};

/// Tests that were run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Those that passed.
    pub(super) passed: u64,
    /// Those that failed.
    pub(super) failed: u64,
}

impl Tally {
    /// What one line of output adds: nothing, unless it is like `test result: ok. 3 passed; 0 failed; …`.
    pub(super) fn of_line(line: &str) -> Self {
        match line.trim_start().strip_prefix("test result:") {
            Some(result) => {
                Self { passed: number_before(result, "passed"), failed: number_before(result, "failed") }
            }
            None => Self::default(),
        }
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { passed: self.passed + other.passed, failed: self.failed + other.failed }
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(tallies: I) -> Self {
        tallies.fold(Self::default(), Add::add)
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed", self.passed, self.failed)
    }
}

fn number_before(text: &str, noun: &str) -> u64 {
    let words: Vec<_> = text.split([' ', ';']).filter(|word| !word.is_empty()).collect();
    words.windows(2).find_map(|pair| if pair[1] == noun { pair[0].parse().ok() } else { None }).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_results_count() {
        let line = "test result: FAILED. 12 passed; 3 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.02s";
        assert_eq!(Tally::of_line(line), Tally { passed: 12, failed: 3 });
        assert_eq!(Tally::of_line("test lab::failed ... ok"), Tally::default());
        assert_eq!(Tally::of_line("running 12 tests"), Tally::default());
    }

    #[test]
    fn tallies_add_up() {
        let sum: Tally = [Tally { passed: 1, failed: 2 }, Tally { passed: 10, failed: 20 }].into_iter().sum();
        assert_eq!(sum.to_string(), "11 passed, 22 failed");
    }
}
