//! The result as a picture: a bar for each scenario before the bar of its floor, with a mark where its goal is.

use std::fmt::Write as _;

use super::report::{Measured, Report, Travel};

/// Width of the picture, pixels.
const WIDTH: f64 = 900.0;
/// Where the bars begin, and how far the longest one reaches.
const LEFT: f64 = 190.0;
const LONGEST: f64 = 540.0;
/// Right edges of the columns of figures.
const NANOSECONDS: f64 = 805.0;
const MULTIPLE: f64 = 880.0;
/// Height of a row, of a floor's bar, and of a scenario's.
const ROW: f64 = 21.0;
const FLOOR: f64 = 15.0;
const BAR: f64 = 7.0;
/// Space above a group.
const GAP: f64 = 9.0;

/// Readable on a light page and on a dark one.
const STYLE: &str = "\
    text{font:12px system-ui,'DejaVu Sans',sans-serif;fill:#1f2933}\
    .title{font-size:15px;font-weight:600}.group{font-weight:600}.dim{fill:#66727f}.right{text-anchor:end}.middle{text-anchor:middle}\
    .page{fill:#fff}.grid{stroke:#e6eaee}.floor{fill:#cbd5df}.bar{fill:#1b6ca8}.over{fill:#c2571a}\
    .goal{stroke:#1f2933;stroke-width:2}\
    @media(prefers-color-scheme:dark){text{fill:#e4e9ee}.dim{fill:#98a4b0}.page{fill:#0d1117}.grid{stroke:#252c34}\
    .floor{fill:#3b4754}.bar{fill:#58a6e8}.over{fill:#f08c4a}.goal{stroke:#e4e9ee}}";

/// One bar.
struct Row<'a> {
    name: &'a str,
    ns: f64,
    /// The bar behind it.
    floor: f64,
    /// Where its goal is.
    goal: Option<f64>,
    /// What stands in the last column.
    figure: String,
}

/// The picture, as SVG.
pub fn svg(report: &Report) -> String {
    let mut canvas = Canvas { body: String::new(), y: 12.0 };
    if !report.scenarios.is_empty() {
        canvas.title("What a packet costs beyond an empty program");
        canvas.legend(
            "the program",
            "the kernel operation that others need",
            Some(["at most", "more than that"]),
            "× floor",
        );
        canvas.rows(&report.scenarios.iter().map(|measured| scenario(report, measured)).collect::<Vec<_>>());
    }
    if !report.live.is_empty() {
        canvas.y += GAP;
        canvas.title("A frame on its whole way: made, balanced, sent over a cable, dropped at its end");
        canvas.legend("all of it", "only sent back", None, "Mpps");
        let floor = report.live.iter().find(|travel| travel.name.ends_with("sent back"));
        let floor = floor.map_or(0.0, |travel| travel.whole.p10);
        canvas.rows(&report.live.iter().map(|travel| live(travel, floor)).collect::<Vec<_>>());
    }
    let height = canvas.y + GAP;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\">\n\
         <style>{STYLE}</style>\n<rect class=\"page\" width=\"100%\" height=\"100%\"/>\n{}</svg>\n",
        canvas.body
    )
}

fn scenario<'a>(report: &Report, measured: &'a Measured) -> Row<'a> {
    let floor = report.floor(measured).map_or(0.0, |figure| figure.p10.max(0.0));
    Row {
        name: &measured.name,
        ns: measured.net.p10.max(0.0),
        floor,
        goal: measured.goal.map(|goal| goal * floor),
        figure: report.multiple(measured).map_or_else(String::new, |multiple| format!("{multiple:.2}")),
    }
}

fn live(travel: &Travel, floor: f64) -> Row<'_> {
    let name = travel.name.trim_start_matches("live: ");
    let figure = format!("{:.1}", 1e3 / travel.whole.median);
    Row { name, ns: travel.whole.p10, floor, goal: None, figure }
}

