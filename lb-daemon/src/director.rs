//! The one task that owns the loop: inputs → plan → reconcile. Whatever happens, a changed role, a flipped check, a new
//! neighbour, a command or a reload, ends in [`Director::replan`].

mod answers;
pub mod command;
pub mod rates;
pub mod reload;
pub mod servers;
pub mod status;
mod surveyor;

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    path::PathBuf,
    time::{Duration, Instant},
};

use lb_common::{RealCounters, RouterRole};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};

use crate::{
    address,
    announce::Announcer,
    config::{self, Config, Host, Limits, Vip},
    connections::Counts,
    datapath::{self, Datapath},
    director::{
        command::Command,
        rates::Estimator,
        reload::{checks, floating, needs_restart, targets},
        surveyor::Surveyor,
    },
    ha::{Role, driver::Handle as Pair},
    health::{Checkers, Report},
    netlink,
    plan::{Inputs, Override, RealId, plan},
    reconcile::reconcile,
    tables::Tables,
    topology::{Link, Topology},
};

/// Time between two looks at the flow table and the counters.
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
    /// Health checks and what they report.
    pub checkers: Checkers,
    /// Reports of the health checks.
    pub reports: mpsc::Receiver<Report>,
    /// Gratuitous ARP.
    pub announcer: Announcer,
    /// Where the targets whose next hops are wanted go.
    pub targets: watch::Sender<std::collections::BTreeSet<Ipv4Addr>>,
    /// The network.
    pub topology: watch::Receiver<Topology>,
    /// Requests.
    pub commands: mpsc::Receiver<Command>,
}

/// See the module.
pub struct Director {
    parts: Parts,
    /// Role that the addresses and the announcer were last set for.
    applied: Role,
    /// What stands in the maps, since the last plan: nobody else writes them.
    tables: Tables,
    health: BTreeMap<RealId, bool>,
    overrides: BTreeMap<RealId, Override>,
    connections: BTreeMap<RealId, Counts>,
    surveyor: Surveyor,
    estimator: Estimator,
    sampled: Instant,
    links: BTreeMap<String, Link>,
    trouble: BTreeMap<&'static str, String>,
}

/// What makes [`Director::run`] end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A signal asks for a planned stop.
    Planned,
}

impl Director {
    /// A director that has not looked at anything yet.
    pub fn new(parts: Parts) -> Self {
        let links = parts.topology.borrow().links.clone();
        Self {
            applied: Role::Starting,
            tables: Tables::default(),
            health: BTreeMap::new(),
            overrides: BTreeMap::new(),
            connections: BTreeMap::new(),
            surveyor: Surveyor::default(),
            estimator: Estimator::default(),
            sampled: Instant::now(),
            links,
            trouble: BTreeMap::new(),
            parts,
        }
    }

    /// Sets everything up for the first time: checks, targets, tables.
    pub fn start(&mut self) {
        self.apply_config();
        self.replan();
    }

    /// Runs until `stop` resolves; `reload` fires for each SIGHUP.
    pub async fn run(&mut self, mut reload: mpsc::Receiver<()>, stop: impl Future<Output = Stop>) -> Stop {
        tokio::pin!(stop);
        let mut role = self.parts.pair.role.clone();
        let mut reannounce = self.parts.pair.reannounce.clone();
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        role.mark_changed();
        loop {
            tokio::select! {
                // A role change comes before everything else: seconds of takeover are counted here.
                biased;
                stop = &mut stop => return stop,
                Ok(()) = role.changed() => {
                    let next = role.borrow_and_update().role;
                    self.take_role(next).await;
                }
                Ok(()) = reannounce.changed() => self.announce(),
                Ok(()) = self.parts.topology.changed() => self.network_changed(),
                Some(report) = self.parts.reports.recv() => self.report(report),
                Some(command) = self.parts.commands.recv() => self.command(command).await,
                Some(()) = reload.recv() => {
                    // What was refused is in the log already.
                    let _ = self.reload().await;
                }
                counts = self.surveyor.finished() => self.surveyed(counts),
                _ = tick.tick() => self.sample(),
            }
        }
    }

