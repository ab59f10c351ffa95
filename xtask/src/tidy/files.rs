//! Files: their size, their first line, their ends.

use super::Problem;

/// Lines that a reader takes in as one room of the house.
const LINES: usize = 500;
/// Tests are read one at a time.
const TEST_LINES: usize = 700;

pub(super) fn check(path: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, line) in text.lines().enumerate() {
        if line.ends_with([' ', '\t']) && !is_recorded(path, line) {
            problems.push(Problem::new(path, index + 1, "white space at the end of the line"));
        }
    }
    if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
        problems.push(Problem::new(path, text.lines().count(), "a file ends with one newline"));
    }
    if path.ends_with(".rs") {
        problems.extend(check_rust(path, text));
    }
    problems
}

/// Whether a Rust file holds tests alone.
pub(super) fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').any(|folder| folder == "tests")
}

/// Whether a line shows what a program printed: recordings for tests, and indented examples in documents.
fn is_recorded(path: &str, line: &str) -> bool {
    path.ends_with(".txt") || path.ends_with(".md") && line.starts_with("    ")
}

fn check_rust(path: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    let limit = if is_test(path) { TEST_LINES } else { LINES };
    let lines = text.lines().count();
    if lines > limit {
        problems.push(Problem::new(
            path,
            0,
            format!("{lines} lines, more than {limit}: are these two concepts?"),
        ));
    }
    if !text.starts_with("//!") {
        problems.push(Problem::new(path, 1, "a file begins with //! and says what it is"));
    }
    if path.ends_with("/mod.rs") && !path.starts_with("tests/tests/") {
        problems.push(Problem::new(path, 0, "the module of folder foo/ is foo.rs"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_good_file_has_no_problem() {
        assert_eq!(check("a/src/b.rs", "//! What it is.\n\nfn f() {}\n"), []);
        assert_eq!(check("notes.md", ""), []);
    }

    #[test]
    fn ends_are_checked() {
        let lines = |text| check("notes.md", text).iter().map(|problem| problem.line).collect::<Vec<_>>();
        assert_eq!(lines("good\nbad \nbad\t\n"), [2, 3]);
        assert_eq!(lines("no newline"), [1]);
        assert_eq!(lines("two newlines\n\n"), [2]);
    }

    #[test]
    fn recordings_are_as_they_are() {
        assert_eq!(check("tests/ipvsadm.txt", "-> 10.0.1.2:80  0 \n"), []);
        assert_eq!(check("notes.md", "    -> 10.0.1.2:80  0 \n"), []);
        assert_eq!(check("a/src/b.rs", "//! What it is.\n    x; \n").len(), 1);
    }

    #[test]
    fn sizes_are_checked() {
        let long = "//! Long.\n".to_owned() + &"//\n".repeat(LINES);
        assert_eq!(check("a/src/b.rs", &long).len(), 1);
        assert_eq!(check("a/src/b/tests.rs", &long), []);
        assert_eq!(check("tests/tests/lab.rs", &long), []);
        let longer = "//! Longer.\n".to_owned() + &"//\n".repeat(TEST_LINES);
        assert_eq!(check("tests/tests/lab.rs", &longer).len(), 1);
    }

    #[test]
    fn a_file_says_what_it_is() {
        assert_eq!(check("a/src/b.rs", "use std::fmt;\n").len(), 1);
    }
}
