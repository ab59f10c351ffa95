//! The one task that owns the loop: inputs → plan → reconcile. Whatever happens, a changed role, a flipped check, a new
//! neighbour, a command or a reload, ends in [`Director::replan`].
//!
//! Here stands the loop; `role` applies roles, `upkeep` keeps the maps, `reload` the configuration, `answers` the API.

mod answers;
pub mod command;
mod conflicts;
pub mod maintenance;
pub mod rates;
pub mod reload;
mod role;
pub mod roles;
pub mod servers;
pub mod status;
mod surveyor;
mod told;
mod trouble;
mod upkeep;
mod virtual_macs;
pub mod watchdog;

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    path::PathBuf,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};
use tracing::info;

use self::{
    command::Command,
    rates::Estimator,
    reload::{checks, targets},
    surveyor::Surveyor,
    trouble::Trouble,
    watchdog::Watchdog,
};
use crate::{
    address::Addresses,
    announce::Announcer,
    config::{Config, Limits},
    conflict::{self, Conflict},
    connections::Counts,
    datapath::Datapath,
    ha::{
        Role,
        driver::{Handle as Pair, RoleState},
        engine::Maintenance,
    },
    health::{Checkers, Report},
    notify::Notifier,
    plan::{Override, RealId},
    sync::{driver::Handle as Sync, segments::Segments},
    tables::Tables,
    topology::{Link, Topology},
    track::{self, Tracks, Watchers},
    virtual_mac::VirtualMacs,
};

/// Time between two looks at the flow table and the counters, and between two attempts at what has failed.
const TICK: Duration = Duration::from_secs(1);

/// Everything the director is started with.
pub struct Parts {
    /// File that a reload reads.
    pub config_path: PathBuf,
    /// Configuration in force.
    pub config: Config,
    /// Data plane.
    pub datapath: Box<dyn Datapath>,
    /// Sizes that it has.
    pub limits: Limits,
    /// Pair.
    pub pair: Pair,
    /// The copy of connections.
    pub sync: Sync,
    /// Where it learns which segments the virtual addresses stand on.
    pub segments: watch::Sender<Segments>,
    /// Health checks and what they report.
    pub checkers: Checkers,
    /// Reports of the health checks.
    pub reports: mpsc::Receiver<Report>,
    /// What is tracked about this router, and what is reported of it.
    pub watchers: Watchers,
    /// Reports of the tracks.
    pub findings: mpsc::Receiver<track::Report>,
    /// Commands of the operator's.
    pub notifier: Notifier,
    /// Gratuitous ARP.
    pub announcer: Announcer,
    /// Sets the floating addresses.
    pub addresses: Addresses,
    /// Sets their virtual MAC addresses.
    pub virtual_macs: VirtualMacs,
    /// Notices who else claims them.
    pub conflicts: conflict::Watch,
    /// Where the targets whose next hops are wanted go.
    pub targets: watch::Sender<BTreeSet<Ipv4Addr>>,
    /// The network.
    pub topology: watch::Receiver<Topology>,
    /// Requests.
    pub commands: mpsc::Receiver<Command>,
    /// Fed by the loop.
    pub watchdog: Watchdog,
}

/// See the module.
pub struct Director {
    parts: Parts,
    /// Roles that addresses, announcer and data plane were last set for, by group.
    applied: Vec<Role>,
    /// The same, with their reasons.
    taken: Vec<RoleState>,
    /// What the operator holds this router in, by group, as is remembered.
    held: Vec<Option<Maintenance>>,
    /// What stands in the maps: nobody else writes them.
    tables: Tables,
    health: BTreeMap<RealId, bool>,
    tracks: Tracks,
    /// Whether this router has a fault, as was told last.
    has_fault: bool,
    overrides: BTreeMap<RealId, Override>,
    connections: BTreeMap<RealId, Counts>,
    surveyor: Surveyor,
    estimator: Estimator,
    sampled: Instant,
    links: BTreeMap<String, Link>,
    /// Indices of the interfaces that the program is attached to.
    attached: BTreeMap<String, u32>,
    trouble: Trouble,
    /// Groups whose virtual MAC address is still received although they were given up, and until when.
    lingering: BTreeMap<usize, Instant>,
    /// Conflicts over addresses that stand, and since when.
    conflicts: BTreeMap<Conflict, Instant>,
}

