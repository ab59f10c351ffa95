//! `cargo xtask bench`: what a packet costs.

use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result, bail};
use clap::Args as ClapArgs;

use crate::{setup, shell};

/// Options of `cargo xtask bench`: those of the bench itself.
#[derive(ClapArgs, Default)]
pub(crate) struct Args {
    /// Options of the bench: `cargo xtask bench --help` shows them
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// Builds the bench in release, and becomes it.
pub(crate) fn run(args: &Args) -> Result<()> {
    if !shell::is_privileged() {
        bail!("the bench loads XDP programs: run it as root");
    }
    setup::ensure_build()?;
    shell::run(shell::cargo().args(["build", "--release", "--package", "lb-tests", "--bin", "bench"]))?;
    let mut bench = shell::command(shell::target_dir()?.join("release/bench"));
    bench.args(&args.options);
    Err(bench.exec()).with_context(|| format!("{} does not start", shell::shown(&bench)))
}
