//! The loop.

use std::{sync::Arc, time::Instant};

use futures_util::future::select_all;
use tokio::sync::watch;

use super::{Core, Gate, PathSocket, RoleState, Shared, socket::Arrival, state_of};
use crate::{
    datapath,
    deadline::{self, now},
    ha::{
        engine::{Engine, Lease, Maintenance, Notice},
        heartbeat::{Heartbeat, Ignored},
    },
};

/// Where the task publishes what others must know.
pub(super) struct Outputs {
    pub(super) roles: watch::Sender<Vec<RoleState>>,
    pub(super) reannounce: watch::Sender<u64>,
    pub(super) maintenance: watch::Sender<Vec<Option<Maintenance>>>,
    /// Of the data plane, one for each group.
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
        let Turn { heartbeats, leases, ignored, notices, states, maintenance, deadline, finished } =
            turn(&mut shared.lock(), arrived, &mut gate);
        // Before anybody hears of anything: what the peer concludes from a heartbeat holds already.
        for (number, lease) in leases {
            match lease {
                Lease::Until(until) => outputs.lease.set(number, until),
                Lease::Released => outputs.lease.release(number),
            }
        }
        for datagram in
            codec.iter().flat_map(|codec| heartbeats.iter().map(|heartbeat| codec.encode(heartbeat)))
        {
            sockets.iter_mut().for_each(|socket| socket.send(&datagram));
        }
        for (path, ignored, total) in ignored {
            if let Some(socket) = sockets.get(path) {
                socket.report(ignored, total);
            }
        }
        // Only now, without the lock: a reader of these channels may be waiting for it.
        if notices.iter().any(|(_, notice)| *notice == Notice::AskWitness) {
            shared.ask.notify_waiters();
        }
        publish(&notices, &sockets, &outputs);
        tell_change(&outputs.roles, states);
        tell_change(&outputs.maintenance, maintenance);
        if finished {
            return;
        }
        tokio::select! {
            () = readable(&sockets) => {}
            () = deadline::reached(deadline) => {}
            () = shared.changed.notified() => {}
            () = gate.changed() => {}
        }
    }
}

/// What comes of one turn.
struct Turn {
    /// Of each group that has one due.
    heartbeats: Vec<Heartbeat>,
    /// By the number of their group.
    leases: Vec<(u32, Lease)>,
    /// What the log is to hear of: path, cause, and how many there have been.
    ignored: Vec<(usize, Ignored, u64)>,
    /// With the number of their group.
    notices: Vec<(usize, Notice)>,
    states: Vec<RoleState>,
    maintenance: Vec<Option<Maintenance>>,
    deadline: Option<Instant>,
    finished: bool,
}

/// One turn of the engines: arrivals first, then time.
fn turn(core: &mut Core, arrived: Vec<Vec<Arrival>>, gate: &mut Gate) -> Turn {
    let now = now();
    let positions = *core.positions.borrow();
    core.engines.iter_mut().for_each(|engine| engine.set_positions(positions, now));
    let mut told = Vec::new();
    for (path, result) in
        arrived.into_iter().enumerate().flat_map(|(path, all)| all.into_iter().map(move |r| (path, r)))
    {
        let result = result.and_then(|(heartbeat, keys)| {
            let group = core.engines.iter_mut().find(|engine| engine.settings().group == heartbeat.group);
            group.ok_or(Ignored::UnknownGroup)?.handle_heartbeat(path, &heartbeat, now)?;
            Ok(keys)
        });
        match result {
            Ok(keys) => core.peer_keys = Some(keys),
            Err(ignored) => told.extend(count(core, ignored).map(|total| (path, ignored, total))),
        }
    }
    let mut all = Turn {
        heartbeats: Vec::new(),
        leases: Vec::new(),
        ignored: told,
        notices: Vec::new(),
        states: Vec::new(),
        maintenance: Vec::new(),
        deadline: None,
        finished: true,
    };
    for (group, engine) in core.engines.iter_mut().enumerate() {
        all.add(group, engine, gate, now);
    }
    all
}

impl Turn {
    /// One turn of a group's engine.
    fn add(&mut self, group: usize, engine: &mut Engine, gate: &mut Gate, now: Instant) {
        engine.handle_timeout(now);
        let (role, interval) = (engine.role(), engine.settings().interval);
        // The peer would take this router for dead after all of it.
        let patience = engine.settings().dead_after / 2;
        let silent_until = gate.silent_until(group, role, now, patience);
        if silent_until.is_none() {
            self.heartbeats.extend(engine.poll_transmit(now));
        }
        let number = u32::try_from(group).unwrap_or(u32::MAX);
        self.leases.extend(engine.poll_lease(now).map(|lease| (number, lease)));
        self.notices.extend(std::iter::from_fn(|| engine.poll_notice()).map(|notice| (group, notice)));
        self.states.push(state_of(engine));
        self.maintenance.push(engine.maintenance().cloned());
        // In between, it is called as often as if it spoke: it has not been absent.
        let deadline = match silent_until {
            Some(until) => Some(until.min(now + interval)),
            None => engine.next_deadline(),
        };
        self.deadline = self.deadline.into_iter().chain(deadline).min();
        self.finished &= engine.is_finished();
    }
}

fn publish(notices: &[(usize, Notice)], sockets: &[PathSocket], outputs: &Outputs) {
    for (group, notice) in notices {
        // All groups share the paths.
        if *group == 0 || !matches!(notice, Notice::PathUp(_) | Notice::PathDown(_)) {
            tell(notice, sockets, outputs);
        }
    }
}

/// Publishes `value` where it is another one.
fn tell_change<T: PartialEq>(channel: &watch::Sender<T>, value: T) {
    channel.send_if_modified(|published| {
        let changed = *published != value;
        *published = value;
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
        Notice::Released => {
            tracing::warn!(
                "the peer is held active too, and comes first: this router is released from `lbctl maintenance`"
            );
        }
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
