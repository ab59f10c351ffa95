//! The demo: what the load balancer is for, shown on real packets and judged against bounds.

mod findings;
mod hold;
mod report;
mod roles;
mod screen;
mod stage;
mod steps;
mod traffic;

use std::path::PathBuf;

use anyhow::{Context, Result};

use self::{report::Report, screen::Screen, stage::Stage, steps::STEPS};
use crate::lab::{Lab, wait};

/// What the command line asks for.
#[derive(Clone, Debug)]
pub struct Options {
    /// File for the figures.
    pub json: Option<PathBuf>,
    /// Keep the laboratory afterwards.
    pub hold: bool,
}

/// Runs every step. Returns whether all was as it should be.
///
/// # Errors
/// When the laboratory cannot be built or torn down, a signal ended the demo, or the figures cannot be written.
pub fn run(options: &Options) -> Result<bool> {
    wait::catch_signals()?;
    let mut screen = Screen::new();
    screen.say("Building the laboratory: client, routers and servers in network namespaces.");
    let mut stage = Stage::new(Lab::new()?, screen);
    let report = perform(&mut stage);
    if wait::interrupted() {
        stage.screen.say("Interrupted: taking the laboratory down.");
    }
    for line in report.table() {
        stage.screen.say(&line);
    }
    if let Some(file) = &options.json {
        let text = serde_json::to_string_pretty(&report)?;
        std::fs::write(file, text + "\n").with_context(|| format!("cannot write {}", file.display()))?;
    }
    if options.hold && !wait::interrupted() {
        hold::hold(&mut stage)?;
    }
    stage.end()?;
    Ok(report.passed)
}

/// Runs the steps in their order. One that cannot go on ends the row, because the next one builds on it.
fn perform(stage: &mut Stage) -> Report {
    let mut report = Report::new(STEPS.len());
    for (index, step) in STEPS.iter().enumerate() {
        stage.screen.say(&format!("\nStep {} of {}: {}", index + 1, STEPS.len(), step.title));
        stage.screen.say(&format!("  {}", step.story));
        let (findings, ended) = match (step.run)(stage) {
            Ok(findings) => (findings, false),
            Err(error) => {
                stage.screen.clear();
                if !wait::interrupted() {
                    stage.lab.show_logs();
                }
                (findings::Findings::broken(&error), true)
            }
        };
        findings.lines().iter().for_each(|(passed, line)| stage.screen.verdict(*passed, line));
        findings.notes.iter().for_each(|note| stage.tell(note));
        report.add(step.title, findings);
        if ended {
            break;
        }
    }
    report
}
