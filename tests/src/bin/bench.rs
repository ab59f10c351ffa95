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
    report::{Measured, Report},
    scenario,
    stats::Figure,
};
use nix::{
    sched::{CloneFlags, CpuSet, sched_setaffinity, unshare},
    unistd::{Pid, geteuid},
};

/// Measures what a packet costs, as a multiple of what the kernel's own operations cost in the same run.
#[derive(Parser)]
struct Args {
    /// Rounds of each scenario
    #[arg(long, default_value_t = 12)]
    rounds: u32,
    /// Packets in each round
    #[arg(long, default_value_t = 1_000_000)]
    iterations: u32,
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
        println!("{}", serde_json::to_string(&one(name, args.effort())?)?);
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

impl Args {
    fn effort(&self) -> Effort {
        Effort { rounds: self.rounds, iterations: self.iterations }
    }
}

fn read(file: &PathBuf) -> Result<Report> {
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    serde_json::from_str(&text).with_context(|| format!("{} was not written by --json", file.display()))
}

/// Measures everything that is asked for, each in a process of its own: with fresh maps.
fn measure(args: &Args) -> Result<Report> {
    let scenarios: Vec<_> = scenario::all().into_iter().filter(|it| wanted(args, it.name)).collect();
    let controls: Vec<_> = control::ALL.into_iter().filter(|it| wanted(args, it.name)).collect();
    let progress = ProgressBar::new((Floor::ALL.len() + scenarios.len() + controls.len()) as u64);
    progress.set_style(ProgressStyle::with_template("{pos}/{len} {bar:30} {msg}")?);
    let ask = |name: &str| -> Result<Figure> {
        progress.set_message(name.to_owned());
        let figure = ask(args, name)?;
        progress.inc(1);
        Ok(figure)
    };
    let mut report = Report::default();
    for floor in Floor::ALL {
        report.floors.insert(floor, ask(floor.name())?);
    }
    for scenario in scenarios {
        let figure = ask(scenario.name)?;
        report.scenarios.push(Measured::new(scenario, figure));
    }
    for step in controls {
        let figure = ask(step.name)?;
        report.control.push(step.measured(figure));
    }
    progress.finish_and_clear();
    Ok(report)
}

fn wanted(args: &Args, name: &str) -> bool {
    args.only.as_ref().is_none_or(|text| name.contains(text.as_str()))
}

fn ask(args: &Args, name: &str) -> Result<Figure> {
    let output = Command::new(env::current_exe()?)
        .args(["--one", name, "--rounds", &args.rounds.to_string()])
        .args(["--iterations", &args.iterations.to_string()])
        .stderr(Stdio::inherit())
        .output()?;
    if !output.status.success() {
        bail!("{name}: not measured");
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("{name}: no figure"))
}

/// Measures one thing in this process, undisturbed as far as can be.
fn one(name: &str, effort: Effort) -> Result<Figure> {
    unshare(CloneFlags::CLONE_NEWNET).context("no network namespace of its own")?;
    pin()?;
    if let Some(floor) = Floor::ALL.into_iter().find(|floor| floor.name() == name) {
        return floor.measure(effort);
    }
    if let Some(step) = control::ALL.into_iter().find(|step| step.name == name) {
        return step.measure();
    }
    let scenario = scenario::all().into_iter().find(|scenario| scenario.name == name);
    scenario.with_context(|| format!("no scenario {name}"))?.measure(effort)
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
