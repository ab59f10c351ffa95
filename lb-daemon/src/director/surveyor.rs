//! Looks at the flow table on a thread of its own: a full table takes longer to read than a takeover may wait.

use std::{collections::BTreeMap, sync::Arc};

use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    connections::{self, Counts, Survey},
    datapath::{Error, FlowTable},
};

/// Connections by real server slot.
type Result = std::result::Result<BTreeMap<u32, Counts>, Error>;

/// At most one survey at a time.
#[derive(Debug, Default)]
pub(super) struct Surveyor {
    running: Option<JoinHandle<Result>>,
}

impl Surveyor {
    /// Starts a survey, unless one is still under way.
    pub(super) fn start(&mut self, table: Arc<dyn FlowTable>) {
        if self.running.is_none() {
            self.running = Some(spawn_blocking(move || survey(table.as_ref())));
        }
    }

    /// The outcome of the survey under way; without one it waits for ever. Nothing is lost when it is cancelled.
    ///
    /// # Errors
    /// When the table cannot be read or cleaned.
    pub(super) async fn finished(&mut self) -> Result {
        let Some(running) = &mut self.running else { return std::future::pending().await };
        let outcome = running.await;
        self.running = None;
        outcome.unwrap_or_else(|error| Err(Error::Setup(format!("the survey of the flow table: {error}"))))
    }
}

/// Counts connections and forgets what is due.
fn survey(table: &dyn FlowTable) -> Result {
    let now = table.now();
    let flows = table.flows()?;
    // Only now: the real server of each of these flows stood in the array before its flow was made.
    let reals = table.reals()?;
    let Survey { counts, due } = connections::survey(&flows, &reals, now);
    table.forget(&due)?;
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use lb_common::{ConnState, Direction, Flow, FlowKey, IPPROTO_TCP, Real, RealState};

    use super::*;
    use crate::datapath::{Datapath as _, Op, memory::MemoryDatapath};

    #[tokio::test]
    async fn a_connection_that_is_made_meanwhile_is_counted_and_not_forgotten() {
        let datapath = MemoryDatapath::default();
        let mut surveyor = Surveyor::default();
        surveyor.start(Arc::new(Busy(datapath.clone())));
        let one = Counts { active: 1, inactive: 0 };
        assert_eq!(surveyor.finished().await.unwrap(), BTreeMap::from([(3, one)]));
        assert_eq!(datapath.state().flows.len(), 1);
    }

    #[tokio::test]
    async fn a_survey_holds_nobody_up() {
        let datapath = MemoryDatapath::default();
        let mut surveyor = Surveyor::default();
        // The survey cannot go on while the test holds the table.
        let held = datapath.state();
        for _ in 0..2 {
            surveyor.start(datapath.flow_table());
            assert!(surveyor.finished().now_or_never().is_none(), "the table cannot have been read");
        }
        drop(held);
        assert_eq!(surveyor.finished().await.unwrap(), BTreeMap::new());
    }

    /// A data plane where a server gets a slot, and its first connection, at the moment at which the table is read.
    struct Busy(MemoryDatapath);

    impl FlowTable for Busy {
        fn flows(&self) -> std::result::Result<Vec<(FlowKey, Flow)>, Error> {
            let real = Real { state: RealState::Up as u8, generation: 2, ..Real::default() };
            self.0.clone().apply(&Op::SetReal(3, real))?;
            let key = FlowKey::new(IPPROTO_TCP, [198, 51, 100, 7], 40_000, [192, 0, 2, 1], 80);
            let (side, state) = (Direction::Original, ConnState::Established);
            let flow = Flow::new(side, state, self.now(), 3, 2, FlowKey::default(), 0, [0; 6], [0; 6]);
            self.0.state().flows.insert(key, flow);
            self.0.flow_table().flows()
        }

        fn reals(&self) -> std::result::Result<BTreeMap<u32, Real>, Error> {
            self.0.flow_table().reals()
        }

        fn forget(&self, entries: &[(FlowKey, Flow)]) -> std::result::Result<(), Error> {
            self.0.flow_table().forget(entries)
        }

        fn now(&self) -> u64 {
            self.0.flow_table().now()
        }
    }
}
