//! What is wrong with a file: every mistake with its line.

use std::{collections::BTreeSet, fmt};

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Error {
    /// Line of the file, from 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// What is wrong; what was expected.
    pub message: String,
}

/// Every mistake of a file, at least one, in the order of the lines. Shows as one line each:
/// `file:line: what is wrong; what was expected`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Errors {
    origin: String,
    errors: Vec<Error>,
}

impl Errors {
    /// The mistakes, in the order of the lines.
    pub fn iter(&self) -> std::slice::Iter<'_, Error> {
        self.errors.iter()
    }

    /// One mistake of the file as a whole.
    pub(super) fn whole_file(origin: &str, message: String) -> Self {
        Self { origin: origin.to_owned(), errors: vec![Error { line: 0, message }] }
    }
}

impl fmt::Display for Errors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Error { line, message }) in self.errors.iter().enumerate() {
            let newline = if index == 0 { "" } else { "\n" };
            match line {
                0 => write!(f, "{newline}{}: {message}", self.origin)?,
                line => write!(f, "{newline}{}:{line}: {message}", self.origin)?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for Errors {}

/// Collects mistakes while a file is read.
pub(super) struct Report {
    /// Byte offset at which each line starts.
    starts: Vec<usize>,
    found: Vec<Error>,
    reports_missing: bool,
}

impl Report {
    /// A report about `text`, without a mistake so far.
    pub(super) fn new(text: &str) -> Self {
        let after_newlines = text.match_indices('\n').map(|(newline, _)| newline + 1);
        let starts = std::iter::once(0).chain(after_newlines).collect();
        Self { starts, found: Vec::new(), reports_missing: true }
    }

    /// A report about a text that has lost lines: what is missing is not reported.
    pub(super) fn without_missing(text: &str) -> Self {
        Self { reports_missing: false, ..Self::new(text) }
    }

    /// The line of the byte at `offset`, from 1.
    pub(super) fn line(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset)
    }

    /// Notes that `what` is wrong on `line`.
    pub(super) fn wrong(&mut self, line: usize, what: impl fmt::Display, expected: impl fmt::Display) {
        self.note(line, format!("{what}; expected {expected}"));
    }

    /// Notes that the key at `path` is missing from the table on `line`.
    pub(super) fn missing(&mut self, line: usize, path: &str, expected: impl fmt::Display) {
        if self.reports_missing {
            self.wrong(line, format_args!("{path} is missing"), expected);
        }
    }

    /// Notes a mistake in words of its own.
    pub(super) fn note(&mut self, line: usize, message: String) {
        self.found.push(Error { line, message });
    }

    /// Whether nothing is wrong so far.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Lines with a mistake.
    pub(super) fn lines(&self) -> BTreeSet<usize> {
        self.found.iter().map(|error| error.line).collect()
    }

    /// Adds the mistakes of another report.
    pub(super) fn append(&mut self, mut other: Self) {
        self.found.append(&mut other.found);
    }

    /// The mistakes in the order of the lines; on one line, in the order in which they were found.
    pub(super) fn into_errors(mut self, origin: &str) -> Errors {
        self.found.sort_by_key(|error| error.line);
        self.found.dedup();
        Errors { origin: origin.to_owned(), errors: self.found }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_become_lines() {
        let report = Report::new("ab\n\ncd");
        let lines: Vec<usize> = (0..7).map(|offset| report.line(offset)).collect();
        assert_eq!(lines, [1, 1, 1, 2, 3, 3, 3]);
        assert_eq!(Report::new("").line(0), 1);
    }

    #[test]
    fn mistakes_show_in_the_order_of_the_lines() {
        let mut report = Report::new("");
        report.wrong(7, "b is 0", "1");
        report.wrong(3, "a is x", "y");
        report.note(7, "c".into());
        assert_eq!(
            report.into_errors("f.toml").to_string(),
            "f.toml:3: a is x; expected y\nf.toml:7: b is 0; expected 1\nf.toml:7: c"
        );
    }

    #[test]
    fn the_file_as_a_whole_has_no_line() {
        assert_eq!(Errors::whole_file("f.toml", "gone".into()).to_string(), "f.toml: gone");
    }
}
