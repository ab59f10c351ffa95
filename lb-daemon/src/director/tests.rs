//! A whole director over a data plane in memory. Its router stands alone, its network is told by hand, and so is the
//! health of its real servers; what its own checks find, at closed ports of the loopback, nobody hears.

mod commands;
mod counters;
mod faults;
mod health;
mod readiness;
mod reload;
mod roles;
mod tracks;

use std::{net::Ipv4Addr, path::Path, time::Duration};

use lb_common::{
    ConnState, IPPROTO_TCP, Method, Scheduler, ServiceKey,
    flow_table::{Bucket as _, Client, Key, Meta, Phase},
};
use tempfile::TempDir;
use tokio::{sync::oneshot, task::JoinHandle};

use super::*;
use crate::{
    address::Addresses,
    announce,
    api::{server::Backend as _, types::Status},
    config::{Check, Preference, Probe, Real, Service, Vip},
    connections,
    datapath::{FlowTable as _, memory::MemoryDatapath},
    director::command::DirectorHandle,
    ha, sync,
    topology::NextHop,
};

/// Far more than any step takes: a test that waits this long has failed.
const LONG: Duration = Duration::from_secs(60);

/// The virtual service.
const WEB: ServiceKey = ServiceKey::new(IPPROTO_TCP, [192, 0, 2, 10], 80);

/// A director that runs, and all that it holds on to.
struct Rig {
    datapath: MemoryDatapath,
    handle: DirectorHandle,
    reports: mpsc::Sender<Report>,
    topology: watch::Sender<Topology>,
    targets: watch::Receiver<BTreeSet<Ipv4Addr>>,
    _folder: TempDir,
    stop: oneshot::Sender<Stop>,
    director: JoinHandle<(Director, Stop)>,
    _hangups: mpsc::Sender<()>,
}

/// A director that does not run, with the ends of its channels.
pub(super) struct Idle {
    pub(super) director: Director,
    datapath: MemoryDatapath,
    handle: DirectorHandle,
    reports: mpsc::Sender<Report>,
    pub(super) topology: watch::Sender<Topology>,
    targets: watch::Receiver<BTreeSet<Ipv4Addr>>,
    folder: TempDir,
}

impl Idle {
    pub(super) fn new(config: Config, datapath: &MemoryDatapath, file: &Path) -> Self {
        // Beside a real lbd of this host these tests must not know which addresses are its own.
        let folder = tempfile::tempdir().unwrap();
        let (reports, heard) = mpsc::channel(64);
        let (unheard, _) = mpsc::channel(1);
        let (findings, found) = mpsc::channel(64);
        let (wanted, targets) = watch::channel(targets(&config));
        let (topology, seen) = watch::channel(network(&config));
        let (handle, commands) = DirectorHandle::channel();
        let group = ha::driver::Group {
            name: String::new(),
            preference: Preference::ALONE,
            resume: false,
            maintenance: None,
        };
        let (reached, positions) = watch::channel(ha::engine::Positions::default());
        let alone = ha::driver::bind(None).unwrap();
        let pair = alone.start("lvs1".to_owned(), 0, vec![group], datapath.lease(), positions).unwrap();
        let segments = watch::Sender::default();
        let sync = sync::driver::bind(None)
            .unwrap()
            .start(
                datapath.flow_table(),
                datapath.schedules(),
                pair.roles.clone(),
                segments.subscribe(),
                reached,
            )
            .unwrap();

        let conflicts = conflict::start(config.group_names().len());
        let director = Director::new(Parts {
            config_path: file.to_owned(),
            limits: config.limits,
            config,
            datapath: Box::new(datapath.clone()),
            sync,
            segments,
            pair,
            checkers: Checkers::new(unheard),
            reports: heard,
            watchers: Watchers::new(findings, seen.clone()),
            findings: found,
            notifier: Notifier::start(),
            announcer: announce::start(None),
            conflicts,
            addresses: Addresses::new(&folder.path().join("lbd.sock"), "5.15.0"),
            virtual_macs: VirtualMacs::new(&folder.path().join("lbd.sock")),
            targets: wanted,
            topology: seen,
            commands,
            watchdog: Watchdog::default(),
        });
        Self { director, datapath: datapath.clone(), handle, reports, topology, targets, folder }
    }

    /// Starts the director.
    async fn run(self) -> Rig {
        let Self { mut director, datapath, handle, reports, topology, targets, folder } = self;
        director.start().await.unwrap();
        let (stop, stopped) = oneshot::channel();
        let (hangups, reload) = mpsc::channel(1);
        let director = tokio::spawn(async move {
            let stop = director.run(reload, async { stopped.await.unwrap_or(Stop::Planned) }).await;
            (director, stop)
        });
        Rig {
            datapath,
            handle,
            reports,
            topology,
            targets,
            _folder: folder,
            stop,
            director,
            _hangups: hangups,
        }
    }
}