/// Rows in turn whose names begin alike, up to the comma.
fn groups<'a, 'b>(rows: &'b [Row<'a>]) -> impl Iterator<Item = &'b [Row<'a>]> {
    rows.chunk_by(|one, other| prefix(one.name) == prefix(other.name))
}

fn prefix(name: &str) -> &str {
    name.split_once(", ").map_or(name, |(prefix, _)| prefix)
}

/// The picture so far.
struct Canvas {
    body: String,
    /// Where the next thing goes.
    y: f64,
}

impl Canvas {
    fn title(&mut self, text: &str) {
        self.y += 16.0;
        self.text(16.0, "title", text);
        self.y += 22.0;
    }

    /// What bars and mark mean, and what the columns of figures are.
    fn legend(&mut self, bar: &str, floor: &str, goal: Option<[&str; 2]>, last: &str) {
        let mut x = 16.0;
        let goal = goal.map(|[goal, over]| [("goal", goal), ("over", over)]);
        let entries = [("bar", bar), ("floor", floor)].into_iter().chain(goal.into_iter().flatten());
        for (class, text) in entries {
            if class == "goal" {
                self.line(class, [x + 7.0, self.y - 12.0, x + 7.0, self.y + 2.0]);
            } else {
                let y = self.y - 9.0;
                let _ = writeln!(
                    self.body,
                    "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"14\" height=\"9\" rx=\"1.5\"/>"
                );
            }
            self.text(x + 20.0, "dim", text);
            // Seven pixels are more than a letter of this size needs.
            x += 40.0 + 7.0 * text.len() as f64;
        }
        self.text(NANOSECONDS, "dim right", "p10");
        self.text(MULTIPLE, "dim right", last);
        self.y += 8.0;
    }

