//! `cargo xtask setup`: what the project needs beside cargo, and how it gets here.
//!
//! Every item is recognised by what it does, not by a package's name, so a machine that has it from elsewhere is left
//! alone. With everything in place nothing is run but a few look-ups.

mod apt;
mod item;
mod linker;

use anyhow::{Result, bail};

use item::{Item, Scope};

/// Shows every item and installs those that are missing.
pub(crate) fn run() -> Result<()> {
    println!("What building and testing needs:");
    for item in item::all().into_iter().filter(|item| item.scope <= Scope::Lab) {
        match (item.found)() {
            Ok(found) => println!("  present  {:<14} {}: {found}", item.name, item.purpose),
            Err(_) => println!("  missing  {:<14} {}", item.name, item.purpose),
        }
    }
    install_missing(Scope::Lab)?;
    println!("Everything is here.");
    Ok(())
}

/// Makes sure that the XDP program can be built, and says nothing if so.
pub(crate) fn ensure_build() -> Result<()> {
    install_missing(Scope::Build)
}

/// Makes sure that everything can be run, the laboratory too, and says nothing if so.
pub(crate) fn ensure_lab() -> Result<()> {
    install_missing(Scope::Lab)
}

/// Makes sure that libFuzzer can be built too, and says nothing if so.
pub(crate) fn ensure_fuzz() -> Result<()> {
    install_missing(Scope::Fuzz)
}

fn install_missing(scope: Scope) -> Result<()> {
    let missing = missing(scope);
    if missing.is_empty() {
        return Ok(());
    }
    let packages: Vec<_> = missing.iter().flat_map(|item| item.packages).copied().collect();
    if let Err(obstacle) = apt::usable() {
        bail!("{obstacle}\n{}", instructions(&missing, &packages));
    }
    for item in &missing {
        println!("installing {}: {} ({})", item.name, item.purpose, item.origin());
    }
    apt::install(&packages)?;
    for build in missing.iter().filter_map(|item| item.build) {
        build()?;
    }
    still_missing(scope)
}

fn missing(scope: Scope) -> Vec<Item> {
    item::all().into_iter().filter(|item| item.scope <= scope && (item.found)().is_err()).collect()
}

/// Whatever was installed must also be found: a package may have put it where nobody looks.
fn still_missing(scope: Scope) -> Result<()> {
    let reasons: Vec<_> = item::all()
        .into_iter()
        .filter(|item| item.scope <= scope)
        .filter_map(|item| (item.found)().err().map(|reason| format!("  {}: {reason}", item.name)))
        .collect();
    if reasons.is_empty() {
        return Ok(());
    }
    bail!("installed, and still not usable:\n{}", reasons.join("\n"));
}

/// What a person has to do where this program cannot.
fn instructions(missing: &[Item], packages: &[&str]) -> String {
    let mut lines = vec!["please install:".to_owned()];
    for item in missing {
        lines.push(format!("  {:<14} {} ({})", item.name, item.purpose, item.origin()));
    }
    lines.push("on Debian 12, as root:".to_owned());
    lines.push(format!("  apt-get update && {}", apt::shown(packages)));
    if missing.iter().any(|item| item.build.is_some()) {
        lines.push(format!("  {}", linker::shown()));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_laboratory_needs_all_that_building_needs() {
        assert!(Scope::Build < Scope::Lab);
        let builds: Vec<_> =
            item::all().iter().filter(|item| item.scope == Scope::Build).map(|item| item.name).collect();
        assert_eq!(builds, ["BPF compiler", "bpf-linker"]);
    }

    #[test]
    fn instructions_name_everything() {
        let items = item::all();
        let packages: Vec<_> = items.iter().flat_map(|item| item.packages).copied().collect();
        let text = instructions(&items, &packages);
        for item in &items {
            assert!(text.contains(item.name), "{} is not named", item.name);
            for package in item.packages {
                assert!(text.contains(package), "{package} is not named");
            }
        }
        assert!(text.contains("cargo install --locked bpf-linker@"), "{text}");
    }
}