    /// A planned stop. With a peer: gives the role away, then the addresses. Without one everything stays as it is, so
    /// that a restart costs nothing.
    pub async fn shutdown(mut self) {
        if self.parts.config.peer.is_none() {
            info!("stopping; the data plane stays and keeps forwarding (`lbd teardown` removes it)");
            return;
        }
        info!("stopping: giving the role to the peer");
        self.parts.pair.shutdown().await;
        self.take_role(Role::Standby).await;
    }

    /// Makes data plane, addresses and announcements those of `next`.
    async fn take_role(&mut self, next: Role) {
        if next == self.applied {
            return;
        }
        let state = self.parts.pair.role.borrow().clone();
        info!("role {} → {}: {}", self.applied.name(), next.name(), state.reason);
        self.applied = next;
        match next {
            // What a predecessor left stays until the pair has decided.
            Role::Starting => {}
            Role::Active => {
                self.replan();
                self.parts.pair.applied.send_replace(next);
                self.place_addresses(true).await;
                self.announce();
            }
            Role::Leaving => self.parts.announcer.standby(),
            Role::Standby => {
                self.parts.pair.applied.send_replace(next);
                self.parts.announcer.standby();
                self.place_addresses(false).await;
                self.replan();
            }
        }
    }

    async fn place_addresses(&mut self, wanted: bool) {
        let floating: Vec<Vip> = floating(&self.parts.config).into_iter().collect();
        let result = address::reconcile(&floating, wanted).await;
        match &result {
            Ok(changes) => changes.iter().for_each(|change| info!("{change}")),
            Err(message) => error!("addresses: {message}"),
        }
        self.note("addresses", result.err().map(|error| error.to_string()));
    }

    fn announce(&mut self) {
        if self.applied != Role::Active {
            return;
        }
        let topology = self.parts.topology.borrow();
        let addresses = floating(&self.parts.config)
            .into_iter()
            .filter_map(|vip| {
                let link = topology.links.get(&vip.interface)?;
                Some((vip.clone(), link.index, link.mac))
            })
            .collect();
        self.parts.announcer.active(addresses);
    }

