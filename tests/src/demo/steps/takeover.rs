//! The active router's daemon dies.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::{
    demo::{
        findings::Findings,
        stage::Stage,
        traffic::{Ended, Traffic},
    },
    lab::{R1, R2, capture::Capture},
};

/// A dead peer is noticed after 600 ms of silence, and taking over is due at once; the rest is for a busy machine. `cargo
/// xtask outage` is stricter.
const BOUND: Duration = Duration::from_millis(1500);
/// Time after which waiting is given up.
const LIMIT: Duration = Duration::from_secs(15);

/// An outage of r1 and what came of it.
pub(super) struct Outage {
    began: Instant,
    status: Instant,
    capture: Capture,
}

pub(super) fn run(stage: &mut Stage) -> Result<Findings> {
    let traffic = stage.traffic()?;
    stage.run(&traffic, Duration::from_secs(2))?;
    stage.tell("lbd of r1 is killed");
    let outage = Outage::watch(stage, &traffic, |stage| stage.lab.routers[R1].kill())?;
    stage.run(&traffic, Duration::from_secs(3))?;
    let ended = traffic.finish()?;
    let mut findings = Findings::default();
    findings.take(&ended);
    outage.judge(stage, &ended, &mut findings)?;
    Ok(findings)
}

impl Outage {
    /// Lets `fail` disable r1, which returns when it did, and waits until r2 says that it is active.
    pub(super) fn watch(
        stage: &mut Stage,
        traffic: &Traffic,
        fail: impl FnOnce(&mut Stage) -> Result<Instant>,
    ) -> Result<Self> {
        let capture = Capture::start(stage.lab.namespace("switch")?, stage.lab.routers[R2].public().switch)?;
        let began = fail(stage)?;
        stage.run_until(traffic, "r2 to be active", LIMIT, |stage, _| {
            Ok(stage.roles()?.active_after(R2, began).is_some())
        })?;
        let status = stage.roles()?.active_after(R2, began).context("r2 is no longer active")?;
        Ok(Self { began, status, capture })
    }

    /// Judges how soon traffic flowed through r2, and that no request of the whole step has failed.
    pub(super) fn judge(&self, stage: &Stage, ended: &Ended, findings: &mut Findings) -> Result<()> {
        let first = ended.first_through(&self.capture, &stage.lab.routers[R2], self.began);
        let first = first.context("no new connection has succeeded through r2")?;
        findings.recovered(first - self.began);
        findings.within("new connections served by r2 after", first - self.began, BOUND);
        findings.within("r2 says that it is active after", self.status - self.began, BOUND);
        // None at all, not even before the takeover: the program of the dead daemon forwards what it knows, and goes on
        // to schedule what is new.
        findings.no_failures();
        Ok(())
    }
}
