//! `cargo xtask test`: every test, stage by stage, and one sum at the end.

mod stage;
mod tally;

use std::process::Command;

use anyhow::{Result, bail};
use clap::Args as ClapArgs;

use crate::{setup, shell};
use stage::{Outcome, Stage};

/// Options of `cargo xtask test`.
#[derive(ClapArgs, Default)]
pub(crate) struct Args {
    /// Run only tests whose name contains this
    filter: Option<String>,
}

/// Runs all stages, failed or not, and sums them up.
pub(crate) fn run(args: &Args) -> Result<()> {
    let privileged = shell::is_privileged();
    if privileged {
        setup::ensure_lab()?;
    } else {
        setup::ensure_build()?;
    }
    let before = changed_files();
    let filter = args.filter.as_deref();
    let mut outcomes = vec![stage::run(workspace(filter))?];
    if privileged {
        shell::run(&mut binaries())?;
        for stage in [kernel(filter), laboratory(filter)] {
            outcomes.push(stage::run(stage)?);
        }
    }
    println!();
    for outcome in &outcomes {
        println!("{outcome}");
    }
    if !privileged {
        println!(
            "SKIPPED: kernel and laboratory tests load XDP programs and make network namespaces: run them as root"
        );
    }
    let sum = outcomes.iter().map(|outcome| outcome.tally).sum::<tally::Tally>();
    println!("{sum}");
    if changed_files() != before {
        bail!("the tests have left files in the tree: git status shows them");
    }
    if !outcomes.iter().all(Outcome::is_success) {
        bail!("tests failed");
    }
    if sum == tally::Tally::default() {
        bail!("no test ran: is there one with that in its name?");
    }
    Ok(())
}

/// Builds the programs that tests and demo start: the daemon, its command line, and the demo itself.
pub(crate) fn binaries() -> Command {
    let mut command = shell::cargo();
    command.args(["build", "--package", "lb-daemon", "--package", "lb-tests", "--bins"]);
    command
}

fn workspace(filter: Option<&str>) -> Stage {
    let mut command = cargo_test(["--workspace", "--exclude", "lb-tests"]);
    command.args(filter);
    Stage { name: "workspace", what: "unit and integration tests without a kernel", command }
}

fn kernel(filter: Option<&str>) -> Stage {
    let mut command = cargo_test(["--package", "lb-tests", "--lib", "--test", "kernel"]);
    command.args(filter);
    Stage { name: "kernel", what: "packet tables through the real program", command }
}

fn laboratory(filter: Option<&str>) -> Stage {
    let mut command = cargo_test(["--package", "lb-tests", "--test", "lab"]);
    command.args(filter);
    // One laboratory at a time: its daemons keep deadlines, which a machine with few cores must be able to meet.
    command.args(["--", "--test-threads=1"]);
    Stage { name: "lab", what: "daemons, clients and real servers in network namespaces", command }
}

fn cargo_test<const N: usize>(selection: [&str; N]) -> Command {
    let mut command = shell::cargo();
    command.args(["test", "--no-fail-fast"]).args(selection);
    command
}

/// What git sees as changed; nothing where there is no git.
fn changed_files() -> String {
    shell::output(shell::command("git").args(["status", "--porcelain"])).unwrap_or_default()
}
