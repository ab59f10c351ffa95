//! The active router's daemon stands still, and goes on as if nothing had been.

use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::signal::Signal;

use super::{failback::BOUND, takeover::Outage};
use crate::{
    demo::{
        findings::{Findings, seconds},
        stage::Stage,
    },
    lab::R1,
};

/// Time in which a thawed router must have learnt that it is no longer active: three heartbeats, and some for a busy
/// machine.
const LEARNT: Duration = Duration::from_secs(1);
/// Time that they are watched once they have settled.
const WATCHED: Duration = Duration::from_secs(3);

pub(super) fn run(stage: &mut Stage) -> Result<Findings> {
    let traffic = stage.traffic()?;
    stage.run(&traffic, Duration::from_secs(1))?;
    stage.tell("lbd of r1 is frozen");
    let outage = Outage::watch(stage, &traffic, |stage| stage.lab.routers[R1].signal(Signal::SIGSTOP))?;
    stage.run(&traffic, Duration::from_secs(2))?;
    stage.tell("lbd of r1 is thawed");
    let thawed = stage.lab.routers[R1].signal(Signal::SIGCONT)?;
    let took = stage.run_until_settled(&traffic, BOUND * 2)?;
    let settled = Instant::now();
    stage.run(&traffic, WATCHED)?;

    let ended = traffic.finish()?;
    let mut findings = Findings::default();
    findings.take(&ended);
    outage.judge(stage, &ended, &mut findings)?;
    judge_return(stage, &mut findings, thawed, took, settled)?;
    Ok(findings)
}

/// Judges that r1 learnt what it missed, and took its role back alone.
fn judge_return(
    stage: &Stage,
    findings: &mut Findings,
    thawed: Instant,
    took: Duration,
    settled: Instant,
) -> Result<()> {
    findings.within("r1 alone active after its thaw", took, BOUND);
    let both = stage.roles()?.both_active(thawed);
    findings.within("both said that they are active for", both, LEARNT);
    let later = stage.roles()?.both_active(settled);
    let active = stage.lab.active().map(|index| stage.lab.routers[index].name());
    let found = format!(
        "{}; both for {}",
        active.as_ref().map_or_else(|error| error.to_string(), ToString::to_string),
        seconds(later)
    );
    findings.check(
        "active in the end",
        "r1 alone",
        found,
        later.is_zero() && active.is_ok_and(|name| name == "r1"),
    );
    Ok(())
}
