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
    findings.within("roles found and all servers up after", start.elapsed(), BOUND);
    for router in &stage.lab.routers {
        let warnings = router.status()?.warnings;
        warnings.iter().for_each(|warning| findings.note(format!("{} warns: {warning}", router.name())));
    }
    Ok(findings)
}
