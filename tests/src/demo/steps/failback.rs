//! The dead router's daemon comes back.

use std::time::Duration;

use anyhow::Result;

use crate::{
    demo::{findings::Findings, stage::Stage},
    lab::R1,
};

/// Start, two health checks in a row, and the two seconds that the returning router waits.
pub(super) const BOUND: Duration = Duration::from_secs(10);

pub(super) fn run(stage: &mut Stage) -> Result<Findings> {
    let traffic = stage.traffic()?;
    stage.run(&traffic, Duration::from_secs(1))?;
    stage.tell("lbd of r1 is started");
    stage.lab.routers[R1].start()?;
    let took = stage.run_until_settled(&traffic, BOUND * 2)?;
    stage.tell("r1 is active again");
    stage.run(&traffic, Duration::from_secs(2))?;
    let mut findings = Findings::default();
    findings.take(&traffic.finish()?);
    findings.within("r1 alone active after", took, BOUND);
    findings.no_failures();
    Ok(findings)
}
