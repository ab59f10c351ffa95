//! A server is taken out in order and comes back.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::{
    demo::{
        findings::Findings,
        stage::Stage,
        traffic::{Ended, Traffic},
    },
    lab::{R1, config::WEB_NAT},
};

/// The server.
const SERVER: &str = "n2";
/// Time that each part may take.
const LIMIT: Duration = Duration::from_secs(15);
/// Time for a command's change to reach the data plane after `lbctl` has returned.
const MARGIN: Duration = Duration::from_millis(100);

pub(super) fn run(stage: &mut Stage) -> Result<Findings> {
    let traffic = stage.traffic()?;
    stage.run(&traffic, Duration::from_secs(2))?;

    stage.tell(&format!("lbctl server {SERVER} drain"));
    stage.lab.routers[R1].lbctl(&["server", SERVER, "drain"])?;
    let drained = Instant::now();
    stage.run_until(&traffic, "its connections to end", LIMIT, |stage, _| {
        connections(stage).map(|left| left == 0)
    })?;
    stage.tell(&format!("{SERVER} has no connection left: it is stopped, and started again"));
    stage.lab.server(SERVER)?.stop()?;
    stage.run(&traffic, Duration::from_secs(3))?;
    stage.lab.server(SERVER)?.start()?;

    stage.tell(&format!("lbctl server {SERVER} enable"));
    let enabled = Instant::now();
    stage.lab.routers[R1].lbctl(&["server", SERVER, "enable"])?;
    let back = takes_load(stage, &traffic, SERVER, enabled)?;
    stage.run(&traffic, Duration::from_secs(1))?;
    judge(&traffic.finish()?, drained, enabled, back)
}

/// Waits until `server` answers requests begun after `since`; returns how long that took.
pub(super) fn takes_load(
    stage: &mut Stage,
    traffic: &Traffic,
    server: &str,
    since: Instant,
) -> Result<Duration> {
    stage.run_until(traffic, &format!("{server} to take load again"), LIMIT, |_, traffic| {
        Ok(traffic.answered_since(server, since) >= 10)
    })?;
    Ok(since.elapsed())
}

fn judge(ended: &Ended, drained: Instant, enabled: Instant, back: Duration) -> Result<Findings> {
    let mut findings = Findings::default();
    findings.take(ended);
    findings.no_failures();
    let between = |at: Instant| at >= drained + MARGIN && at < enabled;
    let strayed =
        ended.nat.iter().filter(|record| between(record.started) && record.outcome.as_deref() == Ok(SERVER));
    let strayed = strayed.count();
    findings.check("requests that it got while drained", "none", strayed.to_string(), strayed == 0);
    findings.within("it takes load after being enabled", back, LIMIT);
    Ok(findings)
}

/// Active connections of the server.
fn connections(stage: &Stage) -> Result<u64> {
    let service = stage.lab.routers[R1].service(WEB_NAT)?;
    let real =
        service.reals.into_iter().find(|real| real.name == SERVER).context("the server is not configured")?;
    Ok(real.active_connections)
}