/// What makes [`Director::run`] end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A signal asks for a planned stop.
    Planned,
    /// Something that the router cannot be without has ended, one line. What is attached goes on forwarding; a daemon
    /// started anew mends it.
    Failed(String),
}

impl Director {
    /// A director that has not looked at anything yet.
    pub fn new(parts: Parts) -> Self {
        let links = parts.topology.borrow().links.clone();
        let attached = parts.config.router.interfaces.iter();
        let attached = attached.filter_map(|name| Some((name.clone(), links.get(name)?.index))).collect();
        Self {
            applied: vec![Role::Starting; parts.config.group_names().len()],
            taken: Vec::new(),
            held: parts.pair.held(),
            tables: Tables::default(),
            health: BTreeMap::new(),
            tracks: Tracks::default(),
            has_fault: false,
            overrides: BTreeMap::new(),
            connections: BTreeMap::new(),
            surveyor: Surveyor::default(),
            estimator: Estimator::default(),
            sampled: Instant::now(),
            links,
            attached,
            trouble: Trouble::default(),
            lingering: BTreeMap::new(),
            conflicts: BTreeMap::new(),
            parts,
        }
    }

    /// Sets everything up for the first time: checks, targets, tables, and the role that is decided already.
    ///
    /// # Errors
    /// When the data plane does not take the configuration, one line. It is as it was then, or part of the way.
    pub async fn start(&mut self) -> Result<(), String> {
        self.apply_config();
        self.try_replan()?;
        self.place_addresses().await;
        let states = self.parts.pair.roles.borrow_and_update().clone();
        self.take_roles(&states).await;
        Ok(())
    }

