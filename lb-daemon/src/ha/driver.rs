//! Moves datagrams and time between the network and the [`engine`](super::engine).

mod endpoint;
mod gate;
mod keys;
mod settings;
mod socket;
mod status;
mod task;
mod witnesses;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use tokio::{
    sync::{Notify, watch},
    task::JoinHandle,
};

pub use settings::NeedsRestart;

use self::{
    gate::Gate,
    settings::Fixed,
    socket::{IgnoredCounts, PathSocket},
    witnesses::Witnesses,
};
use super::{
    Role,
    engine::{Condition, Engine, Settings},
    heartbeat::codec::{Codec, PeerKeys},
};
use crate::{
    api::types::PeerStatus,
    config::{self, HostAddress},
    datapath::Lease,
};

/// Why the heartbeat cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program uses the port.
    #[error(
        "heartbeat port {port} on {local} is taken by another program: `ss -ulnp sport = :{port}` names it; end it, or set \
         another peer.port on both routers"
    )]
    PortTaken {
        /// The port.
        port: u16,
        /// The address.
        local: HostAddress,
    },
    /// No interface has the address.
    #[error(
        "heartbeat address {local} is on no interface of this router: add it, or correct peer.paths.local"
    )]
    NoSuchAddress {
        /// The address.
        local: HostAddress,
    },
    /// Another failure.
    #[error("cannot open heartbeat port {port} on {local}: {source}")]
    Socket {
        /// The address.
        local: HostAddress,
        /// The port.
        port: u16,
        /// What the system said.
        source: io::Error,
    },
    /// The system gave no random number.
    #[error("cannot get a random number for the heartbeat: {0}")]
    Random(#[from] getrandom::Error),
}

/// A role and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleState {
    /// The role.
    pub role: Role,
    /// One sentence.
    pub reason: String,
    /// Since when.
    pub since: Instant,
}

/// The running heartbeat. Dropping it ends the heartbeat without a goodbye: the peer takes over when it has been
/// silent for long enough.
#[derive(Debug)]
pub struct Handle {
    /// The role of this router.
    pub role: watch::Receiver<RoleState>,
    /// Counts the times that the network must be told again whose the addresses are, although the role has not
    /// changed: after both routers were active.
    pub reannounce: watch::Receiver<u64>,
    /// The role that the data plane has, told by whoever applies it: before it is closed for new connections, and after
    /// it is opened. The peer hears that this router is active only then.
    applied: watch::Sender<Role>,
    shared: Arc<Shared>,
    witnesses: Mutex<Witnesses>,
    fixed: Option<Fixed>,
    task: Option<JoinHandle<()>>,
}

/// What the task and the handle share.
#[derive(Debug)]
struct Shared {
    core: Mutex<Core>,
    /// Tells the task that a command has changed the engine.
    changed: Notify,
    /// Tells those who ask the witnesses that an answer is waited for.
    ask: Notify,
}

#[derive(Debug)]
struct Core {
    engine: Engine,
    ignored: IgnoredCounts,
    /// With the keys in force; `None` without a peer.
    codec: Option<Arc<Codec>>,
    /// What the peer said of its keys last.
    peer_keys: Option<PeerKeys>,
    /// When each witness was asked what it answered last.
    witnessed: BTreeMap<HostAddress, Instant>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The heartbeat with its ports taken, and not started yet.
#[derive(Debug)]
pub struct Bound {
    peer: Option<config::Peer>,
    sockets: Vec<PathSocket>,
}

/// Takes the heartbeat's port on every path to `peer`; none for a router that stands alone. Must be called within a
/// tokio runtime.
///
/// # Errors
///
/// Which port cannot be had, and why.
pub fn bind(peer: Option<config::Peer>) -> Result<Bound, Error> {
    let sockets = peer.as_ref().map(open).transpose()?.unwrap_or_default();
    Ok(Bound { peer, sockets })
}

impl Bound {
    /// Starts the heartbeat. `resume`: the data plane was found active; `lease`: its lease. Without a peer the router is active at once.
    /// Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When there is no random number to be had.
    pub fn start(
        self,
        name: String,
        config_hash: u64,
        resume: bool,
        lease: Arc<dyn Lease>,
    ) -> Result<Handle, Error> {
        let Self { peer, mut sockets } = self;
        let settings = match &peer {
            Some(peer) => Settings::new(name, peer, config_hash, incarnation()?),
            None => Settings::alone(name),
        };
        let engine = Engine::new(settings, resume, now());
        let (role_out, role) = watch::channel(state_of(&engine));
        let (reannounce_out, reannounce) = watch::channel(0);
        let codec = peer.as_ref().map(|peer| Arc::new(Codec::new(&peer.keys)));
        // What came since the ports were taken cannot know this life of the router: discarded, or the log would call it a replay.
        for (socket, codec) in sockets.iter_mut().zip(&codec) {
            drop(socket.receive(codec));
        }
        let core = Mutex::new(Core {
            engine,
            ignored: IgnoredCounts::new(),
            codec,
            peer_keys: None,
            witnessed: BTreeMap::new(),
        });
        let shared = Arc::new(Shared { core, changed: Notify::new(), ask: Notify::new() });
        let (applied, applied_in) = watch::channel(Role::Starting);
        let outputs = task::Outputs { role: role_out, reannounce: reannounce_out, lease };
        let task = tokio::spawn(task::run(Arc::clone(&shared), sockets, Gate::new(applied_in), outputs));
        let mut witnesses = Witnesses::default();
        if let Some(peer) = &peer {
            witnesses.follow(&shared, peer);
        }
        let (witnesses, fixed) = (Mutex::new(witnesses), peer.map(Fixed::from));
        Ok(Handle { role, reannounce, applied, shared, witnesses, fixed, task: Some(task) })
    }
}

impl Handle {
    /// What is known of the peer.
    #[must_use]
    pub fn status(&self) -> PeerStatus {
        let paths = self.fixed.as_ref().map_or(&[][..], |fixed| &fixed.paths);
        let witnesses = self.witnesses.lock().unwrap_or_else(PoisonError::into_inner);
        status::of(&self.shared.lock(), paths, witnesses.asked(), now())
    }

