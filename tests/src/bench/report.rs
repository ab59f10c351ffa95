//! The result, for people and for a later comparison.

use std::collections::BTreeMap;

use comfy_table::{Table, presets};
use serde::{Deserialize, Serialize};

use super::{
    floor::Floor,
    live::Live,
    scenario::Scenario,
    stats::{Figure, Sides},
};

/// Everything that was measured.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Nanoseconds an operation.
    pub floors: BTreeMap<Floor, Figure>,
    /// Nanoseconds a packet.
    pub scenarios: Vec<Measured>,
    /// Nanoseconds a frame that travels.
    pub live: Vec<Travel>,
    /// What the daemon does.
    pub control: Vec<Step>,
}

/// A scenario and its figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// Nanoseconds a packet beyond the empty program.
    pub net: Figure,
    /// The floor that it is a multiple of.
    pub floor: Floor,
    /// What the floor cost in the same moments, where it was measured in turn with the scenario.
    pub floor_beside: Option<Figure>,
    /// The multiple that it should not exceed.
    pub goal: Option<f64>,
}

/// A way of frames through program and cable, and its figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Travel {
    /// Its name.
    pub name: String,
    /// Nanoseconds a frame: all that is done with it.
    pub whole: Figure,
    /// Nanoseconds beyond a frame that is only sent back.
    pub beyond: Figure,
}

/// Something that the daemon does, and how long it takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub name: String,
    /// Its unit.
    pub unit: String,
    /// The figure.
    pub figure: Figure,
    /// What it should not exceed.
    pub goal: Option<f64>,
}

impl Measured {
    /// A scenario with its figure.
    pub fn new(scenario: Scenario, sides: &Sides, floor_beside: Option<Figure>) -> Self {
        let Scenario { name, floor, goal, .. } = scenario;
        Self { name: name.to_owned(), net: sides.net(), floor, floor_beside, goal }
    }
}

impl Travel {
    /// A way with its figures.
    pub fn new(live: Live, sides: &Sides) -> Self {
        Self { name: live.name.to_owned(), whole: sides.whole, beyond: sides.net() }
    }
}

impl Report {
    /// How many times its floor a scenario costs; `None` where the floor was not measured.
    pub fn multiple(&self, measured: &Measured) -> Option<f64> {
        let floor = self.floor(measured)?.p10;
        (floor > 0.0).then(|| measured.net.p10 / floor)
    }

    /// The floor of a scenario, in the same moments where it was measured so; `None` where it was not measured.
    pub fn floor(&self, measured: &Measured) -> Option<Figure> {
        measured.floor_beside.or_else(|| self.floors.get(&measured.floor).copied())
    }

    /// The tables, with the change of each multiple since `baseline`.
    pub fn table(&self, baseline: Option<&Self>) -> String {
        let tables = [
            (!self.floors.is_empty()).then(|| self.floor_table()),
            (!self.scenarios.is_empty()).then(|| self.scenario_table(baseline)),
            (!self.live.is_empty()).then(|| self.live_table(baseline)),
            (!self.control.is_empty()).then(|| self.control_table()),
        ];
        tables.into_iter().flatten().map(|table| format!("{table}\n\n")).collect()
    }

    fn floor_table(&self) -> Table {
        let mut table = plain(&["floor, ns", "p10", "median"]);
        for (floor, figure) in &self.floors {
            table.add_row([floor.name().to_owned(), ns(figure.p10), ns(figure.median)]);
        }
        table
    }

    fn scenario_table(&self, baseline: Option<&Self>) -> Table {
        let mut header = vec!["packet, ns", "p10", "median", "multiple", "of", "floor", "at most", ""];
        header.extend(baseline.map(|_| "before"));
        let mut table = plain(&header);
        for measured in &self.scenarios {
            let multiple = self.multiple(measured);
            let mut row = vec![
                measured.name.clone(),
                ns(measured.net.p10),
                ns(measured.net.median),
                multiple.map_or_else(String::new, |multiple| format!("{multiple:.2}")),
                measured.floor.name().to_owned(),
                self.floor(measured).map_or_else(String::new, |floor| ns(floor.p10)),
                measured.goal.map_or_else(String::new, |goal| format!("{goal}")),
                verdict(multiple, measured.goal).to_owned(),
            ];
            row.extend(baseline.map(|baseline| change(multiple, baseline.before(&measured.name))));
            table.add_row(row);
        }
        table
    }

