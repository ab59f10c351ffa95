//! The whole demo in figures: a table for people, JSON for programs.

use std::collections::BTreeMap;

use comfy_table::{CellAlignment, Table, presets};
use serde::Serialize;

use super::findings::Findings;
use crate::lab::load::record::Summary;

/// Columns of the table that hold numbers.
const NUMBERS: [usize; 4] = [2, 3, 5, 6];

/// Everything measured.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// Whether all was as it should be.
    pub(crate) passed: bool,
    /// Steps there are.
    planned: usize,
    /// Steps that were made.
    steps: Vec<Step>,
    /// Requests of all steps.
    requests: Summary,
}

#[derive(Clone, Debug, Serialize)]
struct Step {
    number: usize,
    title: String,
    passed: bool,
    #[serde(flatten)]
    findings: Findings,
}

impl Report {
    /// The report of a demo of `planned` steps, none made yet.
    pub(crate) fn new(planned: usize) -> Self {
        Self { passed: false, planned, steps: Vec::new(), requests: Summary::default() }
    }

    /// Adds a step.
    pub(crate) fn add(&mut self, title: &str, findings: Findings) {
        self.requests.add(&findings.requests);
        let (number, passed) = (self.steps.len() + 1, findings.passed());
        self.steps.push(Step { number, title: title.to_owned(), passed, findings });
        self.passed = self.steps.len() == self.planned && self.steps.iter().all(|step| step.passed);
    }

    /// The lines of the final table.
    pub(crate) fn table(&self) -> Vec<String> {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_header(["step", "", "requests", "failed", "share, %", "flows after", "longest gap"]);
        for step in &self.steps {
            table.add_row(step.row());
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            column.set_padding((0, 2));
            if NUMBERS.contains(&index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        let mut lines = vec![String::new()];
        lines.extend(table.lines().map(|line| line.trim_end().to_owned()));
        lines.push(String::new());
        lines.push(self.conclusion());
        lines
    }

    fn conclusion(&self) -> String {
        let bad: Vec<String> =
            self.steps.iter().filter(|step| !step.passed).map(|step| step.number.to_string()).collect();
        let left = self.planned - self.steps.len();
        match (bad.as_slice(), left) {
            ([], 0) => "All is as it should be.".to_owned(),
            ([], left) => format!("Not made: {left} of {} steps.", self.planned),
            (bad, 0) => format!("Not as it should be: step {}.", bad.join(", ")),
            (bad, left) => {
                format!("Not as it should be: step {}. Not made: {left} of {}.", bad.join(", "), self.planned)
            }
        }
    }
}

impl Step {
    fn row(&self) -> [String; 7] {
        let Findings { requests, recovery_ms, longest_gap_ms, .. } = &self.findings;
        let time =
            |milliseconds: &Option<f64>| milliseconds.map_or("-".to_owned(), |time| format!("{time:.0} ms"));
        [
            format!("{} {}", self.number, self.title),
            if self.passed { "PASS" } else { "FAIL" }.to_owned(),
            requests.requests.to_string(),
            requests.failed().to_string(),
            shares(requests),
            time(recovery_ms),
            time(longest_gap_ms),
        ]
    }
}

/// `n 17:33:50`, a line for each service, in percent each server's part of its own service's answers.
fn shares(summary: &Summary) -> String {
    let mut services = BTreeMap::<char, Vec<u64>>::new();
    for (server, count) in &summary.servers {
        // The lab's servers are called by their service: n1, n2, n3 and d1, d2, d3.
        services.entry(server.chars().next().unwrap_or('?')).or_default().push(*count);
    }
    let lines = services.iter().map(|(service, counts)| {
        let sum: u64 = counts.iter().sum();
        let parts = counts.iter().map(|count| format!("{:.0}", *count as f64 * 100.0 / sum as f64));
        format!("{service} {}", parts.collect::<Vec<_>>().join(":"))
    });
    lines.collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::demo::steps::STEPS;

    #[test]
    fn a_demo_cut_short_is_no_success() {
        let mut report = Report::new(2);
        report.add("one", good());
        assert!(!report.passed);
        assert_eq!(report.conclusion(), "Not made: 1 of 2 steps.");
        report.add("two", good());
        assert!(report.passed);
    }

    #[test]
    fn a_failed_step_is_named() {
        let mut report = Report::new(2);
        report.add("one", good());
        report.add("two", Findings::broken(&anyhow::anyhow!("broken")));
        assert!(!report.passed);
        assert_eq!(report.conclusion(), "Not as it should be: step 2.");
    }

    #[test]
    fn shares_are_those_of_each_service() {
        let servers = [("n1", 25), ("n2", 75), ("d1", 50)].map(|(server, count)| (server.to_owned(), count));
        let summary = Summary { servers: servers.into(), ..Summary::default() };
        assert_eq!(shares(&summary), "d 100\nn 25:75");
    }

    #[test]
    fn the_table_fits_a_terminal() {
        let mut findings = good();
        let servers = ["d1", "d2", "d3", "n1", "n2", "n3"].map(|server| (server.to_owned(), 99_999));
        findings.requests = Summary { requests: 99_999, servers: servers.into(), ..Summary::default() };
        (findings.recovery_ms, findings.longest_gap_ms) = (Some(12_345.6), Some(12_345.6));
        let mut report = Report::new(STEPS.len());
        for step in STEPS {
            report.add(step.title, findings.clone());
        }
        for line in report.table() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }

    fn good() -> Findings {
        let mut findings = Findings::default();
        findings.check("it", "is", "is", true);
        findings
    }
}
