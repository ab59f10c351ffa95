//! The active router's daemon is stopped as for an upgrade.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::failback::BOUND;
use crate::{
    demo::{findings::Findings, stage::Stage},
    lab::{R1, R2},
};

/// The peer is told, and need not wait until it hears nothing.
const HANDOVER: Duration = Duration::from_secs(1);

pub(super) fn run(stage: &mut Stage) -> Result<Findings> {
    let traffic = stage.traffic()?;
    stage.run(&traffic, Duration::from_secs(2))?;
    stage.tell("lbd of r1 is stopped");
    let asked = Instant::now();
    let status = stage.lab.routers[R1].stop()?;
    stage.run_until(&traffic, "r2 to be active", BOUND, |stage, _| {
        Ok(stage.roles()?.active_after(R2, asked).is_some())
    })?;
    let handed = stage.roles()?.active_after(R2, asked).map_or(BOUND, |at| at - asked);
    stage.run(&traffic, Duration::from_secs(3))?;
    stage.tell("lbd of r1 is started again");
    stage.lab.routers[R1].start()?;
    let took = stage.run_until_settled(&traffic, BOUND * 2)?;
    stage.run(&traffic, Duration::from_secs(2))?;

    let mut findings = Findings::default();
    findings.take(&traffic.finish()?);
    findings.check("lbd ends", "with success", status.to_string(), status.success());
    findings.recovered(handed);
    findings.within("r2 active after", handed, HANDOVER);
    findings.within("r1 alone active after its start", took, BOUND);
    findings.no_failures();
    Ok(findings)
}