    fn rows(&mut self, rows: &[Row<'_>]) {
        let longest = rows.iter().map(|row| row.ns.max(row.floor)).fold(1.0, f64::max);
        let scale = LONGEST / longest;
        let top = self.y;
        let mut bars = Self { body: String::new(), y: top + 16.0 };
        let mut is_alone = false;
        for group in groups(rows) {
            // Rows that stand alone need no space between them.
            if !(is_alone && group.len() == 1) {
                bars.y += GAP;
            }
            is_alone = group.len() == 1;
            bars.group(group, scale);
        }
        self.grid(top, bars.y, longest, scale);
        self.body.push_str(&bars.body);
        self.y = bars.y + GAP;
    }

    /// A group under its name; one alone has its whole name.
    fn group(&mut self, rows: &[Row<'_>], scale: f64) {
        if let [first, _, ..] = rows {
            self.y += 12.0;
            self.text(16.0, "group", prefix(first.name));
            self.y += 6.0;
        }
        for row in rows {
            let label = match rows {
                [_] => row.name,
                _ => row.name.get(prefix(row.name).len()..).unwrap_or_default().trim_start_matches(", "),
            };
            self.row(row, label, scale, if rows.len() == 1 { 16.0 } else { 30.0 });
        }
    }

    fn row(&mut self, row: &Row<'_>, label: &str, scale: f64, indent: f64) {
        let is_over = row.goal.is_some_and(|goal| row.ns > goal);
        self.bar("floor", row.floor * scale, FLOOR);
        self.bar(if is_over { "over" } else { "bar" }, row.ns * scale, BAR);
        if let Some(goal) = row.goal {
            let x = LEFT + goal * scale;
            let (top, bottom) = (self.y + 1.0, self.y + ROW - 1.0);
            self.line("goal", [x, top, x, bottom]);
        }
        self.y += ROW / 2.0 + 4.0;
        self.text(indent, "", label);
        self.text(NANOSECONDS, "right", &format!("{:.0} ns", row.ns));
        self.text(MULTIPLE, "right", &row.figure);
        self.y += ROW / 2.0 - 4.0;
    }

    /// Lines at round numbers of nanoseconds.
    fn grid(&mut self, top: f64, bottom: f64, longest: f64, scale: f64) {
        let step = step(longest);
        for ns in (0..).map(|line| f64::from(line) * step).take_while(|ns| *ns <= longest) {
            let x = LEFT + ns * scale;
            self.line("grid", [x, top + 16.0, x, bottom]);
            self.y = top + 10.0;
            self.text(x, "dim middle", &format!("{ns}"));
        }
    }

    fn bar(&mut self, class: &str, width: f64, height: f64) {
        let y = self.y + (ROW - height) / 2.0;
        let _ = writeln!(
            self.body,
            "<rect class=\"{class}\" x=\"{LEFT}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height}\" rx=\"1.5\"/>"
        );
    }

    fn line(&mut self, class: &str, [x1, y1, x2, y2]: [f64; 4]) {
        let _ = writeln!(
            self.body,
            "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>"
        );
    }

    fn text(&mut self, x: f64, class: &str, text: &str) {
        let y = self.y;
        let _ = writeln!(self.body, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
    }
}

/// A round number of which four to ten make `longest`.
fn step(longest: f64) -> f64 {
    let power = 10_f64.powf(longest.log10().floor());
    if longest / power >= 4.0 {
        power
    } else if longest / power >= 2.0 {
        power / 2.0
    } else {
        power / 5.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{floor::Floor, stats::Figure};

    #[test]
    fn the_longest_bar_fills_the_picture() {
        let svg = svg(&report(&[("a", 10.0), ("b", 100.0)]));
        for (class, width) in [("bar", "54.0"), ("over", "540.0"), ("floor", "270.0")] {
            let bar = format!("class=\"{class}\" x=\"190\"");
            assert!(svg.lines().any(|line| line.contains(&bar) && line.contains(width)), "{class}: {svg}");
        }
        assert!(svg.contains(">100 ns<") && svg.contains(">2.00<"), "{svg}");
    }

    #[test]
    fn a_goal_is_marked_where_it_is() {
        // Eight tenths of fifty nanoseconds, where 100 fill 540 pixels after the first 190.
        assert!(svg(&report(&[("a", 100.0)])).contains("class=\"goal\" x1=\"406.0\""));
    }

    #[test]
    fn names_that_begin_alike_stand_under_one_heading() {
        let svg = svg(&report(&[("TCP, 1 flow", 1.0), ("TCP, 2 flows", 1.0), ("UDP, 1 flow", 1.0)]));
        for text in ["class=\"group\" x=\"16.0\"", ">TCP<", ">1 flow<", ">2 flows<", ">UDP, 1 flow<"] {
            assert_eq!(svg.matches(text).count(), 1, "{text}: {svg}");
        }
    }

    #[test]
    fn frames_that_travel_stand_before_those_that_are_sent_back() {
        let travel = |name: &str, ns| Travel { name: name.to_owned(), whole: figure(ns), beyond: figure(ns) };
        let live = vec![travel("live: sent back", 50.0), travel("live: x", 100.0)];
        let svg = svg(&Report { live, ..Report::default() });
        assert_eq!(svg.matches("width=\"270.0\" height=\"15\"").count(), 2, "{svg}");
        assert!(svg.contains(">x<") && svg.contains(">10.0<"), "{svg}");
    }

    #[test]
    fn lines_stand_at_round_numbers() {
        for (longest, wanted) in [(450.0, 100.0), (330.0, 50.0), (100.0, 20.0), (39.0, 5.0)] {
            assert!((step(longest) - wanted).abs() < 1e-9, "{longest}: {}", step(longest));
        }
    }

    fn figure(ns: f64) -> Figure {
        Figure { p10: ns, median: ns }
    }

    fn report(scenarios: &[(&str, f64)]) -> Report {
        let scenario = |(name, ns): &(&str, f64)| Measured {
            name: (*name).to_owned(),
            net: figure(*ns),
            floor: Floor::Hash,
            floor_beside: None,
            goal: Some(0.8),
        };
        Report {
            floors: [(Floor::Hash, figure(50.0))].into(),
            scenarios: scenarios.iter().map(scenario).collect(),
            ..Report::default()
        }
    }
}