impl Rig {
    /// A router with this configuration over an empty data plane.
    async fn start(config: Config) -> Self {
        Self::restart(config, MemoryDatapath::default(), Path::new("/nonexistent")).await
    }

    /// The same over a data plane that holds what it holds, with a file to reload.
    async fn restart(config: Config, datapath: MemoryDatapath, file: &Path) -> Self {
        Idle::new(config, &datapath, file).run().await
    }

    /// What the API shows. Commands come last, so that everything sent before has been heard.
    async fn status(&self) -> Status {
        self.handle.status().await.unwrap()
    }

    /// States of the real servers of the first service.
    async fn states(&self) -> Vec<String> {
        self.status().await.services[0].reals.iter().map(|real| real.state.clone()).collect()
    }

    /// Tells the director how a server's health is.
    async fn report(&self, server: u8, healthy: bool) {
        let report = Report { real: id(server), healthy, detail: "told by the test".to_owned() };
        self.reports.send(report).await.unwrap();
    }

    /// Waits for a status that is as wanted.
    async fn until(&self, wanted: impl Fn(&Status) -> bool) -> Status {
        let found = async {
            loop {
                let status = self.status().await;
                if wanted(&status) {
                    return status;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(LONG, found).await.expect("the status becomes as wanted")
    }

    /// Last numbers of the addresses in the ring, in its order.
    fn ring(&self) -> Vec<u8> {
        let state = self.datapath.state();
        let ring = state.tables.services.get(&WEB).map_or(&[][..], |service| &service.ring);
        ring.iter().map(|slot| state.tables.reals[&u32::from(*slot)].address[3]).collect()
    }

    /// Last numbers of the addresses that take connections.
    fn takers(&self) -> BTreeSet<u8> {
        self.ring().into_iter().collect()
    }

    /// Ends the loop as a signal does.
    async fn stop(self) -> Director {
        self.stop.send(Stop::Planned).unwrap();
        let (director, stop) = self.director.await.unwrap();
        assert_eq!(stop, Stop::Planned);
        director
    }

    /// The reason for which the loop ends by itself.
    async fn failure(self) -> String {
        let ended = tokio::time::timeout(LONG, self.director).await.expect("the loop ends").unwrap();
        let Stop::Failed(message) = ended.1 else { panic!("the loop was asked to end") };
        message
    }
}

/// A router with `web` over servers 11 and 12 of weight 1, checked.
fn checked() -> Config {
    let mut config = unchecked();
    let (interval, timeout) = (Duration::from_secs(3600), Duration::from_secs(1));
    config.services[0].check =
        Some(Check { probe: Probe::Connect, port: None, interval, timeout, rise: 1, fall: 1 });
    config
}

/// The same without a check.
fn unchecked() -> Config {
    let mut config = test_config();
    config.router.interfaces = ["lo".to_owned()].into();
    let reals = [11, 12].map(server).into();
    config.services = vec![Service {
        name: "web".to_owned(),
        key: WEB,
        scheduler: Scheduler::RoundRobin,
        check: None,
        reals,
    }];
    config
}

/// Real server number `last`, where nobody listens.
fn server(last: u8) -> Real {
    let address = Ipv4Addr::new(127, 0, 0, last);
    Real { name: format!("rs{last}"), address, port: 1, weight: 1, method: Method::Nat }
}

fn id(last: u8) -> RealId {
    RealId { service: WEB, address: Ipv4Addr::new(127, 0, 0, last), port: 1 }
}

/// A network with a way to every target.
fn network(config: &Config) -> Topology {
    let hop = |to: Ipv4Addr| NextHop { ifindex: 1, mac: [2, 0, 0, 0, 0, to.octets()[3]], source_mac: [2; 6] };
    Topology {
        links: [("lo".to_owned(), Link { index: 1, mac: [0; 6], up: true })].into(),
        next_hops: targets(config).into_iter().map(|to| (to, hop(to))).collect(),
        locals: BTreeSet::new(),
        addresses: BTreeSet::new(),
    }
}

/// Lets a client have an established connection with the owner of `slot`.
fn connect(datapath: &MemoryDatapath, slot: u32) {
    let (generation, now) = {
        let state = datapath.state();
        (state.tables.reals[&slot].generation, state.clock.now)
    };
    let client = Client::new([198, 51, 100, 7], 40_000);
    let meta = Meta::new(IPPROTO_TCP, ConnState::Established, now, generation, 0).in_phase(Phase::Live);
    let bucket = &datapath.buckets()[0];
    bucket.store_key(0, Key::new(client, u16::try_from(slot).unwrap()));
    assert!(bucket.exchange(0, Meta::FREE, meta));
}
