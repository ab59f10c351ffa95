//! bpf-linker, which Debian has no package of.

use std::process::Command;

use anyhow::Result;

use crate::{builder, shell};

/// The version that is installed, and the oldest that will do: it is the first of the LLVM that Debian's rustc has, and
/// a linker reads no bitcode newer than its own LLVM.
const VERSION: Version = Version(0, 13, 0);
/// Where the packages below install LLVM.
const LLVM_PREFIX: &str = "/usr/lib/llvm-22";
/// cargo's feature that links against that LLVM.
const LLVM_FEATURE: &str = "llvm-22";

/// Debian packages that its build needs beside a C compiler.
pub(super) const PACKAGES: &[&str] = &["llvm-22-dev", "libpolly-22-dev"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version(u32, u32, u32);

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.0, self.1, self.2)
    }
}

/// Where a usable one stands. It is started, because its LLVM may have been removed since it was built.
pub(super) fn find() -> Result<String, String> {
    let path = builder::find_linker()?;
    let said = shell::output(shell::command(&path).arg("--version"))
        .map_err(|error| format!("{} does not run: {error}", path.display()))?;
    match parse_version(&said) {
        Some(version) if version >= VERSION => Ok(format!("{} {version}", path.display())),
        Some(version) => Err(format!("{} is {version}, older than {VERSION}", path.display())),
        None => Err(format!("{} says no version: {said}", path.display())),
    }
}

/// Builds and installs it with cargo: about a minute.
pub(super) fn build() -> Result<()> {
    shell::run(&mut command())
}

/// The same as a person would type it.
pub(super) fn shown() -> String {
    format!("LLVM_PREFIX={LLVM_PREFIX} {}", shell::shown(&command()))
}

fn command() -> Command {
    let mut command = shell::cargo();
    command
        .args(["install", "--locked", &format!("{}@{VERSION}", builder::LINKER)])
        .args(["--no-default-features", "--features", LLVM_FEATURE])
        .env("LLVM_PREFIX", LLVM_PREFIX);
    command
}

/// The version in the last word of `bpf-linker 0.13.0`.
fn parse_version(said: &str) -> Option<Version> {
    let mut numbers = said.split_whitespace().last()?.split('.').map(str::parse);
    let mut next = || numbers.next()?.ok();
    Some(Version(next()?, next()?, next()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        assert_eq!(parse_version("bpf-linker 0.13.0\n"), Some(VERSION));
        assert!(parse_version("bpf-linker 0.9.15") < Some(VERSION));
        assert!(parse_version("bpf-linker 1.0.0") > Some(VERSION));
        assert_eq!(parse_version("bpf-linker"), None);
        assert_eq!(parse_version(""), None);
    }
}
