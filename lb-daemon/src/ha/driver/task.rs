//! The loop.

use std::{sync::Arc, time::Instant};

use futures_util::future::select_all;
use tokio::{
    sync::watch,
    time::{sleep_until, timeout},
};

use super::{Core, PathSocket, RoleState, Shared, now, state_of};
use crate::ha::{
    Role,
    engine::Notice,
    heartbeat::{Heartbeat, Ignored, codec::Codec},
};

/// Where the task publishes what others must know.
pub(super) struct Outputs {
    pub(super) role: watch::Sender<RoleState>,
    pub(super) reannounce: watch::Sender<u64>,
}

/// Runs until the engine has finished.
pub(super) async fn run(
    shared: Arc<Shared>,
    codec: Codec,
    mut sockets: Vec<PathSocket>,
    outputs: Outputs,
    mut applied: watch::Receiver<Role>,
) {
    loop {
        // What has arrived comes before the time: after a freeze, the engine must know what the peer did meanwhile.
        let arrived: Vec<_> = sockets.iter().map(|socket| socket.receive(&codec)).collect();
        let Turn { heartbeat, notices, state, deadline, finished } = turn(&mut shared.lock(), arrived);
        // Only now, without the lock: a reader of these channels may be waiting for it.
        publish(&notices, state, &sockets, &outputs);
        if let Some(heartbeat) = heartbeat {
            if heartbeat.role == Role::Active && is_news(&notices) {
                // The peer may close its data plane at once when it hears that this router is active.
                let patience = shared.lock().engine.settings().interval;
                let _ = timeout(patience, applied.wait_for(|role| *role == Role::Active)).await;
            }
            let datagram = codec.encode(&heartbeat);
            sockets.iter_mut().for_each(|socket| socket.send(&datagram));
        }
        if finished {
            return;
        }
        tokio::select! {
            () = readable(&sockets) => {}
            () = until(deadline) => {}
            () = shared.changed.notified() => {}
        }
    }
}

/// What comes of one turn.
struct Turn {
    heartbeat: Option<Heartbeat>,
    notices: Vec<Notice>,
    state: RoleState,
    deadline: Option<Instant>,
    finished: bool,
}

/// One turn of the engine: arrivals first, then time.
fn turn(core: &mut Core, arrived: Vec<Vec<Result<Heartbeat, Ignored>>>) -> Turn {
    let now = now();
    for (path, result) in
        arrived.into_iter().enumerate().flat_map(|(path, all)| all.into_iter().map(move |r| (path, r)))
    {
        let result = result.and_then(|heartbeat| core.engine.handle_heartbeat(path, &heartbeat, now));
        if let Err(ignored) = result {
            count(core, ignored);
        }
    }
    core.engine.handle_timeout(now);
    Turn {
        heartbeat: core.engine.poll_transmit(now),
        notices: std::iter::from_fn(|| core.engine.poll_notice()).collect(),
        state: state_of(&core.engine),
        deadline: core.engine.next_deadline(),
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

/// Whether the role is another one than in the turn before.
fn is_news(notices: &[Notice]) -> bool {
    notices.iter().any(|notice| matches!(notice, Notice::Role(_)))
}

/// Counts an ignored heartbeat; the log hears of the first, the second, the fourth and so on.
fn count(core: &mut Core, ignored: Ignored) {
    let total = core.ignored.entry(ignored).or_default();
    *total += 1;
    if total.is_power_of_two() {
        tracing::warn!(cause = ignored.name(), total, "heartbeat ignored: {ignored}");
    }
}

fn tell(notice: &Notice, sockets: &[PathSocket], outputs: &Outputs) {
    match notice {
        Notice::Role(transition) => {
            tracing::info!(from = %transition.from, to = %transition.to, "role changed: {}", transition.reason);
        }
        Notice::Reannounce => {
            tracing::info!("the peer may have answered for the addresses; they are announced again");
            outputs.reannounce.send_modify(|count| *count += 1);
        }
        Notice::PathUp(index) | Notice::PathDown(index) => {
            let Some(path) = sockets.get(*index).map(PathSocket::path) else { return };
            let (local, remote) = (path.local, path.remote);
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
