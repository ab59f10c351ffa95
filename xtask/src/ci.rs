//! `cargo xtask ci`: exactly what continuous integration runs.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::{build_ebpf, demo, lint, setup, shell, test, tidy};

/// A section: its name, and what it runs.
type Section = (&'static str, fn() -> Result<()>);

/// Everything, the quick things first.
const SECTIONS: [Section; 8] = [
    ("setup", setup::run),
    ("tidy", tidy::run),
    ("fmt", lint::format),
    ("build-ebpf", || build_ebpf::run(&build_ebpf::Args::default())),
    ("clippy", lint::host),
    ("clippy for BPF", lint::ebpf),
    ("test", || test::run(&test::Args::default())),
    ("demo", show),
];

/// Runs the sections in order, up to the first that fails.
pub(crate) fn run() -> Result<()> {
    let start = Instant::now();
    let times = run_sections(&SECTIONS, start)?;
    println!();
    for (name, time) in times {
        println!("{name:<16} {:>8}", shell::duration(time));
    }
    println!("ci passed in {}", shell::duration(start.elapsed()));
    Ok(())
}

fn run_sections(sections: &[Section], start: Instant) -> Result<Vec<(&'static str, Duration)>> {
    let mut times = Vec::new();
    for (index, (name, section)) in sections.iter().enumerate() {
        println!("\n==== {}/{} {name} ====", index + 1, sections.len());
        let before = Instant::now();
        section()
            .with_context(|| format!("ci failed at {name} after {}", shell::duration(start.elapsed())))?;
        times.push((*name, before.elapsed()));
    }
    Ok(times)
}

fn show() -> Result<()> {
    if !shell::is_privileged() {
        println!("SKIPPED: the demo loads XDP programs and makes network namespaces: run it as root");
        return Ok(());
    }
    demo::measure(&shell::target_dir()?.join("demo.json"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_ends_it_and_is_named() {
        let sections: [Section; 3] = [
            ("good", || Ok(())),
            ("bad", || Err(anyhow::anyhow!("broken"))),
            ("never", || unreachable!("a section after a failure")),
        ];
        let error = run_sections(&sections, Instant::now()).unwrap_err();
        let text = format!("{error:#}");
        assert!(text.starts_with("ci failed at bad after") && text.ends_with(": broken"), "{text}");
    }

    #[test]
    fn every_section_is_timed() {
        let sections: [Section; 2] = [("one", || Ok(())), ("two", || Ok(()))];
        let times = run_sections(&sections, Instant::now()).unwrap();
        assert_eq!(times.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["one", "two"]);
    }
}
