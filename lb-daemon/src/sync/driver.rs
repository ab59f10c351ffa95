//! Moves bytes and time between the network and the engines. The standby router connects, over the first path that works;
//! the active one answers. Only the active one sends, and only a standby applies. Where each router is active for some groups,
//! both happens at once, in streams of their own.

mod accept;
mod follow;
mod link;
mod serve;
mod status;

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{sleep, timeout},
};

use self::{
    accept::Caller,
    status::Phase,
    status::{Side, State},
};
use super::{secure::Psks, segments::Segments, sender::PACE};
use crate::{
    api::types::SyncStatus,
    config::{self, ConnectionSync, HeartbeatPath, HostAddress, Keys},
    datapath::{FlowTable, Schedules},
    deadline::now,
    endpoint,
    ha::{Role, driver::RoleState, engine::Positions},
};

/// Time that connecting, a handshake or an answer to a greeting may take.
const GREETING: Duration = Duration::from_secs(2);
/// Silence after which a stream is given up. Both sides say something at least once a second.
const SILENCE: Duration = Duration::from_secs(5);

/// Why the stream's port cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program uses it.
    #[error(
        "port {port} for the copy of connections on {local} is taken by another program: `ss -tlnp sport = :{port}` names \
         it; end it, or set another peer.sync.port on both routers"
    )]
    PortTaken {
        /// The port.
        port: u16,
        /// The address.
        local: HostAddress,
    },
    /// Another failure.
    #[error("cannot open port {port} on {local} for the copy of connections: {source}")]
    Socket {
        /// The address.
        local: HostAddress,
        /// The port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no random number.
    #[error("cannot get a random number for the copy of connections: {0}")]
    Random(#[from] getrandom::Error),
}

/// The running copy. Dropping it ends the stream.
#[derive(Debug)]
pub struct Handle {
    /// Whether this router may take the active role without losing connections that the peer knows: it has had
    /// everything, or is active itself, or connections are not copied at all.
    pub in_sync: watch::Receiver<bool>,
    shared: Arc<Shared>,
    /// Keys for handshakes from now on; `None` where nothing is copied.
    keys: Option<watch::Sender<Psks>>,
    tasks: Vec<JoinHandle<()>>,
}

/// What tasks and handle share.
#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    in_sync: watch::Sender<bool>,
    /// Where the heartbeat learns how far the copy is.
    positions: watch::Sender<Positions>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a phase in force for whoever asks.
    fn enter(&self, side: Side, phase: Phase) {
        self.set(side, Some(phase));
    }

    /// Nothing is copied that way any more.
    fn leave(&self, side: Side) {
        self.set(side, None);
    }

    fn set(&self, side: Side, phase: Option<Phase>) {
        // Told under the lock, so that the last to be told is the last to be true.
        let mut state = self.lock();
        state.set(side, phase);
        let (in_sync, positions) = (state.is_in_sync(), state.positions());
        self.positions.send_if_modified(|current| std::mem::replace(current, positions) != positions);
        self.in_sync.send_if_modified(|current| std::mem::replace(current, in_sync) != in_sync);
    }
}

/// The ports, taken on every path.
#[derive(Debug)]
pub struct Bound {
    peer: Option<config::Peer>,
    listeners: Vec<(TcpListener, HeartbeatPath)>,
}

/// What the tasks work with.
struct Router {
    incarnation: u64,
    settings: ConnectionSync,
    paths: Vec<HeartbeatPath>,
    keys: watch::Receiver<Psks>,
    table: Arc<dyn FlowTable>,
    schedules: Arc<dyn Schedules>,
    segments: watch::Receiver<Segments>,
    shared: Arc<Shared>,
}

/// Takes the stream's port on every path to `peer`; none for a router that stands alone or copies nothing. Must be called
/// within a tokio runtime.
///
/// # Errors
/// Which port cannot be had, and why.
pub fn bind(peer: Option<&config::Peer>) -> Result<Bound, Error> {
    let peer = peer.filter(|peer| peer.sync.enabled).cloned();
    let mut listeners = Vec::new();
    if let Some(peer) = &peer {
        for path in &peer.paths {
            listeners.push((listen(&path.local, peer.sync.port)?, path.clone()));
        }
    }
    Ok(Bound { peer, listeners })
}

fn listen(local: &HostAddress, port: u16) -> Result<TcpListener, Error> {
    let listener = endpoint::resolve(local, port).and_then(endpoint::listen).and_then(TcpListener::from_std);
    listener.map_err(|source| match source.kind() {
        io::ErrorKind::AddrInUse => Error::PortTaken { port, local: local.clone() },
        _ => Error::Socket { local: local.clone(), port, source },
    })
}

