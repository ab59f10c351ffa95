//! `cargo xtask lint`: formatting and lints, for the host and for the BPF target.

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, anyhow};

use crate::{
    builder::{self, Compiler},
    setup, shell,
};

/// All of it.
pub(crate) fn run() -> Result<()> {
    setup::ensure_lab()?;
    format()?;
    host()?;
    ebpf()
}

/// Compares the formatting with rustfmt's.
pub(crate) fn format() -> Result<()> {
    component("fmt", "rustfmt")?;
    shell::run(shell::cargo().args(["fmt", "--all", "--check"]))
}

/// Lints everything that the host compiles.
pub(crate) fn host() -> Result<()> {
    component("clippy", "clippy")?;
    shell::run(shell::cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))
}

/// Lints the XDP program as the BPF target sees it.
pub(crate) fn ebpf() -> Result<()> {
    let compiler = builder::find_compiler().map_err(|error| anyhow!(error))?;
    let driver = clippy_driver(&compiler).map_err(|error| anyhow!(error))?;
    let target_dir = shell::target_dir()?.join("ebpf-clippy");
    let mut command = builder::command(&compiler, "check", &shell::root().join("lb-ebpf"), &target_dir)
        .map_err(|error| anyhow!(error))?;
    // What `cargo clippy` does, said by hand: it would take the clippy-driver beside cargo, which is of another rustc.
    command.env("RUSTC_WORKSPACE_WRAPPER", driver).env("CLIPPY_ARGS", "-Dwarnings__CLIPPY_HACKERY__");
    shell::run(&mut command)
}

/// The clippy of the compiler that builds the XDP program: another version would not read its `core`.
pub(crate) fn clippy_driver(compiler: &Compiler) -> Result<PathBuf, String> {
    let (Compiler::Prebuilt(rustc) | Compiler::BuildStd(rustc)) = compiler;
    let sysroot =
        shell::output(Command::new(rustc).args(["--print", "sysroot"])).map_err(|error| error.to_string())?;
    let driver = Path::new(sysroot.trim()).join("bin/clippy-driver");
    driver.is_file().then_some(driver).ok_or_else(|| format!("{} has no clippy-driver", rustc.display()))
}

/// Whether cargo has this subcommand; the error says how to get it.
fn component(subcommand: &str, component: &str) -> Result<()> {
    shell::output(shell::cargo().args([subcommand, "--version"]))
        .map(drop)
        .with_context(|| format!("cargo {subcommand} is missing: rustup component add {component}"))
}
