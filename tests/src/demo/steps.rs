//! The steps of the demo, in their order. Each leaves the laboratory as it found it: all servers up, r1 active.

mod death;
mod drain;
mod echo;
mod failback;
mod freeze;
mod planned;
mod settle;
mod spread;
mod takeover;

use anyhow::Result;

use super::{findings::Findings, stage::Stage};

/// A step.
pub(crate) struct Step {
    /// A few words.
    pub(crate) title: &'static str,
    /// One sentence: what happens and what is to be seen.
    pub(crate) story: &'static str,
    /// Does it.
    pub(crate) run: fn(&mut Stage) -> Result<Findings>,
}

/// Every step.
pub(crate) const STEPS: [Step; 9] = [
    Step {
        title: "start",
        story: "Both routers start, find their roles, and their health checks find the servers.",
        run: settle::run,
    },
    Step {
        title: "spread by weight",
        story: "Requests spread over the servers by weight: 1, 2, 3 with NAT, and 3, 2, 1 with direct routing.",
        run: spread::run,
    },
    Step {
        title: "drain a server",
        story: "A server is drained, stopped, started and enabled again; no client notices.",
        run: drain::run,
    },
    Step {
        title: "server dies",
        story: "A server drops off the network. Its health check notices, and requests fail only until then.",
        run: death::run,
    },
    Step {
        title: "router dies",
        story: "lbd of the active router is killed in mid-load; the other takes over, and no client notices.",
        run: takeover::run,
    },
    Step {
        title: "router returns",
        story: "lbd of the dead router is started again, and takes its role back; no client notices.",
        run: failback::run,
    },
    Step {
        title: "router freezes",
        story: "lbd of the active router is frozen and thawed; the other takes over meanwhile, one stays active.",
        run: freeze::run,
    },
    Step {
        title: "planned stop",
        story: "lbd of the active router is stopped as for an upgrade, and started again; no client notices.",
        run: planned::run,
    },
    Step {
        title: "UDP",
        story: "Datagrams to the UDP services come back from their servers.",
        run: echo::run,
    },
];
