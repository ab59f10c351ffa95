//! The main job of the load balancer on real packets, step by step, before the reader's eyes.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use lb_tests::demo::{self, Options};

/// Two routers, six real servers and a client in network namespaces; what fails, is stopped and comes back there.
///
/// Exit codes: 0 all is as it should be, 1 something is not, 2 usage.
#[derive(Parser)]
struct Arguments {
    /// Also write what was measured to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Keep the laboratory afterwards until Enter or Ctrl-C, to look around in it
    #[arg(long)]
    hold: bool,
}

fn main() -> ExitCode {
    let Arguments { json, hold } = Arguments::parse();
    match demo::run(&Options { json, hold }) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