    fn network_changed(&mut self) {
        let links = self.parts.topology.borrow_and_update().links.clone();
        self.replan();
        // What was announced while a link was down was lost, and a new MAC address is known to nobody.
        if links != self.links {
            self.links = links;
            self.announce();
        }
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

    /// Brings the data plane to what everything known asks for.
    fn replan(&mut self) {
        let result = self.try_replan();
        if let Err(message) = &result {
            error!("data plane: {message}");
        }
        self.note("data plane", result.err());
    }

    fn try_replan(&mut self) -> Result<(), String> {
        let datapath = self.parts.datapath.as_mut();
        let installed = datapath.installed().map_err(|error| error.to_string())?;
        let mut positions = BTreeMap::new();
        for key in installed.services.keys() {
            if let Some(position) = datapath.position(key).map_err(|error| error.to_string())? {
                positions.insert(*key, position);
            }
        }
        let role = match self.applied {
            Role::Starting => installed.role,
            Role::Active | Role::Leaving => RouterRole::Active,
            Role::Standby => RouterRole::Standby,
        };
        let tables = plan(&Inputs {
            config: &self.parts.config,
            limits: self.parts.limits,
            role,
            health: &self.health,
            overrides: &self.overrides,
            topology: &self.parts.topology.borrow(),
            installed: &installed,
            positions: &positions,
        })
        .map_err(|error| error.to_string())?;
        reconcile(datapath, &tables).map_err(|error| error.to_string())?;
        self.tables = tables;
        Ok(())
    }

    /// Looks at the counters, for the rates, and has somebody look at the flow table.
    fn sample(&mut self) {
        self.surveyor.start(self.parts.datapath.flow_table());
        let result = self.try_sample();
        if let Err(message) = &result {
            warn!("counters: {message}");
        }
        self.note("counters", result.err().map(|error| error.to_string()));
    }

    fn try_sample(&mut self) -> Result<(), datapath::Error> {
        self.estimator.sample(&self.counters()?, self.sampled.elapsed());
        self.sampled = Instant::now();
        Ok(())
    }

    fn surveyed(&mut self, result: Result<BTreeMap<u32, Counts>, datapath::Error>) {
        let trouble = result.map(|counts| {
            let slots = self.tables.slots();
            self.connections =
                counts.into_iter().filter_map(|(index, one)| Some((*slots.get(&index)?, one))).collect();
        });
        if let Err(message) = &trouble {
            warn!("flow table: {message}");
        }
        self.note("flow table", trouble.err().map(|error| error.to_string()));
    }

    /// The counters of every real server, now.
    fn counters(&self) -> Result<BTreeMap<RealId, RealCounters>, datapath::Error> {
        let slots = self.tables.slots();
        let indices: Vec<u32> = slots.keys().copied().collect();
        let counters = self.parts.datapath.real_counters(&indices)?;
        Ok(counters.into_iter().filter_map(|(index, one)| Some((*slots.get(&index)?, one))).collect())
    }

    /// Reads the configuration file again. On an error nothing has changed; each of its lines is in the log, whoever
    /// asked.
    async fn reload(&mut self) -> Result<String, String> {
        let result = self.try_reload().await;
        if let Err(message) = &result {
            message.lines().for_each(|line| error!("{line}"));
            error!("not reloaded: the configuration in force stays");
        }
        result
    }

    async fn try_reload(&mut self) -> Result<String, String> {
        let interfaces = netlink::interfaces().await.map_err(|error| error.to_string())?;
        let host = Host { interfaces: Some(interfaces) };
        let new = config::load(&self.parts.config_path, &host).map_err(|errors| errors.to_string())?;
        let fixed = needs_restart(&self.parts.config, &new);
        if !fixed.is_empty() {
            let file = self.parts.config_path.display();
            return Err(format!("{file}: {} changed, which needs a restart of lbd", fixed.join(", ")));
        }
        let removed: Vec<Vip> = floating(&self.parts.config).difference(&floating(&new)).cloned().collect();
        // Checked above: nothing in it needs a restart.
        let _ = self.parts.pair.update(new.peer.clone(), new.hash());
        self.parts.config = new;
        servers::retain_configured(&self.parts.config, &mut self.overrides);
        self.apply_config();
        self.replan();
        if let Err(message) = address::reconcile(&removed, false).await {
            warn!("addresses: {message}");
        }
        if self.applied.forwards() {
            self.place_addresses(true).await;
            self.announce();
        }
        let services = self.parts.config.services.len();
        info!("configuration reloaded: {services} services");
        Ok(format!("configuration reloaded: {services} services"))
    }

    fn apply_config(&mut self) {
        let wanted = checks(&self.parts.config, &self.overrides);
        self.health.retain(|id, _| wanted.contains_key(id));
        self.parts.checkers.set(wanted);
        self.parts.targets.send_if_modified(|current| {
            let wanted = targets(&self.parts.config);
            let changed = *current != wanted;
            *current = wanted;
            changed
        });
    }

    fn note(&mut self, subject: &'static str, message: Option<String>) {
        match message {
            Some(message) => {
                self.trouble.insert(subject, format!("{subject}: {message}"));
            }
            None => {
                self.trouble.remove(subject);
            }
        }
    }
}

/// A configuration for tests: one router, no services.
#[cfg(test)]
pub(crate) fn test_config() -> Config {
    Config {
        router: config::Router {
            name: "lvs1".to_owned(),
            interfaces: ["eth0".to_owned()].into(),
            nat_router: None,
        },
        peer: None,
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
