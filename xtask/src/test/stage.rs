//! One run of `cargo test`, shown while it runs and counted.

use std::{
    fmt,
    io::{Read, Write, stdout},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::tally::Tally;
use crate::shell;

/// A run to come.
pub(super) struct Stage {
    /// One word.
    pub(super) name: &'static str,
    /// What it tests, in a few words.
    pub(super) what: &'static str,
    /// How.
    pub(super) command: Command,
}

/// What became of it.
pub(super) struct Outcome {
    name: &'static str,
    /// Tests that it counted.
    pub(super) tally: Tally,
    time: Duration,
    succeeded: bool,
}

impl Outcome {
    /// Whether everything passed. A crate that does not compile has no failed test, and yet no success.
    pub(super) fn is_success(&self) -> bool {
        self.succeeded && self.tally.failed == 0
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.is_success() { "ok" } else { "FAILED" };
        write!(f, "{:<10} {verdict:<6} in {}: {}", self.name, shell::duration(self.time), self.tally)
    }
}

/// Runs a stage to its end; tests that fail are an outcome, not an error.
pub(super) fn run(stage: Stage) -> Result<Outcome> {
    let Stage { name, what, mut command } = stage;
    println!("== {name}: {what} ==");
    let start = Instant::now();
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} does not start", shell::shown(&command)))?;
    let tally = show_and_count(&mut child.stdout.take().context("no pipe to cargo")?, &mut stdout().lock())?;
    let succeeded = child.wait()?.success();
    Ok(Outcome { name, tally, time: start.elapsed(), succeeded })
}

/// Passes on what comes as it comes: the test runner writes a test's name when it starts and its end in the same line.
fn show_and_count(output: &mut impl Read, terminal: &mut impl Write) -> Result<Tally> {
    let mut tally = Tally::default();
    let mut line = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let read = output.read(&mut chunk)?;
        let Some(fresh) = chunk.get(..read).filter(|fresh| !fresh.is_empty()) else {
            return Ok(tally + Tally::of_line(&String::from_utf8_lossy(&line)));
        };
        terminal.write_all(fresh)?;
        terminal.flush()?;
        line.extend_from_slice(fresh);
        while let Some(end) = line.iter().position(|byte| *byte == b'\n') {
            let rest = line.split_off(end + 1);
            tally = tally + Tally::of_line(&String::from_utf8_lossy(&line));
            line = rest;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_are_counted_however_the_pipe_cuts_them() {
        let text = "running 2 tests\n..\ntest result: ok. 2 passed; 0 failed; 0 ignored\n\
                    test result: FAILED. 3 passed; 1 failed; 0 ignored";
        for size in [1, 7, 4096] {
            let mut pieces = Pieces { text: text.as_bytes(), size };
            let mut shown = Vec::new();
            let tally = show_and_count(&mut pieces, &mut shown).unwrap();
            assert_eq!(tally, Tally { passed: 5, failed: 1 }, "pieces of {size}");
            assert_eq!(shown, text.as_bytes(), "pieces of {size}");
        }
    }

    #[test]
    fn a_crate_that_does_not_compile_is_no_success() {
        let stage = Stage { name: "x", what: "y", command: shell::command("false") };
        let outcome = run(stage).unwrap();
        assert_eq!(outcome.tally, Tally::default());
        assert!(!outcome.is_success());
        assert!(outcome.to_string().contains("FAILED"), "{outcome}");
    }

    /// Reads as a pipe does: at most `size` bytes at once.
    struct Pieces<'a> {
        text: &'a [u8],
        size: usize,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let size = self.size.min(buffer.len());
            self.text.read(&mut buffer[..size])
        }
    }
}