    fn live_table(&self, baseline: Option<&Self>) -> Table {
        let mut header = vec!["frame that travels, ns", "p10", "median", "Mpps", "beyond sending back"];
        header.extend(baseline.map(|_| "before"));
        let mut table = plain(&header);
        for travel in &self.live {
            let Travel { name, whole, beyond } = travel;
            let mpps = 1e3 / whole.median;
            let mut row =
                vec![name.clone(), ns(whole.p10), ns(whole.median), format!("{mpps:.1}"), ns(beyond.p10)];
            row.extend(baseline.map(|baseline| {
                let before = baseline.live.iter().find(|before| before.name == *name);
                change(Some(whole.p10), before.map(|before| before.whole.p10))
            }));
            table.add_row(row);
        }
        table
    }

    fn control_table(&self) -> Table {
        let mut table = plain(&["daemon", "unit", "p10", "median", "at most", ""]);
        for Step { name, unit, figure, goal } in &self.control {
            table.add_row([
                name.clone(),
                unit.clone(),
                format!("{:.3}", figure.p10),
                format!("{:.3}", figure.median),
                goal.map_or_else(String::new, |goal| format!("{goal}")),
                verdict(Some(figure.median), *goal).to_owned(),
            ]);
        }
        table
    }

    fn before(&self, name: &str) -> Option<f64> {
        self.multiple(self.scenarios.iter().find(|measured| measured.name == name)?)
    }
}

fn plain(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    table
}

fn ns(ns: f64) -> String {
    format!("{ns:.1}")
}

fn verdict(value: Option<f64>, goal: Option<f64>) -> &'static str {
    match (value, goal) {
        (Some(value), Some(goal)) if value <= goal => "met",
        (Some(_), Some(_)) => "NOT MET",
        _ => "",
    }
}

/// The multiple of the other run, and by how much this one differs.
fn change(now: Option<f64>, before: Option<f64>) -> String {
    match (now, before) {
        (Some(now), Some(before)) => format!("{before:.2} ({:+.0} %)", (now / before - 1.0) * 100.0),
        _ => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scenario_is_a_multiple_of_its_floor() {
        let report = report(20.0);
        assert_eq!(report.multiple(&report.scenarios[0]), Some(0.5));
        let text = report.table(None);
        let line = text.lines().find(|line| line.contains("one flow")).unwrap();
        assert!(line.contains("0.50") && line.trim_end().ends_with("met") && !line.contains("NOT"), "{line}");
    }

    #[test]
    fn a_floor_of_the_same_moments_counts_before_another() {
        let mut report = report(20.0);
        report.scenarios[0].floor_beside = Some(Figure { p10: 80.0, median: 90.0 });
        assert_eq!(report.multiple(&report.scenarios[0]), Some(0.25));
    }

    #[test]
    fn what_is_above_its_goal_is_said() {
        assert!(report(24.0).table(None).contains("NOT MET"));
    }

    #[test]
    fn a_comparison_shows_the_other_multiple() {
        let text = report(20.0).table(Some(&report(16.0)));
        assert!(text.contains("0.40 (+25 %)"), "{text}");
    }

    #[test]
    fn what_is_written_is_read() {
        let report = report(20.0);
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), report);
    }

    fn report(ns: f64) -> Report {
        let figure = |p10| Figure { p10, median: p10 + 1.0 };
        let name = "one flow".to_owned();
        Report {
            floors: [(Floor::Lru, figure(40.0))].into(),
            scenarios: vec![Measured {
                name,
                net: figure(ns),
                floor: Floor::Lru,
                floor_beside: None,
                goal: Some(0.5),
            }],
            ..Report::default()
        }
    }
}
