//! Asks the witnesses, as often as heartbeats go out, and tells the engine of every answer.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::{
    select,
    task::JoinHandle,
    time::{MissedTickBehavior, interval},
};

use super::Shared;
use crate::{
    config::{self, HostAddress},
    deadline::now,
    ping,
};

/// Questions to one witness that may wait for an answer. One that is far away, or lost, must not keep the next one back.
const WAITING: usize = 16;

/// The tasks that ask. Dropped, they end.
#[derive(Debug, Default)]
pub(super) struct Witnesses {
    wanted: Wanted,
    tasks: Vec<JoinHandle<()>>,
}

/// Who is asked, and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    witnesses: Vec<HostAddress>,
    interval: Duration,
    timeout: Duration,
}

impl Witnesses {
    /// Asks the witnesses of `peer` from now on: once an interval, and what is answered within `dead_after` counts. Must be
    /// called within a tokio runtime.
    pub(super) fn follow(&mut self, shared: &Arc<Shared>, peer: &config::Peer) {
        let (interval, timeout) = (peer.interval, peer.dead_after);
        let wanted = Wanted { witnesses: peer.witnesses.clone(), interval, timeout };
        if wanted == self.wanted {
            return;
        }
        self.stop();
        shared.lock().witnessed.retain(|witness, _| wanted.witnesses.contains(witness));
        let asks =
            |witness: &HostAddress| tokio::spawn(ask(Arc::clone(shared), witness.clone(), interval, timeout));
        self.tasks = wanted.witnesses.iter().map(asks).collect();
        self.wanted = wanted;
    }

    /// Who is asked.
    pub(super) fn asked(&self) -> &[HostAddress] {
        &self.wanted.witnesses
    }

    fn stop(&mut self) {
        self.tasks.drain(..).for_each(|task| task.abort());
    }
}

impl Drop for Witnesses {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Asks one witness again and again.
async fn ask(shared: Arc<Shared>, witness: HostAddress, every: Duration, timeout: Duration) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut waiting = FuturesUnordered::new();
    let mut told = None;
    loop {
        let answer = select! {
            _ = ticks.tick() => None,
            () = shared.ask.notified() => None,
            Some(answer) = waiting.next(), if !waiting.is_empty() => Some(answer),
        };
        let Some((asked, result)) = answer else {
            if waiting.len() < WAITING {
                let (asked, witness) = (now(), &witness);
                waiting.push(async move { (asked, ping::ping(witness, None, timeout).await) });
            }
            continue;
        };
        if result.is_ok() {
            take(&shared, &witness, asked);
        }
        if told.replace(result.is_ok()) != Some(result.is_ok()) {
            match result {
                Ok(_) => tracing::info!(%witness, "the witness answers"),
                Err(failure) => tracing::warn!(%witness, "the witness does not answer: {failure}"),
            }
        }
    }
}

/// Tells the engine that `witness` has answered what it was `asked` then.
fn take(shared: &Shared, witness: &HostAddress, asked: Instant) {
    let mut core = shared.lock();
    core.witnessed.insert(witness.clone(), asked);
    core.engines.iter_mut().for_each(|engine| engine.handle_witness(asked, now()));
    drop(core);
    shared.changed.notify_one();
}