    /// What is not as it should be between the two routers, one line each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let paths = self.fixed.as_ref().map_or(&[][..], |fixed| &fixed.paths);
        status::warnings(&self.shared.lock(), paths, now())
    }

    /// Notes that the data plane has this role. The peer hears that this router is active when it is, so that one that
    /// yields does not close before; but it is not kept waiting for longer than one interval.
    pub fn applied(&self, role: Role) {
        self.applied.send_replace(role);
    }

    /// Takes in what speaks against this router from now on.
    pub fn set_condition(&self, condition: Condition) {
        self.shared.lock().engine.set_condition(condition, now());
        self.shared.changed.notify_one();
    }

    /// Why this router has its role, and what speaks against it: one sentence.
    #[must_use]
    pub fn explanation(&self) -> String {
        self.shared.lock().engine.explanation()
    }

    /// Notes whether this router has the connections of the active one: as long as it does not, it does not ask for its role.
    pub fn in_sync(&self, in_sync: bool) {
        self.shared.lock().engine.set_in_sync(in_sync);
    }

    /// Gives the role to the peer; what was begun, in one line.
    ///
    /// # Errors
    ///
    /// Why the role stays here, in one line.
    pub fn failover(&self) -> Result<String, String> {
        let result = self.shared.lock().engine.failover(now());
        self.shared.changed.notify_one();
        result.map_err(|refusal| refusal.to_string())
    }

    /// Whether heartbeats go on both ways with the keys of `peer` in place of those in force.
    ///
    /// # Errors
    ///
    /// Why the routers would no longer hear each other, in one line.
    pub fn accept_keys(&self, peer: &config::Peer) -> Result<(), String> {
        keys::judge(&self.shared.lock(), &peer.keys).map_err(str::to_owned)
    }

    /// Puts a new configuration in force.
    ///
    /// # Errors
    ///
    /// What needs a restart of the daemon. Everything else is in force all the same.
    pub fn update(&self, peer: Option<config::Peer>, config_hash: u64) -> Result<(), NeedsRestart> {
        if let (Some(peer), Some(_)) = (&peer, &self.fixed) {
            let mut core = self.shared.lock();
            let old = core.engine.settings();
            let settings = Settings::new(old.name.clone(), peer, config_hash, old.incarnation);
            core.engine.reconfigure(settings, now());
            core.codec = Some(Arc::new(Codec::new(&peer.keys)));
            drop(core);
            self.witnesses.lock().unwrap_or_else(PoisonError::into_inner).follow(&self.shared, peer);
        }
        self.shared.changed.notify_one();
        settings::compare(self.fixed.as_ref(), peer.map(Fixed::from).as_ref())
    }

    /// Ends the heartbeat. A router that is active says goodbye and goes on forwarding until the peer has taken over,
    /// for `dead_after` and four intervals at most; the role is standby when this returns. False where it
    /// forwarded and nobody has taken over: then the data plane should go on without it.
    pub async fn shutdown(&mut self) -> bool {
        self.shared.lock().engine.shutdown(now());
        self.shared.changed.notify_one();
        if let Some(task) = self.task.take()
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the heartbeat task failed");
        }
        !self.shared.lock().engine.is_unrelieved()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// The time, as the runtime sees it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// A number that no life of a router has had before.
fn incarnation() -> Result<u64, getrandom::Error> {
    // 0 means "nobody" in an echo.
    getrandom::u64().map(|random| random.max(1))
}

fn open(peer: &config::Peer) -> Result<Vec<PathSocket>, Error> {
    peer.paths.iter().map(|path| PathSocket::open(path, peer.port)).collect()
}

fn state_of(engine: &Engine) -> RoleState {
    RoleState { role: engine.role(), reason: engine.reason(), since: engine.since() }
}

#[cfg(test)]
mod tests;
