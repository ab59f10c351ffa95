//! Moves datagrams and time between the network and the [`engine`](super::engine).

mod command;
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
    engine::{Engine, Maintenance, Positions, Settings},
    heartbeat::codec::{Codec, PeerKeys},
};
use crate::{
    api::types::{GroupStatus, PeerStatus},
    config::{self, HostAddress, Preference},
    datapath::Lease,
    deadline::now,
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
    /// The roles of this router, by group.
    pub roles: watch::Receiver<Vec<RoleState>>,
    /// Counts the times that the network must be told again whose the addresses are, although the role has not
    /// changed: after both routers were active.
    pub reannounce: watch::Receiver<u64>,
    /// What the operator holds this router in, by group.
    pub maintenance: watch::Receiver<Vec<Option<Maintenance>>>,
    /// The roles that the data plane has, told by whoever applies them: before it is closed for new connections, and after
    /// it is opened. The peer hears that this router is active only then.
    applied: watch::Sender<Vec<Role>>,
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
    /// That of each group. They know nothing of each other.
    engines: Vec<Engine>,
    ignored: IgnoredCounts,
    /// With the keys in force; `None` without a peer.
    codec: Option<Arc<Codec>>,
    /// What the peer said of its keys last.
    peer_keys: Option<PeerKeys>,
    /// When each witness was asked what it answered last.
    witnessed: BTreeMap<HostAddress, Instant>,
    /// How far the copy of connections is.
    positions: watch::Receiver<Positions>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A group that the heartbeat begins with.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its name; empty where there is but one.
    pub name: String,
    /// How much this router wants to be active for it.
    pub preference: Preference,
    /// The data plane was found active.
    pub resume: bool,
    /// What the operator holds this router in, as was remembered.
    pub maintenance: Option<Maintenance>,
}

impl Core {
    /// Whether the peer is heard.
    fn hears_peer(&self) -> bool {
        self.engines.iter().any(|engine| engine.peer().alive())
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
    /// Starts the heartbeat of each group; `lease`: those of the data plane; `positions`: how far the copy of connections is. Without a
    /// peer the router is active at once. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// When there is no random number to be had.
    pub fn start(
        self,
        name: String,
        config_hash: u64,
        groups: Vec<Group>,
        lease: Arc<dyn Lease>,
        positions: watch::Receiver<Positions>,
    ) -> Result<Handle, Error> {
        let Self { peer, mut sockets } = self;
        let mut engines = Vec::new();
        for Group { name: group, preference, resume, maintenance } in groups {
            let settings = match &peer {
                Some(peer) => {
                    Settings::new(name.clone(), peer, (group, preference), config_hash, incarnation()?)
                }
                None => Settings::alone(name.clone(), group),
            };
            let mut engine = Engine::new(settings, resume, now());
            engine.restore(maintenance);
            engines.push(engine);
        }
        let held: Vec<_> = engines.iter().map(|engine| engine.maintenance().cloned()).collect();
        let (maintenance_out, maintenance) = watch::channel(held);
        let (role_out, roles) = watch::channel(engines.iter().map(state_of).collect::<Vec<_>>());
        let (applied, applied_in) = watch::channel(vec![Role::Starting; engines.len()]);
        let (reannounce_out, reannounce) = watch::channel(0);
        let codec = peer.as_ref().map(|peer| Arc::new(Codec::new(&peer.keys)));
        // What came since the ports were taken cannot know this life of the router: discarded, or the log would call it a replay.
        for (socket, codec) in sockets.iter_mut().zip(&codec) {
            drop(socket.receive(codec));
        }
        let core = Mutex::new(Core {
            engines,
            ignored: IgnoredCounts::new(),
            codec,
            peer_keys: None,
            witnessed: BTreeMap::new(),
            positions,
        });
        let shared = Arc::new(Shared { core, changed: Notify::new(), ask: Notify::new() });
        let outputs = task::Outputs {
            roles: role_out,
            reannounce: reannounce_out,
            maintenance: maintenance_out,
            lease,
        };
        let task = tokio::spawn(task::run(Arc::clone(&shared), sockets, Gate::new(applied_in), outputs));
        let mut witnesses = Witnesses::default();
        if let Some(peer) = &peer {
            witnesses.follow(&shared, peer);
        }
        let (witnesses, fixed) = (Mutex::new(witnesses), peer.map(Fixed::from));
        Ok(Handle { roles, reannounce, maintenance, applied, shared, witnesses, fixed, task: Some(task) })
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

    /// Every group; none where there is but the one without a name.
    #[must_use]
    pub fn groups(&self) -> Vec<GroupStatus> {
        status::groups(&self.shared.lock(), now())
    }

    /// What is not as it should be between the two routers, one line each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let paths = self.fixed.as_ref().map_or(&[][..], |fixed| &fixed.paths);
        status::warnings(&self.shared.lock(), paths, now())
    }

    /// Whether heartbeats go on both ways with the keys of `peer` in place of those in force.
    ///
    /// # Errors
    ///
    /// Why the routers would no longer hear each other, in one line.
    pub fn accept_keys(&self, peer: &config::Peer) -> Result<(), String> {
        keys::judge(&self.shared.lock(), &peer.keys).map_err(str::to_owned)
    }

    /// Puts a new configuration in force, with these preferences by group; the groups stay.
    ///
    /// # Errors
    ///
    /// What needs a restart of the daemon. Everything else is in force all the same.
    pub fn update(
        &self,
        peer: Option<config::Peer>,
        preferences: &BTreeMap<String, Preference>,
        config_hash: u64,
    ) -> Result<(), NeedsRestart> {
        if let (Some(peer), Some(_)) = (&peer, &self.fixed) {
            let mut core = self.shared.lock();
            for engine in &mut core.engines {
                let old = engine.settings();
                let own = Preference { priority: old.priority, failback: old.failback };
                let group = (old.group.clone(), preferences.get(&old.group).copied().unwrap_or(own));
                let settings = Settings::new(old.name.clone(), peer, group, config_hash, old.incarnation);
                engine.reconfigure(settings, now());
            }
            core.codec = Some(Arc::new(Codec::new(&peer.keys)));
            drop(core);
            self.witnesses.lock().unwrap_or_else(PoisonError::into_inner).follow(&self.shared, peer);
        }
        self.shared.changed.notify_one();
        settings::compare(self.fixed.as_ref(), peer.map(Fixed::from).as_ref())
    }

    /// Ends the heartbeat. A router that is active says goodbye and goes on forwarding until the peer has taken over,
    /// for `dead_after` and four intervals at most; the roles are standby when this returns. For each group false where
    /// it forwarded and nobody has taken over: then the data plane should go on without it.
    pub async fn shutdown(&mut self) -> Vec<bool> {
        self.shared.lock().engines.iter_mut().for_each(|engine| engine.shutdown(now()));
        self.shared.changed.notify_one();
        if let Some(task) = self.task.take()
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the heartbeat task failed");
        }
        self.shared.lock().engines.iter().map(|engine| !engine.is_unrelieved()).collect()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
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
