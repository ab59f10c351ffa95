//! The bench of `cargo xtask bench`: measures the program, prints a table, and compares with an earlier run.

use std::{
    env, fs,
    path::PathBuf,
    process::{Command, ExitCode, Stdio},
};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};
use lb_tests::bench::{
    chart, control,
    floor::Floor,
    harness::Effort,
    live,
    report::{Measured, Report, Travel},
    scenario,
};
use nix::{
    sched::{CloneFlags, CpuSet, sched_setaffinity, unshare},
    unistd::{Pid, geteuid},
};
use serde::de::DeserializeOwned;

/// Measures what a packet costs, as a multiple of what the kernel's own operations cost in the same run.
#[derive(Parser)]
struct Args {
    /// Slices of 8192 packets that each scenario is measured on
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u32).range(10..=100_000))]
    slices: u32,
    /// Only what has this text in its name
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Write everything that was measured
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Compare with a file that --json has written
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Draw the result
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Measure one thing and print its figure: what the bench starts for each
    #[arg(long, hide = true, value_name = "NAME")]
    one: Option<String>,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if !geteuid().is_root() {
        eprintln!("error: the bench loads XDP programs: run it as root");
        return Ok(ExitCode::FAILURE);
    }
    if let Some(name) = &args.one {
        println!("{}", one(name, Effort::new(args.slices))?);
        return Ok(ExitCode::SUCCESS);
    }
    let baseline = args.baseline.as_ref().map(read).transpose()?;
    let report = measure(&args)?;
    print!("{}", report.table(baseline.as_ref()));
    if let Some(file) = &args.json {
        fs::write(file, serde_json::to_string_pretty(&report)?)
            .with_context(|| file.display().to_string())?;
    }
    if let Some(file) = &args.svg {
        fs::write(file, chart::svg(&report)).with_context(|| file.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn read(file: &PathBuf) -> Result<Report> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    serde_json::from_str(&text).with_context(|| format!("{} was not written by --json", file.display()))
}

/// Measures everything that is asked for, each in a process of its own: with fresh maps.
fn measure(args: &Args) -> Result<Report> {
    let wanted = |name: &str| args.only.as_ref().is_none_or(|text| name.contains(text.as_str()));
    let scenarios: Vec<_> = scenario::all().into_iter().filter(|it| wanted(it.name)).collect();
    let lives: Vec<_> = live::all().into_iter().filter(|it| wanted(it.name)).collect();
    let controls: Vec<_> = control::ALL.into_iter().filter(|it| wanted(it.name)).collect();
    let needed = |floor: &Floor| scenarios.iter().any(|scenario| scenario.floor == *floor);
    let floors: Vec<_> = Floor::ALL.into_iter().filter(|it| wanted(it.name()) || needed(it)).collect();
    let progress = Progress::new(floors.len() + scenarios.len() + lives.len() + controls.len())?;
    let mut report = Report::default();
    for floor in floors {
        report.floors.insert(floor, progress.ask(args, floor.name())?);
    }
    for scenario in scenarios {
        let (sides, floor) = progress.ask(args, scenario.name)?;
        report.scenarios.push(Measured::new(scenario, &sides, floor));
    }
    for live in lives {
        report.live.push(Travel::new(live, &progress.ask(args, live.name)?));
    }
    for step in controls {
        report.control.push(step.measured(progress.ask(args, step.name)?));
    }
    progress.0.finish_and_clear();
    Ok(report)
}

/// Says how far the bench is.
struct Progress(ProgressBar);

impl Progress {
    fn new(steps: usize) -> Result<Self> {
        let bar = ProgressBar::new(steps as u64);
        bar.set_style(ProgressStyle::with_template("{pos}/{len} {bar:30} {elapsed} {msg}")?);
        Ok(Self(bar))
    }

    /// Has one thing measured.
    fn ask<T: DeserializeOwned>(&self, args: &Args, name: &str) -> Result<T> {
        self.0.set_message(name.to_owned());
        let output = Command::new(env::current_exe()?)
            .args(["--one", name, "--slices", &args.slices.to_string()])
            .stderr(Stdio::inherit())
            .output()?;
        if !output.status.success() {
            bail!("{name}: not measured");
        }
        self.0.inc(1);
        serde_json::from_slice(&output.stdout).with_context(|| format!("{name}: no figure"))
    }
}

/// Measures one thing in this process, undisturbed as far as can be. Returns its figure as JSON.
fn one(name: &str, effort: Effort) -> Result<String> {
    unshare(CloneFlags::CLONE_NEWNET).context("no network namespace of its own")?;
    pin()?;
    let json = if let Some(floor) = Floor::ALL.into_iter().find(|floor| floor.name() == name) {
        serde_json::to_string(&floor.measure(effort)?)
    } else if let Some(step) = control::ALL.into_iter().find(|step| step.name == name) {
        serde_json::to_string(&step.measure()?)
    } else if let Some(live) = live::all().into_iter().find(|live| live.name == name) {
        serde_json::to_string(&live.measure(effort)?)
    } else {
        let scenario = scenario::all().into_iter().find(|scenario| scenario.name == name);
        serde_json::to_string(&scenario.with_context(|| format!("no scenario {name}"))?.measure(effort)?)
    };
    Ok(json?)
}

/// Stays on the last processor, before all others where that is allowed.
fn pin() -> Result<()> {
    let processors = std::thread::available_parallelism()?.get();
    let mut set = CpuSet::new();
    set.set(processors - 1)?;
    sched_setaffinity(Pid::from_raw(0), &set)?;
    let priority = libc::sched_param { sched_priority: 50 };
    // SAFETY: the parameter lives through the call. A refusal costs some accuracy and nothing else.
    unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const priority) };
    Ok(())
}
