//! `cargo xtask outage` and `cargo xtask soak`: long runs of the laboratory, each a program of its own.

use std::os::unix::process::CommandExt as _;

use anyhow::{Context as _, Result, bail};
use clap::Args as ClapArgs;

use crate::{setup, shell, test};

/// Options of such a program.
#[derive(ClapArgs, Default)]
pub(crate) struct Args {
    /// Options of the program, such as `--timers fast` or `--minutes 10`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    options: Vec<String>,
}

/// Builds what the laboratory needs, and becomes the program: a Ctrl-C then reaches it alone, which cleans up.
pub(crate) fn run(program: &str, args: &Args) -> Result<()> {
    if !shell::is_privileged() {
        bail!("this loads XDP programs and makes network namespaces: run it as root");
    }
    setup::ensure_lab()?;
    shell::run(&mut test::binaries())?;
    let mut program = shell::command(shell::target_dir()?.join("debug").join(program));
    program.args(&args.options);
    Err(program.exec()).with_context(|| format!("{} does not start", shell::shown(&program)))
}
