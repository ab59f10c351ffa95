//! The loop.

use std::{sync::Arc, time::Instant};

use futures_util::future::select_all;
use tokio::{sync::watch, time::sleep_until};

use super::{Core, Gate, PathSocket, RoleState, Shared, now, socket::Arrival, state_of};
use crate::{
    datapath,
    ha::{
        engine::{Lease, Notice},
        heartbeat::{Heartbeat, Ignored},
    },
};

/// Where the task publishes what others must know.
pub(super) struct Outputs {
    pub(super) role: watch::Sender<RoleState>,
    pub(super) reannounce: watch::Sender<u64>,
    /// Of the data plane.
    pub(super) lease: Arc<dyn datapath::Lease>,
}

/// Runs until the engine has finished.
pub(super) async fn run(shared: Arc<Shared>, mut sockets: Vec<PathSocket>, mut gate: Gate, outputs: Outputs) {
    loop {
        // What has arrived comes before the time: after a freeze, the engine must know what the peer did meanwhile.
        let codec = shared.lock().codec.clone();
        let arrived: Vec<_> = sockets
            .iter_mut()
            .zip(codec.iter().cycle())
            .map(|(socket, codec)| socket.receive(codec))
            .collect();
        let Turn { heartbeat, lease, ignored, notices, state, deadline, finished } =
            turn(&mut shared.lock(), arrived, &mut gate);
        // Before anybody hears of anything: what the peer concludes from a heartbeat holds already.
        match lease {
            Some(Lease::Until(until)) => outputs.lease.set(until),
            Some(Lease::Released) => outputs.lease.release(),
            None => {}
        }
        if let (Some(heartbeat), Some(codec)) = (heartbeat, codec) {
            let datagram = codec.encode(&heartbeat);
            sockets.iter_mut().for_each(|socket| socket.send(&datagram));
        }
        for (path, ignored, total) in ignored {
            if let Some(socket) = sockets.get(path) {
                socket.report(ignored, total);
            }
        }
        // Only now, without the lock: a reader of these channels may be waiting for it.
        if notices.contains(&Notice::AskWitness) {
            shared.ask.notify_waiters();
        }
        publish(&notices, state, &sockets, &outputs);
        if finished {
            return;
        }
        tokio::select! {
            () = readable(&sockets) => {}
            () = until(deadline) => {}
            () = shared.changed.notified() => {}
            () = gate.changed() => {}
        }
    }
}

/// What comes of one turn.
struct Turn {
    heartbeat: Option<Heartbeat>,
    lease: Option<Lease>,
    /// What the log is to hear of: path, cause, and how many there have been.
    ignored: Vec<(usize, Ignored, u64)>,
    notices: Vec<Notice>,
    state: RoleState,
    deadline: Option<Instant>,
    finished: bool,
}

/// One turn of the engine: arrivals first, then time.
fn turn(core: &mut Core, arrived: Vec<Vec<Arrival>>, gate: &mut Gate) -> Turn {
    let now = now();
    let mut told = Vec::new();
    for (path, result) in
        arrived.into_iter().enumerate().flat_map(|(path, all)| all.into_iter().map(move |r| (path, r)))
    {
        let result = result.and_then(|(heartbeat, keys)| {
            core.engine.handle_heartbeat(path, &heartbeat, now)?;
            Ok(keys)
        });
        match result {
            Ok(keys) => core.peer_keys = Some(keys),
            Err(ignored) => told.extend(count(core, ignored).map(|total| (path, ignored, total))),
        }
    }
    core.engine.handle_timeout(now);
    // The peer would take this router for dead after all of it.
    let patience = core.engine.settings().dead_after / 2;
    let silent_until = gate.silent_until(core.engine.role(), now, patience);
    Turn {
        heartbeat: if silent_until.is_none() { core.engine.poll_transmit(now) } else { None },
        lease: core.engine.poll_lease(now),
        ignored: told,
        notices: std::iter::from_fn(|| core.engine.poll_notice()).collect(),
        state: state_of(&core.engine),
        // In between, it is called as often as if it spoke: it has not been absent.
        deadline: match silent_until {
            Some(until) => Some(until.min(now + core.engine.settings().interval)),
            None => core.engine.next_deadline(),
        },
        finished: core.engine.is_finished(),
    }
}

fn publish(notices: &[Notice], state: RoleState, sockets: &[PathSocket], outputs: &Outputs) {
    for notice in notices {
        tell(notice, sockets, outputs);
    }
    outputs.role.send_if_modified(|published| {
        let changed = *published != state;
        *published = state;
        changed
    });
}

/// Counts an ignored heartbeat. Returns the total when the log is to hear of it: of the first, the second, the fourth and
/// so on.
fn count(core: &mut Core, ignored: Ignored) -> Option<u64> {
    let total = core.ignored.entry(ignored).or_default();
    *total += 1;
    total.is_power_of_two().then_some(*total)
}

fn tell(notice: &Notice, sockets: &[PathSocket], outputs: &Outputs) {
    match notice {
        Notice::Role(transition) => {
            // The director says so once it acts on it.
            tracing::debug!(from = %transition.from, to = %transition.to, "role decided: {}", transition.reason);
        }
        Notice::AskWitness => tracing::debug!("the peer is silent; the witnesses are asked"),
        Notice::Reannounce => {
            tracing::info!("the peer may have answered for the addresses; they are announced again");
            outputs.reannounce.send_modify(|count| *count += 1);
        }
        Notice::PathUp(index) | Notice::PathDown(index) => {
            let Some(path) = sockets.get(*index).map(PathSocket::path) else { return };
            let (local, remote) = (&path.local, &path.remote);
            if matches!(notice, Notice::PathUp(_)) {
                tracing::info!(%local, %remote, "heartbeats arrive on this path");
            } else {
                tracing::warn!(%local, %remote, "no heartbeats on this path");
            }
        }
    }
}

/// Waits until something has arrived on any path.
async fn readable(sockets: &[PathSocket]) {
    if sockets.is_empty() {
        std::future::pending::<()>().await;
    }
    select_all(sockets.iter().map(|socket| Box::pin(socket.readable()))).await;
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}
