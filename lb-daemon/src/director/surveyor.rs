//! Looks at the flow table on a thread of its own: a full table takes longer to read than a takeover may wait.

use std::{collections::BTreeMap, sync::Arc};

use tokio::task::{JoinHandle, spawn_blocking};

use crate::{
    connections::{self, Counts, Survey},
    datapath::{Error, FlowTable},
    last_hops,
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

/// Counts connections and forgets what is due, also the neighbours that no connection needs.
fn survey(table: &dyn FlowTable) -> Result {
    let Survey { counts, last_hops, .. } = connections::survey(table, &table.clock()?);
    last_hops::sweep(table.last_hops(), &last_hops);
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use lb_common::{
        ConnState, IPPROTO_TCP, Real, RealState, SharedHop,
        flow_table::{Bucket as _, Client, HashKey, Key, Meta, Phase, Shared, SharedMarks, Stamp},
    };

    use super::*;
    use crate::datapath::{Clock, Datapath as _, Op, memory::MemoryDatapath};

    #[tokio::test]
    async fn a_connection_that_is_made_meanwhile_is_counted_and_not_forgotten() {
        let datapath = MemoryDatapath::default();
        let mut surveyor = Surveyor::default();
        surveyor.start(Arc::new(Busy(datapath.clone())));
        let one = Counts { active: 1, inactive: 0 };
        assert_eq!(surveyor.finished().await.unwrap(), BTreeMap::from([(3, one)]));
        assert_eq!(connections::entries(&datapath), 1);
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
        fn buckets(&self) -> &[Shared] {
            let real = Real { state: RealState::Up as u8, generation: 2, ..Real::default() };
            self.0.clone().apply(&Op::SetReal(3, real)).unwrap();
            let bucket = &self.0.buckets()[0];
            let meta = Meta::new(IPPROTO_TCP, ConnState::Established, Stamp::default(), 2, 0);
            bucket.store_key(0, Key::new(Client::new([198, 51, 100, 7], 40_000), 3));
            bucket.exchange(0, Meta::FREE, meta.in_phase(Phase::Live));
            self.0.buckets()
        }

        fn changes(&self) -> &[SharedMarks] {
            self.0.changes()
        }

        fn hash_key(&self) -> HashKey {
            self.0.hash_key()
        }

        fn real(&self, index: u16) -> Option<Real> {
            self.0.real(index)
        }

        fn last_hops(&self) -> &[SharedHop] {
            self.0.last_hops()
        }

        fn clock(&self) -> std::result::Result<Clock, Error> {
            self.0.clock()
        }
    }
}
