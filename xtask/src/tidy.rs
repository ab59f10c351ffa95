//! `cargo xtask tidy`: rules that no compiler and no linter of others knows.
//!
//! Every check is a function from text to [`Problem`]s; this file alone reads the tree.

mod blank;
mod documents;
mod files;
mod functions;
mod licences;
mod links;
mod words;

use std::{collections::BTreeMap, fmt, fs};

use anyhow::{Context, Result, bail};

use crate::shell;

/// A place that breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Problem {
    path: String,
    /// Line from 1; 0 for the file as a whole.
    line: usize,
    text: String,
}

impl Problem {
    fn new(path: &str, line: usize, text: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, text: text.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.text)
    }
}

/// Every text file of the tree, by its path from the root.
type Tree = BTreeMap<String, String>;

/// Checks the tree and shows every problem.
pub(crate) fn run() -> Result<()> {
    let tree = read_tree()?;
    let mut problems = check(&tree);
    problems.sort();
    for problem in &problems {
        println!("{problem}");
    }
    if !problems.is_empty() {
        bail!("{} problems in the tree", problems.len());
    }
    println!("{} files are tidy", tree.len());
    Ok(())
}

fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in tree {
        problems.extend(files::check(path, text));
        problems.extend(words::check(path, text));
        if path.ends_with(".rs") {
            problems.extend(functions::check(path, text));
        }
        if path.ends_with(".md") {
            problems.extend(links::check(path, text, tree));
        }
    }
    problems.extend(documents::check(tree));
    problems.extend(licences::check(tree));
    problems
}

/// What git knows and what it would add; files that are no UTF-8 are no text.
fn read_tree() -> Result<Tree> {
    let root = shell::root();
    let mut list = shell::command("git");
    list.args(["ls-files", "--cached", "--others", "--exclude-standard", "-z"]);
    let names = shell::output(&mut list).context("the files of the tree are listed by git")?;
    let mut tree = Tree::new();
    for name in names.split_terminator('\0') {
        // A file that is deleted and not yet committed is still listed.
        let Ok(bytes) = fs::read(root.join(name)) else { continue };
        if let Ok(text) = String::from_utf8(bytes) {
            tree.insert(name.to_owned(), text);
        }
    }
    Ok(tree)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_tree_is_read() {
        let tree = read_tree().unwrap();
        assert!(tree.contains_key("xtask/src/tidy.rs"));
        assert!(!tree.keys().any(|path| path.starts_with("target/")));
    }

    #[test]
    fn a_problem_is_shown_as_editors_read_it() {
        assert_eq!(Problem::new("a/b.rs", 7, "too long").to_string(), "a/b.rs:7: too long");
    }
}
