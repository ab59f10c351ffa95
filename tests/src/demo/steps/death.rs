//! A server dies as machines die: silently.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::drain::takes_load;
use crate::{
    demo::{findings::Findings, stage::Stage, traffic::Ended},
    lab::{R1, config::WEB_NAT, load::record::Summary},
};

/// The server: half of the requests with NAT are its own.
const SERVER: &str = "n3";
/// Two checks a second apart have to fail, the second after its time-out: 2.5 s at most, and some for a busy machine.
const NOTICED: Duration = Duration::from_secs(3);
/// Time that the status lags behind the data plane, or the other way round.
const MARGIN: Duration = Duration::from_millis(200);
/// Time after which waiting is given up.
const LIMIT: Duration = Duration::from_secs(15);

pub(super) fn run(stage: &mut Stage) -> Result<Findings> {
    let traffic = stage.traffic()?;
    stage.run(&traffic, Duration::from_secs(2))?;

    stage.tell(&format!("{SERVER} drops off the network"));
    let died = Instant::now();
    stage.lab.server(SERVER)?.kill_hard()?;
    stage.run_until(&traffic, "the health check to notice", LIMIT, |stage, _| is_down(stage))?;
    let noticed = Instant::now();
    stage.tell(&format!("the health check has noticed after {:.2} s", (noticed - died).as_secs_f64()));
    stage.run(&traffic, Duration::from_secs(3))?;

    stage.tell(&format!("{SERVER} comes back"));
    stage.lab.server(SERVER)?.revive()?;
    let back = takes_load(stage, &traffic, SERVER, Instant::now())?;
    stage.run(&traffic, Duration::from_secs(1))?;
    Ok(judge(&traffic.finish()?, died, noticed, back))
}

fn is_down(stage: &Stage) -> Result<bool> {
    let service = stage.lab.routers[R1].service(WEB_NAT)?;
    Ok(service.reals.iter().any(|real| real.name == SERVER && real.state == "down"))
}

fn judge(ended: &Ended, died: Instant, noticed: Instant, back: Duration) -> Findings {
    let mut findings = Findings::default();
    findings.take(ended);
    findings.recovered(noticed - died);
    findings.within("noticed after", noticed - died, NOTICED);
    let (failed, words) = (findings.requests.failed(), findings.requests.failures_in_words());
    findings.note(format!("{failed} requests failed until then: {words}"));
    // A request under way when the server died may have begun some time before.
    let outside =
        Summary::of(ended.all().filter(|record| record.started > noticed + MARGIN || record.finished < died));
    findings.check(
        "failed requests before or after",
        "none",
        outside.failures_in_words(),
        outside.failed() == 0,
    );
    findings.within("it takes load after its return", back, LIMIT);
    findings
}
