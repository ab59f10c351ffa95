//! Datagrams come back.

use std::{collections::BTreeMap, net::SocketAddrV4};

use anyhow::Result;

use crate::{
    demo::{findings::Findings, stage::Stage},
    lab::{
        topology::{DIRECT_VIP, NAT_VIP, UDP_PORT},
        udp::echo,
    },
};

/// Datagrams to each service, each from a port of its own: two rounds of weights 1, 2 and 3.
const COUNT: u32 = 12;

pub(super) fn run(stage: &mut Stage) -> Result<Findings> {
    let mut findings = Findings::default();
    for (method, address) in [("NAT", NAT_VIP), ("direct", DIRECT_VIP)] {
        let (mut servers, mut lost) = (BTreeMap::<String, u32>::new(), Vec::new());
        for number in 0..COUNT {
            match echo(
                stage.lab.client()?,
                SocketAddrV4::new(address, UDP_PORT),
                &format!("datagram {number}"),
            ) {
                Ok(server) => *servers.entry(server).or_default() += 1,
                Err(error) => lost.push(format!("{error:#}")),
            }
        }
        let counts = servers.iter().map(|(server, count)| format!("{server} {count}"));
        let found = counts.chain(lost.iter().cloned()).collect::<Vec<_>>().join(", ");
        let bound = format!("{COUNT} by 3 servers");
        findings.check(
            &format!("datagrams back, {method}"),
            bound,
            found,
            lost.is_empty() && servers.len() == 3,
        );
    }
    Ok(findings)
}
