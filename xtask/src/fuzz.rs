//! `cargo xtask fuzz`: coverage-guided fuzzing of what a peer, or somebody in its place, sends.
//!
//! libFuzzer needs to see which branches an input takes. The compiler's own pass for that is reached by options of the stable
//! rustc; no sanitizer is needed, for the decoders are safe Rust and say by a panic what is wrong.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, bail};
use clap::Args as ClapArgs;

use crate::{setup, shell};

/// Every target: the names of the folder `tests/fuzz`.
const TARGETS: [&str; 5] = ["heartbeat", "sync-message", "sync-handshake", "sync-stream", "sync-receiver"];
/// Options of the compiler: what libFuzzer is told of branches and comparisons (clang's "SanitizerCoverage").
const COVERAGE: [&str; 7] = [
    "--cfg=fuzzing",
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    // The pass sees one module at a time.
    "-Ccodegen-units=1",
];
/// With a target named, flags are not those of build scripts, which run here and have no libFuzzer.
const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// Options of `cargo xtask fuzz`.
#[derive(ClapArgs)]
pub(crate) struct Args {
    /// Seconds for each target
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u32,
    /// The target alone; all, one after the other, without
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(TARGETS))]
    target: Option<String>,
}

/// Builds the targets and runs them. What they have learnt stays in `target/fuzz/corpus`, and is where the next run
/// begins.
pub(crate) fn run(args: &Args) -> Result<()> {
    setup::ensure_fuzz()?;
    let folder = shell::target_dir()?.join("fuzz");
    let corpus = folder.join("corpus");
    let mut seeds = shell::cargo();
    seeds.args(["run", "--package", "lb-fuzz", "--bin", "fuzz-seeds", "--"]).arg(&corpus);
    shell::run(&mut seeds)?;
    let chosen: Vec<&str> = match &args.target {
        Some(target) => vec![target],
        None => TARGETS.to_vec(),
    };
    shell::run(&mut build(&folder, &chosen))?;
    for target in &chosen {
        println!("\n== {target}, {} seconds ==", args.seconds);
        let artifacts = folder.join("artifacts").join(target);
        std::fs::create_dir_all(&artifacts)
            .with_context(|| format!("cannot make {}", artifacts.display()))?;
        let mut engine = shell::command(folder.join(TRIPLE).join("fuzz").join(format!("fuzz-{target}")));
        engine.args([&format!("-max_total_time={}", args.seconds), "-print_final_stats=1", "-timeout=10"]);
        engine.arg(format!("-artifact_prefix={}/", artifacts.display())).arg(corpus.join(target));
        if let Err(error) = shell::run(&mut engine) {
            bail!(
                "{error}\nthe input is in {}, and the program runs it again when it is named",
                artifacts.display()
            );
        }
    }
    Ok(())
}

/// Builds these targets with libFuzzer.
fn build(folder: &Path, targets: &[&str]) -> Command {
    let mut command = shell::cargo();
    command.args(["build", "--profile", "fuzz", "--package", "lb-fuzz", "--features", "engine"]);
    for target in targets {
        command.args(["--bin", &format!("fuzz-{target}")]);
    }
    command.args(["--target", TRIPLE, "--target-dir"]).arg(folder);
    command.env("CARGO_ENCODED_RUSTFLAGS", COVERAGE.join("\u{1f}"));
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_one_of_the_library() {
        let library = std::fs::read_to_string(shell::root().join("tests/fuzz/src/lib.rs")).unwrap();
        let named: Vec<_> =
            library.split("Target { name: \"").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        assert_eq!(named, TARGETS);
    }
}
