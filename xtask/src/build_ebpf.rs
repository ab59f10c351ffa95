//! `cargo xtask build-ebpf`: the object alone, and what the verifier makes of it.

mod calls;
mod report;

use std::{fs, path::Path};

use anyhow::{Context, Result, anyhow};
use clap::Args as ClapArgs;

use crate::{builder, setup, shell};

/// Options of `cargo xtask build-ebpf`.
#[derive(ClapArgs, Default)]
pub(crate) struct Args {
    /// Only build and show the size, even as root
    #[arg(long)]
    no_load: bool,
}

/// Builds, loads, shows, and compares the calls of the hot path with their record.
pub(crate) fn run(args: &Args) -> Result<()> {
    setup::ensure_build()?;
    let compiler = builder::find_compiler().map_err(|error| anyhow!(error))?;
    println!("compiler  {compiler}");
    let object = builder::build(&shell::root().join("lb-ebpf"), "lb", &shell::target_dir()?.join("ebpf"))
        .map_err(|error| anyhow!(error))?;
    let object = object.canonicalize().with_context(|| object.display().to_string())?;
    println!("object    {}, {}", object.display(), report::bytes(fs::metadata(&object)?.len()));
    if args.no_load {
        return Ok(());
    }
    if !shell::is_privileged() {
        println!("SKIPPED: loading through the verifier, counting calls and attaching natively need root");
        return Ok(());
    }
    let report = report::parse(&verify(&object)?)?;
    print!("{}{}", report::text(&report)?, calls::table(&report)?);
    let record = fs::read_to_string(shell::root().join(calls::RECORD)).context(calls::RECORD)?;
    calls::compare(&report, &record)
}

/// Has the kernel load and attach the object; the answer is the JSON of the program `verify-ebpf`.
fn verify(object: &Path) -> Result<String> {
    let mut command = shell::cargo();
    command.args(["run", "--package", "lb-tests", "--bin", "verify-ebpf", "--"]).arg(object);
    // What the verifier has to say is on standard error and goes straight to the reader.
    command.stderr(std::process::Stdio::inherit());
    shell::output(&mut command)
}
