//! What one step has found, and whether it is as it should be.

use std::time::Duration;

use serde::Serialize;

use super::traffic::Ended;
use crate::lab::load::record::Summary;

/// The findings of a step.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Findings {
    /// Judgements, in the order in which they were made.
    pub(crate) checks: Vec<Check>,
    /// Figures that are shown and not judged.
    pub(crate) notes: Vec<String>,
    /// Requests of the step.
    pub(crate) requests: Summary,
    /// Milliseconds until traffic flowed again, where it was to be interrupted.
    pub(crate) recovery_ms: Option<f64>,
    /// Longest time without any answered request, in milliseconds.
    pub(crate) longest_gap_ms: Option<f64>,
}

/// One judgement.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Check {
    /// What is judged.
    pub(crate) what: String,
    /// What it should be, in words.
    pub(crate) bound: String,
    /// What it was.
    pub(crate) found: String,
    /// Whether that is within the bound.
    pub(crate) passed: bool,
}

impl Findings {
    /// Those of a step that could not go on.
    pub(crate) fn broken(error: &anyhow::Error) -> Self {
        let mut findings = Self::default();
        findings.check("the step", "runs to its end", format!("{error:#}"), false);
        findings
    }

    /// Takes the requests of the step.
    pub(crate) fn take(&mut self, traffic: &Ended) {
        self.requests.add(&traffic.summary());
        self.longest_gap_ms = traffic.longest_gap().map(milliseconds);
    }

    /// Adds a judgement.
    pub(crate) fn check(
        &mut self,
        what: &str,
        bound: impl Into<String>,
        found: impl Into<String>,
        passed: bool,
    ) {
        self.checks.push(Check { what: what.to_owned(), bound: bound.into(), found: found.into(), passed });
    }

    /// Adds a figure that is not judged.
    pub(crate) fn note(&mut self, line: impl Into<String>) {
        self.notes.push(line.into());
    }

    /// Judges a time against its upper bound.
    pub(crate) fn within(&mut self, what: &str, found: Duration, bound: Duration) {
        self.check(what, format!("at most {}", seconds(bound)), seconds(found), found <= bound);
    }

    /// Judges that no request has failed.
    pub(crate) fn no_failures(&mut self) {
        let found = format!(
            "{} of {}: {}",
            self.requests.failed(),
            self.requests.requests,
            self.requests.failures_in_words()
        );
        let passed = self.requests.requests > 0 && self.requests.failed() == 0;
        self.check("failed requests", "none", found, passed);
    }

    /// Notes the time until traffic flowed again.
    pub(crate) fn recovered(&mut self, time: Duration) {
        self.recovery_ms = Some(milliseconds(time));
    }

    /// Whether all is as it should be.
    pub(crate) fn passed(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.passed)
    }

    /// Every judgement as whether it passed and a line.
    pub(crate) fn lines(&self) -> Vec<(bool, String)> {
        let line = |check: &Check| format!("{}: {} (should be: {})", check.what, check.found, check.bound);
        self.checks.iter().map(|check| (check.passed, line(check))).collect()
    }
}

/// A time in seconds, for people.
pub(crate) fn seconds(time: Duration) -> String {
    format!("{:.2} s", time.as_secs_f64())
}

fn milliseconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 10_000.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failed_judgement_fails_the_step() {
        let mut findings = Findings::default();
        assert!(!findings.passed(), "nothing judged is nothing shown");
        findings.within("a", Duration::from_millis(1500), Duration::from_millis(1500));
        assert!(findings.passed());
        findings.within("b", Duration::from_millis(1501), Duration::from_millis(1500));
        assert!(!findings.passed());
        assert_eq!(findings.lines()[1], (false, "b: 1.50 s (should be: at most 1.50 s)".to_owned()));
    }

    #[test]
    fn no_requests_are_no_success() {
        let mut findings = Findings::default();
        findings.no_failures();
        assert!(!findings.passed());
    }
}
