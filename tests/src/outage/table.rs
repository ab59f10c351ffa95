//! What was measured, as a table, and whether it is within the bounds.

use std::{fmt, time::Duration};

use comfy_table::{CellAlignment, presets};

use super::{Row, Timers};

/// The rows of one measurement.
#[derive(Clone, Debug)]
pub struct Table {
    /// The timers of both routers.
    pub timers: Timers,
    /// In the order in which they happened.
    pub rows: Vec<Row>,
    /// Answers on established connections, in all.
    pub answers: u64,
}

impl Row {
    /// Whether no silence was longer than promised.
    pub fn is_within(&self) -> bool {
        let longest = self.established.iter().chain(&self.new).max();
        self.bound.is_none_or(|bound| longest.is_none_or(|longest| *longest <= bound))
    }
}

impl Table {
    /// Whether every row is within its bound.
    pub fn is_within(&self) -> bool {
        self.rows.iter().all(Row::is_within)
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Timers { interval, dead_after } = self.timers;
        let dead_after =
            dead_after.map_or("the default".to_owned(), |time| format!("{} ms", time.as_millis()));
        writeln!(f, "Heartbeats every {} ms, dead_after {dead_after}.", interval.as_millis())?;
        writeln!(
            f,
            "Longest silence in milliseconds, from the first packet that asks to the next that answers:"
        )?;
        let mut table = comfy_table::Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header([
            "what happens",
            "established, NAT",
            "established, direct",
            "new, NAT",
            "new, direct",
            "at most",
            "connections lost",
            "requests failed",
        ]);
        for row in &self.rows {
            let bound = row.bound.map_or("-".to_owned(), millis);
            let verdict = if row.is_within() { "" } else { " NOT MET" };
            let times = row.established.iter().chain(&row.new).map(|time| millis(*time));
            let failed = format!("{} of {}", row.requests.failed(), row.requests.requests);
            let cells = [row.what.clone()].into_iter().chain(times);
            table.add_row(cells.chain([format!("{bound}{verdict}"), row.lost.to_string(), failed]));
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        write!(f, "{table}")
    }
}

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::load::record::Summary;

    #[test]
    fn one_silence_that_is_too_long_is_enough() {
        let ms = Duration::from_millis;
        let row = |new, bound| Row {
            what: "x".to_owned(),
            established: [ms(1), ms(2)],
            new: [ms(3), ms(new)],
            lost: 0,
            requests: Summary::default(),
            bound,
        };
        let table = |rows| Table { timers: Timers::FAST, rows, answers: 0 };
        assert!(table(vec![row(50, Some(ms(50))), row(900, None)]).is_within());
        let late = table(vec![row(50, Some(ms(50))), row(51, Some(ms(50)))]);
        assert!(!late.is_within() && late.to_string().matches("NOT MET").count() == 1, "{late}");
    }
}
