//! Both routers start.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::demo::{findings::Findings, stage::Stage};

/// Time that finding a role and two health checks in a row may take.
const BOUND: Duration = Duration::from_secs(15);

pub(super) fn run(stage: &mut Stage) -> Result<Findings> {
    let start = Instant::now();
    stage.start_routers()?;
    let mut findings = Findings::default();
    findings.within("r1 active, r2 standby, all servers up after", start.elapsed(), BOUND);
    let warnings: Vec<String> = stage
        .lab
        .routers
        .iter()
        .map(|router| router.status())
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .flat_map(|status| status.warnings)
        .collect();
    for warning in &warnings {
        stage.tell(&format!("warning of a router: {warning}"));
    }
    Ok(findings)
}
