//! How long services are silent when a router fails: a table, once with the default timers and once with fast ones.

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::{Parser, ValueEnum};
use lb_tests::{
    lab::{Lab, background::Size, wait},
    outage::{Timers, measure},
};

/// The traffic: 500 connections that ask, each every two seconds and thus one every eight milliseconds to each address, and
/// 20 downloads.
const SIZE: Size = Size { connections: 250, period: Duration::from_secs(2), downloads: 10 };

/// Faults of the active router under load, and how long nothing comes of the services, from captured packets.
///
/// Exit codes: 0 every silence is within its bound, 1 one is not, or a connection was lost, 2 usage.
#[derive(Parser)]
struct Arguments {
    /// These timers alone
    #[arg(long)]
    timers: Option<Choice>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Choice {
    /// As without a word in the configuration
    Default,
    /// Heartbeats every 50 ms
    Fast,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    wait::catch_signals()?;
    let mut within = true;
    for (choice, timers) in [(Choice::Default, Timers::DEFAULT), (Choice::Fast, Timers::FAST)] {
        if arguments.timers.is_some_and(|only| only != choice) {
            continue;
        }
        let mut lab = Lab::new()?;
        let table = measure(&mut lab, timers, SIZE, |line| println!("  {line}"));
        if table.is_err() && !wait::interrupted() {
            lab.show_logs();
        }
        lab.tear_down()?;
        let table = table?;
        println!("\n{table}\n");
        within &= table.is_within();
    }
    Ok(within)
}
