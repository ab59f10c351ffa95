//! Requests spread by weight.

use std::time::Duration;

use anyhow::Result;

use crate::{
    demo::{findings::Findings, stage::Stage},
    lab::{
        config::{DIRECT_WEIGHTS, NAT_WEIGHTS},
        load::record::{Record, Summary},
    },
};

/// Time that is measured.
const TIME: Duration = Duration::from_secs(6);
/// Largest distance between share and weight.
const TOLERANCE: f64 = 0.02;

pub(super) fn run(stage: &mut Stage) -> Result<Findings> {
    let traffic = stage.traffic()?;
    stage.run(&traffic, TIME)?;
    let ended = traffic.finish()?;
    let mut findings = Findings::default();
    findings.take(&ended);
    compare(&mut findings, "NAT", &ended.nat, ["n1", "n2", "n3"], NAT_WEIGHTS);
    compare(&mut findings, "direct", &ended.direct, ["d1", "d2", "d3"], DIRECT_WEIGHTS);
    findings.no_failures();
    Ok(findings)
}

fn compare(findings: &mut Findings, method: &str, records: &[Record], servers: [&str; 3], weights: [u32; 3]) {
    let (summary, sum) = (Summary::of(records), weights.iter().sum::<u32>());
    for (server, weight) in servers.into_iter().zip(weights) {
        let (share, due) = (summary.share(server), f64::from(weight) / f64::from(sum));
        let bound = format!("{:.1} % ± {:.0} %, weight {weight} of {sum}", due * 100.0, TOLERANCE * 100.0);
        let passed = (share - due).abs() <= TOLERANCE;
        findings.check(
            &format!("share of {server}, {method}"),
            bound,
            format!("{:.1} %", share * 100.0),
            passed,
        );
    }
}
