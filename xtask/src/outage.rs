//! `cargo xtask outage`: how long services are silent when a router fails.

use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result, bail};
use clap::Args as ClapArgs;

use crate::{setup, shell, test};

/// Options of `cargo xtask outage`: those of the program itself.
#[derive(ClapArgs, Default)]
pub(crate) struct Args {
    /// Options of the measurement, such as `--timers fast`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// Builds what the laboratory needs, and becomes the measurement: a Ctrl-C then reaches it alone, which cleans up.
pub(crate) fn run(args: &Args) -> Result<()> {
    become_program("outage", &args.options)
}

/// Becomes a program of the laboratory.
pub(crate) fn become_program(name: &str, options: &[String]) -> Result<()> {
    if !shell::is_privileged() {
        bail!("this loads XDP programs and makes network namespaces: run it as root");
    }
    setup::ensure_lab()?;
    shell::run(&mut test::binaries())?;
    let mut program = shell::command(shell::target_dir()?.join("debug").join(name));
    program.args(options);
    Err(program.exec()).with_context(|| format!("{} does not start", shell::shown(&program)))
}
