//! `cargo xtask demo`: the main job on real packets, before the reader's eyes.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail};
use clap::Args as ClapArgs;

use crate::{setup, shell, test};

/// Options of `cargo xtask demo`.
#[derive(ClapArgs, Default)]
pub(crate) struct Args {
    /// Also write what was measured to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Keep the laboratory afterwards until Enter or Ctrl-C, to look around in it
    #[arg(long)]
    hold: bool,
}

/// Prepares, and becomes the demo: a Ctrl-C then reaches the demo alone, which cleans up.
pub(crate) fn run(args: &Args) -> Result<()> {
    let json = args.json.as_deref().map(std::path::absolute).transpose()?;
    let mut demo = prepare(json.as_deref())?;
    if args.hold {
        demo.arg("--hold");
    }
    Err(demo.exec()).with_context(|| format!("{} does not start", shell::shown(&demo)))
}

/// Runs the demo to its end and leaves what it measured in `json`.
pub(crate) fn measure(json: &Path) -> Result<()> {
    shell::run(&mut prepare(Some(json))?)
}

fn prepare(json: Option<&Path>) -> Result<Command> {
    if !shell::is_privileged() {
        bail!("the demo loads XDP programs and makes network namespaces: run it as root");
    }
    setup::ensure_lab()?;
    shell::run(&mut test::binaries())?;
    let mut demo = shell::command(shell::target_dir()?.join("debug/demo"));
    if let Some(file) = json {
        demo.arg("--json").arg(file);
    }
    Ok(demo)
}