impl Bound {
    /// Starts copying from and to `table` and `schedules`, as `roles` say; `segments` are those that the virtual addresses stand on.
    /// `positions` are told how far that is. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When there is no random number to be had.
    pub fn start(
        self,
        table: Arc<dyn FlowTable>,
        schedules: Arc<dyn Schedules>,
        roles: watch::Receiver<Vec<RoleState>>,
        segments: watch::Receiver<Segments>,
        positions: watch::Sender<Positions>,
    ) -> Result<Handle, Error> {
        let Self { peer, listeners } = self;
        let state = State::new(peer.is_some());
        positions.send_replace(state.positions());
        let (told, in_sync) = watch::channel(state.is_in_sync());
        let shared = Arc::new(Shared { state: Mutex::new(state), in_sync: told, positions });
        let Some(peer) = peer else { return Ok(Handle { in_sync, shared, keys: None, tasks: Vec::new() }) };
        let (told_keys, keys) = watch::channel(Psks::of(&peer.keys));
        let (caller, callers) = mpsc::channel(1);
        let accepts = listeners.into_iter().map(|(listener, path)| {
            let entrance = accept::Entrance { path, keys: keys.clone(), shared: Arc::clone(&shared) };
            tokio::spawn(accept::run(listener, entrance, caller.clone()))
        });
        let mut tasks: Vec<_> = accepts.collect();
        let router = Router {
            incarnation: random()?,
            paths: peer.paths,
            settings: peer.sync,
            keys,
            table,
            schedules,
            segments,
            shared: Arc::clone(&shared),
        };
        let (router, roles) = (Arc::new(router), Roles(roles));
        tasks.push(tokio::spawn(serve(Arc::clone(&router), callers, roles.clone())));
        tasks.push(tokio::spawn(follow(router, roles)));
        Ok(Handle { in_sync, shared, keys: Some(told_keys), tasks })
    }
}

impl Handle {
    /// How the copy goes: what comes from the peer, where this router is standby for anything, or else what goes to it.
    #[must_use]
    pub fn status(&self) -> SyncStatus {
        status::of(&self.shared.lock(), now())
    }

    /// How the copy to the peer goes, where there is one in each direction.
    #[must_use]
    pub fn status_out(&self) -> Option<SyncStatus> {
        status::out(&self.shared.lock(), now())
    }

    /// Puts other keys in force, for handshakes from now on: a stream that stands goes on.
    pub fn set_keys(&self, keys: &Keys) {
        if let Some(told) = &self.keys {
            told.send_replace(Psks::of(keys));
        }
    }

    /// Waits until the peer has been told what happened while this router gave up its role: not at all where no peer is connected. The
    /// role must have gone.
    pub async fn finish(&self) {
        let told = async {
            while self.shared.lock().is_serving() {
                sleep(PACE).await;
            }
        };
        // Beyond that the peer does not take it.
        drop(timeout(serve::LAST_WORDS * 2, told).await);
    }

    /// What is not as it should be, one line each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        status::warnings(&self.shared.lock(), now())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

/// Answers the peer while this router is active for anything, until nobody tells the roles any more.
async fn serve(router: Arc<Router>, mut callers: mpsc::Receiver<Caller>, mut roles: Roles) {
    while roles.are_told() {
        if roles.serves() {
            serve::run(&router, &mut callers, &mut roles).await;
            continue;
        }
        tokio::select! {
            () = roles.until(Roles::serves) => {}
            // Sent away.
            Some(_) = callers.recv() => {}
        }
    }
}

/// Follows the peer while this router is standby for anything.
async fn follow(router: Arc<Router>, mut roles: Roles) {
    while roles.are_told() {
        if roles.follows() {
            follow::run(&router, &mut roles).await;
        } else {
            roles.until(Roles::follows).await;
        }
    }
}

/// The roles of this router, by group.
#[derive(Clone)]
struct Roles(watch::Receiver<Vec<RoleState>>);

impl Roles {
    /// Whether this router is active for anything.
    fn serves(&self) -> bool {
        self.0.borrow().iter().any(|state| state.role.forwards())
    }

    /// Whether it is standby for anything.
    fn follows(&self) -> bool {
        self.0.borrow().iter().any(|state| state.role == Role::Standby)
    }

    /// Whether anybody still tells them.
    fn are_told(&self) -> bool {
        self.0.has_changed().is_ok()
    }

    /// Waits until `holds`: for ever, where nobody tells the roles any more.
    async fn until(&mut self, holds: impl Fn(&Self) -> bool) {
        while !holds(self) {
            if self.0.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }
}

/// A number that nobody had before, and not 0.
fn random() -> Result<u64, getrandom::Error> {
    getrandom::u64().map(|random| random.max(1))
}

#[cfg(test)]
mod tests;
