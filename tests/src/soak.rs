//! A pair of routers for a long time: established connections, new ones, and one trouble after the other, in an order that a
//! seed repeats. After each, what must hold is looked at.

mod act;
mod report;
mod step;
mod vitals;
mod world;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};

use self::{report::Report, step::Steps, world::World};
use crate::lab::{Lab, wait};

/// What the command line asks for.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// How long trouble is made.
    pub time: Duration,
    /// What the order of the steps follows from.
    pub seed: u64,
}

/// Runs until time is over, something is wrong that nothing can go on from, or a signal. Returns whether all was as it
/// should be.
///
/// # Errors
/// When the laboratory cannot be built or torn down.
pub fn run(options: Options) -> Result<bool> {
    wait::catch_signals()?;
    println!("Seed {}: {} minutes of trouble.", options.seed, options.time.as_secs() / 60);
    let mut lab = Lab::new()?;
    let mut report = Report::new(Instant::now());
    let outcome = perform(&mut lab, options, &mut report);
    if let Err(error) = &outcome {
        report.broken(error);
    }
    if !report.passed() && !wait::interrupted() {
        lab.show_logs();
    }
    lab.tear_down().context("the laboratory left something behind")?;
    println!("{report}");
    Ok(report.passed())
}

fn perform(lab: &mut Lab, options: Options, report: &mut Report) -> Result<()> {
    lab.start_routers(world::configure)?;
    let mut world = World::start(lab)?;
    let end = Instant::now() + options.time;
    for step in Steps::new(options.seed) {
        if Instant::now() >= end {
            break;
        }
        let outcome = world.endure(lab, &step).with_context(|| step.to_string())?;
        report.add(&step, &outcome);
    }
    world.end(lab, report)
}
