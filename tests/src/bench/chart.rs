//! The result as a picture: a bar for each scenario, in nanoseconds, with its floor behind it.

use std::fmt::Write as _;

use super::report::Report;

/// Height of a row, pixels.
const ROW: usize = 22;
/// Where the bars begin.
const LEFT: usize = 250;
/// Width of the longest bar.
const WIDTH: f64 = 560.0;
/// Width of the picture.
const TOTAL: usize = 900;

/// The picture, as SVG.
pub fn svg(report: &Report) -> String {
    let rows: Vec<(&str, f64, f64)> = report
        .scenarios
        .iter()
        .map(|measured| {
            let floor = report.floors.get(&measured.floor).map_or(0.0, |figure| figure.p10);
            (measured.name.as_str(), measured.net.p10.max(0.0), floor.max(0.0))
        })
        .collect();
    let longest = rows.iter().map(|(_, net, floor)| net.max(*floor)).fold(1.0, f64::max);
    let height = ROW * (rows.len() + 3);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{TOTAL}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <text x=\"10\" y=\"16\">Nanoseconds a packet (dark), and one kernel operation that a conventional balancer needs (light)</text>\n"
    );
    for (number, (name, net, floor)) in rows.iter().enumerate() {
        let y = ROW * (number + 2);
        let bar = |ns: f64| ns / longest * WIDTH;
        let _ = write!(
            svg,
            "<text x=\"10\" y=\"{}\">{name}</text>\n\
             <rect x=\"{LEFT}\" y=\"{y}\" width=\"{:.1}\" height=\"16\" fill=\"#c8d6e5\"/>\n\
             <rect x=\"{LEFT}\" y=\"{}\" width=\"{:.1}\" height=\"8\" fill=\"#1f4e79\"/>\n\
             <text x=\"{:.1}\" y=\"{}\">{net:.0} / {floor:.0}</text>\n",
            y + 12,
            bar(*floor),
            y + 4,
            bar(*net),
            LEFT as f64 + bar(net.max(*floor)) + 6.0,
            y + 12,
        );
    }
    svg.push_str("</svg>\n");
    svg
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::{floor::Floor, report::Measured, stats::Figure};

    #[test]
    fn the_longest_bar_fills_the_picture() {
        let figure = |p10| Figure { p10, median: p10 };
        let scenario = |name: &str, ns| Measured {
            name: name.to_owned(),
            net: figure(ns),
            floor: Floor::Hash,
            goal: None,
        };
        let report = Report {
            floors: [(Floor::Hash, figure(50.0))].into(),
            scenarios: vec![scenario("a", 10.0), scenario("b", 100.0)],
            ..Report::default()
        };
        let svg = svg(&report);
        assert!(
            svg.contains("width=\"560.0\"") && svg.contains("width=\"56.0\"") && svg.contains("100 / 50")
        );
        assert_eq!(svg.matches("<rect").count(), 5);
    }
}