    /// Runs until `stop` resolves or something essential fails; `reload` fires for each SIGHUP.
    pub async fn run(&mut self, mut reload: mpsc::Receiver<()>, stop: impl Future<Output = Stop>) -> Stop {
        tokio::pin!(stop);
        let mut roles = self.parts.pair.roles.clone();
        let mut reannounce = self.parts.pair.reannounce.clone();
        let mut maintenance = self.parts.pair.maintenance.clone();
        let mut in_sync = self.parts.sync.in_sync.clone();
        in_sync.mark_changed();
        let mut turns = self.parts.checkers.turns();
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.parts.watchdog.feed();
            tokio::select! {
                // A role change comes before everything else: seconds of takeover are counted here. Commands come
                // last: whoever asks all the time must not keep connections from expiring.
                biased;
                stop = &mut stop => return stop,
                changed = roles.changed() => {
                    if changed.is_err() {
                        return Stop::Failed("the heartbeat has ended".to_owned());
                    }
                    let states = roles.borrow_and_update().clone();
                    self.take_roles(&states).await;
                }
                Ok(()) = in_sync.changed() => {
                    in_sync.mark_unchanged();
                    self.tell_readiness();
                }
                // Before what is found of a track: with the end of a fault the role may be asked for at once.
                Ok(()) = turns.changed() => self.tell_readiness(),
                Ok(()) = maintenance.changed() => self.remember_maintenance(),
                Ok(()) = reannounce.changed() => self.announce(),
                changed = self.parts.topology.changed() => {
                    if changed.is_err() {
                        return Stop::Failed("the network is no longer watched".to_owned());
                    }
                    if let Some(failure) = self.network_changed() {
                        return failure;
                    }
                }
                Some(report) = self.parts.conflicts.reports.recv() => self.conflict(report),
                Some(report) = self.parts.findings.recv() => self.found(&report),
                Some(report) = self.parts.reports.recv() => self.report(report),
                counts = self.surveyor.finished() => self.surveyed(counts),
                _ = tick.tick() => {
                    self.sample();
                    self.heal().await;
                    // A whole period for the others, however long that took.
                    tick.reset();
                }
                Some(()) = reload.recv() => {
                    // What was refused is in the log already.
                    let _ = self.reload().await;
                }
                Some(command) = self.parts.commands.recv() => self.command(command).await,
            }
        }
    }

    /// Follows the network; what it says when an interface was made anew, and the program is not on it.
    fn network_changed(&mut self) -> Option<Stop> {
        let links = self.parts.topology.borrow_and_update().links.clone();
        let anew =
            |(name, index): &(&String, &u32)| links.get(*name).is_some_and(|link| link.index != **index);
        if let Some((name, _)) = self.attached.iter().find(anew) {
            return Some(Stop::Failed(format!(
                "interface {name} was made anew, and the XDP program is not attached to it"
            )));
        }
        self.replan();
        self.tell_segments();
        self.watch_for_conflicts();
        // What was announced while a link was down was lost, and a new MAC address is known to nobody.
        if links != self.links {
            self.links = links;
            self.announce();
        }
        None
    }

    fn report(&mut self, report: Report) {
        let Report { real, healthy, detail } = report;
        if !checks(&self.parts.config, &self.overrides).contains_key(&real) {
            // On its way while the server was removed or disabled.
            return;
        }
        let words = if healthy { "up" } else { "down" };
        info!("real server {}:{} is {words}: {detail}", real.address, real.port);
        self.health.insert(real, healthy);
        self.replan();
    }

    /// Tells the pair whether this router could be active for each group as well as its peer is: it has the peer's connections, and no
    /// real server of the group is on its way back, as all are after a start or when a cable has been plugged in again. New connections would
    /// be refused for want of a server that the peer has.
    fn tell_readiness(&self) {
        let in_sync = *self.parts.sync.in_sync.borrow();
        let settling = self.parts.checkers.settling();
        let settles =
            |group| settling.iter().any(|real| self.parts.config.group_of_service(&real.service) == group);
        self.parts.pair.set_ready(|group| in_sync && !settles(group));
    }

    /// Takes in what was found of a track, and tells the pair what it means for this router.
    fn found(&mut self, report: &track::Report) {
        let tracks = &self.parts.config.tracks;
        if !self.tracks.take(tracks, report) {
            return;
        }
        let words = if report.ok { "is well" } else { "fails" };
        info!("track {} {words}: {}", report.track, report.detail);
        self.apply_condition();
    }

    /// Hands the configuration in force to those who follow it.
    fn apply_config(&mut self) {
        self.apply_checks();
        let tracks = &self.parts.config.tracks;
        self.tracks.retain(tracks);
        self.parts.watchers.set(tracks);
        self.apply_condition();
        self.tell_segments();
        self.watch_for_conflicts();
        self.parts.targets.send_if_modified(|current| {
            let wanted = targets(&self.parts.config);
            let changed = *current != wanted;
            *current = wanted;
            changed
        });
    }

    fn apply_condition(&mut self) {
        let tracks = &self.parts.config.tracks;
        self.parts.pair.set_conditions(|group| self.tracks.condition_for(tracks, group));
        self.tell_fault();
    }

    fn tell_segments(&self) {
        let wanted = Segments::new(&self.parts.config, &self.parts.topology.borrow().links, &self.applied);
        self.parts.segments.send_if_modified(|current| {
            let changed = *current != wanted;
            *current = wanted;
            changed
        });
    }

    fn apply_checks(&mut self) {
        let wanted = checks(&self.parts.config, &self.overrides);
        self.health.retain(|id, _| wanted.contains_key(id));
        self.parts.checkers.set(wanted);
        self.tell_readiness();
    }
}

/// A configuration for tests: one router, no services.
#[cfg(test)]
pub(crate) fn test_config() -> Config {
    use crate::config;
    Config {
        router: config::Router {
            name: "lvs1".to_owned(),
            interfaces: ["eth0".to_owned()].into(),
            nat_router: None,
            virtual_mac: None,
        },
        peer: None,
        tracks: Vec::new(),
        notify: config::Notify::default(),
        announce: config::Announce::default(),
        groups: Vec::new(),
        vips: Vec::new(),
        services: Vec::new(),
        limits: Limits::default(),
        daemon: config::Daemon {
            pin_dir: "/sys/fs/bpf/lbd".into(),
            socket: "/run/lbd/lbd.sock".into(),
            bpf_log: config::BpfLog::Off,
        },
    }
}

#[cfg(test)]
mod tests;
