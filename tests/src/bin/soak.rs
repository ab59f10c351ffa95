//! A pair of routers under trouble for a long time.

use std::{
    process::ExitCode,
    time::{Duration, SystemTime},
};

use clap::Parser;
use lb_tests::soak::{self, Options};

/// Faults, flaps, loss and reloads in a random order, under connections of which none may be lost.
///
/// Exit codes: 0 all was as it should be, 1 something was not, or a signal came, 2 usage.
#[derive(Parser)]
struct Arguments {
    /// How long
    #[arg(long, value_name = "N", default_value_t = 30)]
    minutes: u64,
    /// Repeats the steps of an earlier run; by the clock without
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

fn main() -> ExitCode {
    let Arguments { minutes, seed } = Arguments::parse();
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |now| now.as_secs());
    let options = Options { time: Duration::from_secs(60 * minutes), seed: seed.unwrap_or_else(clock) };
    match soak::run(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
