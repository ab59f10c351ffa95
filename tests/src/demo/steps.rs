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
        story: "Both routers start and find their roles; health checks find the servers.",
        run: settle::run,
    },
    Step {
        title: "spread by weight",
        story: "Requests spread by weight: 1, 2, 3 with NAT, 3, 2, 1 with direct routing.",
        run: spread::run,
    },
    Step {
        title: "drain a server",
        story: "A server is drained, stopped, started and enabled again; no client notices.",
        run: drain::run,
    },
    Step {
        title: "server dies",
        story: "A server drops off the network; requests fail only until its check notices.",
        run: death::run,
    },
    Step {
        title: "router dies",
        story: "lbd of the active router is killed; the other takes over, no client notices.",
        run: takeover::run,
    },
    Step {
        title: "router returns",
        story: "lbd of the dead router is started again and takes its role back, unnoticed.",
        run: failback::run,
    },
    Step {
        title: "router freezes",
        story: "lbd of the active router is frozen, the other takes over, and it is thawed.",
        run: freeze::run,
    },
    Step {
        title: "planned stop",
        story: "lbd of the active router is stopped as for an upgrade, and started again.",
        run: planned::run,
    },
    Step {
        title: "UDP",
        story: "Datagrams to the UDP services come back from their servers.",
        run: echo::run,
    },
];

#[cfg(test)]
mod tests {
    use super::STEPS;

    #[test]
    fn stories_fit_a_terminal() {
        for step in STEPS {
            assert!(step.story.chars().count() <= 78, "{}", step.story);
        }
    }
}
