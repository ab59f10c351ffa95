//! Start and stop of `lbd`: everything is made here, in the order in which one part needs another.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use futures_util::{FutureExt as _, future::BoxFuture};
use nix::sys::utsname::uname;
use tokio::{
    net::UnixListener,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, watch},
};
use tracing::{info, warn};

use crate::{
    address::{Addresses, Wanted},
    announce,
    api::server,
    config::{self, Config, Host, Preference},
    conflict,
    datapath::{
        Datapath as _, Lease,
        kernel::{self, KernelDatapath},
        pins,
    },
    director::{
        Director, Parts, Stop, command::DirectorHandle, maintenance, reload::targets, roles,
        watchdog::Watchdog,
    },
    ha, health, netlink,
    notify::Notifier,
    sync::{self, segments::Segments},
    tables::Tables,
    track,
    virtual_mac::VirtualMacs,
};

/// Exit code for a configuration that is not valid.
pub const EXIT_CONFIG: u8 = 2;

/// Time that a planned stop may take. The service manager kills after ten seconds (`TimeoutStopSec` in
/// dist/lbd.service), which would leave the same, but look like a fault.
const STOP_WITHIN: Duration = Duration::from_secs(8);

/// Longer than any machine runs.
const FOR_GOOD: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Runs the daemon until a signal stops it.
///
/// # Errors
/// When something that it needs is not there; the message is one line for the operator.
pub async fn run(config_path: &Path) -> Result<ExitCode> {
    kernel::require_privileges()?;
    // From now on a signal waits for its turn. A reload during the start would otherwise end the daemon.
    let signals = Signals { hangups: hangups()?, stop: stop()?.boxed() };
    let interfaces = netlink::interfaces().await.context("cannot list the interfaces")?;
    let host = Host { interfaces: Some(interfaces) };
    let config = match config::load(config_path, &host) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    // First of all the socket: it is what keeps a second lbd away from the data plane of the first.
    let listener = server::bind(&config.daemon.socket)?;
    operate(config_path, config, listener, signals).await?;
    Ok(ExitCode::SUCCESS)
}

/// Tells how large the flow table is.
fn tell_size(datapath: &KernelDatapath) {
    let bytes = size_of_val(datapath.flow_table().buckets());
    info!(
        "the flow table has room for {} connections in {:.1} MiB",
        datapath.limits().flows,
        mebibytes(bytes)
    );
}

/// For people: a table is far smaller than what a fraction of 52 bits leaves exact.
fn mebibytes(bytes: usize) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// Runs on `listener` until a signal stops it. What can be refused without a change to the network is tried first.
async fn operate(config_path: &Path, config: Config, listener: UnixListener, signals: Signals) -> Result<()> {
    let socket_file = SocketFile(config.daemon.socket.clone());
    let heartbeat = ha::driver::bind(config.peer.clone())?;
    let copy = sync::driver::bind(config.peer.as_ref())?;
    let (targets, wanted) = watch::channel(targets(&config));
    let watcher = netlink::watch(wanted).await.context("cannot watch the network")?;
    let topology = watcher.topology.clone();
    let links = topology.borrow().links.clone();
    let (datapath, notices) = open_datapath(&config, &links)?;
    for notice in notices {
        warn!("{notice}");
    }
    tell_size(&datapath);
    let (reached, positions) = watch::channel(ha::engine::Positions::default());
    let pair = heartbeat.start(
        config.router.name.clone(),
        config.hash(),
        groups(&config, &datapath.installed()?),
        datapath.lease(),
        positions,
    )?;
    let (segments, known) = watch::channel(Segments::new(&config, &links, &[]));
    let sync = copy.start(datapath.flow_table(), datapath.schedules(), pair.roles.clone(), known, reached)?;
    let lease = config.peer.as_ref().map(|_| datapath.lease());
    let limits = datapath.limits();
    let addresses = Addresses::new(&config.daemon.socket, &kernel_release());
    let virtual_macs = VirtualMacs::new(&config.daemon.socket);
    let (report, reports) = mpsc::channel(64);
    let (finding, findings) = mpsc::channel(64);
    let (handle, commands) = DirectorHandle::channel();
    let conflicts = conflict::start(config.group_names().len());
    let director = Director::new(Parts {
        config_path: config_path.to_owned(),
        config,
        datapath: Box::new(datapath),
        pair,
        sync,
        segments,
        checkers: health::Checkers::new(report),
        reports,
        watchers: track::Watchers::new(finding, topology.clone()),
        findings,
        notifier: Notifier::start(),
        announcer: announce::start(lease),
        conflicts,
        addresses,
        virtual_macs,
        limits,
        targets,
        topology,
        commands,
        watchdog: Watchdog::start().context("cannot start the watchdog")?,
    });
    direct(director, listener, handle, signals, socket_file).await
}

/// Lets the data plane of a router without a peer answer for its virtual MAC addresses for as long as it lives.
fn answer_for_good(lease: &dyn Lease, groups: usize) {
    let end = Instant::now() + FOR_GOOD;
    (0..groups).filter_map(|group| u32::try_from(group).ok()).for_each(|group| lease.set(group, end));
}

/// The groups as they begin over a data plane that is `installed`.
fn groups(config: &Config, installed: &Tables) -> Vec<ha::driver::Group> {
    let mut held = maintenance::remembered(&config.daemon.socket);
    let preferences = config.preferences();
    let group = |(number, name): (usize, String)| ha::driver::Group {
        preference: preferences.get(&name).copied().unwrap_or(Preference::ALONE),
        resume: roles::is_open(number, config, installed),
        maintenance: held.remove(&name),
        name,
    };
    config.group_names().into_iter().enumerate().map(group).collect()
}

/// Runs the director and the API in front of it, to a planned stop.
async fn direct(
    mut director: Director,
    listener: UnixListener,
    handle: DirectorHandle,
    signals: Signals,
    socket_file: SocketFile,
) -> Result<()> {
    director.start().await.map_err(|message| anyhow!("data plane: {message}"))?;
    let (closed, close) = tokio::sync::oneshot::channel::<()>();
    let api = tokio::spawn(server::serve(listener, handle, async {
        let _ = close.await;
    }));
    notify(&[sd_notify::NotifyState::Ready]);
    info!("running");
    match director.run(signals.hangups, signals.stop).await {
        Stop::Planned => {}
        // As after a crash: the data plane goes on, and the next daemon takes over what stands.
        Stop::Failed(message) => return Err(anyhow!(message)),
    }
    notify(&[sd_notify::NotifyState::Stopping]);
    if tokio::time::timeout(STOP_WITHIN, director.shutdown()).await.is_err() {
        warn!("the stop was not complete within {STOP_WITHIN:?}; data plane and addresses stay as they are");
    }
    drop(socket_file);
    drop(closed);
    api.abort();
    Ok(())
}

/// What the operator and the service manager say.
struct Signals {
    /// Fires for each SIGHUP.
    hangups: mpsc::Receiver<()>,
    /// Resolves with the first SIGTERM or SIGINT.
    stop: BoxFuture<'static, Stop>,
}

/// The file of the API's socket. It goes while the socket still listens: after that it could be another daemon's.
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A stale one is replaced by the next daemon.
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Removes everything a daemon with this configuration leaves: addresses, links, maps.
///
/// # Errors
/// When a part cannot be removed; the other parts are removed all the same.
pub async fn teardown(config_path: &Path) -> Result<ExitCode> {
    kernel::require_privileges()?;
    let config = match config::load(config_path, &Host { interfaces: None }) {
        Ok(config) => config,
        Err(errors) => {
            eprintln!("{errors}");
            return Ok(ExitCode::from(EXIT_CONFIG));
        }
    };
    // A running daemon would put back what is removed here.
    let listener = server::bind(&config.daemon.socket)?;
    let socket_file = SocketFile(config.daemon.socket.clone());
    let away: Vec<_> = config.floating().into_iter().map(|vip| (vip, Wanted::Away)).collect();
    let addresses = Addresses::new(&config.daemon.socket, &kernel_release()).reconcile(&away).await;
    let virtual_macs = VirtualMacs::new(&config.daemon.socket).reconcile(&BTreeMap::new()).await;
    let datapath = pins::teardown(&config.daemon.pin_dir);
    drop(socket_file);
    drop(listener);
    for change in addresses.as_ref().map(Vec::as_slice).unwrap_or_default() {
        println!("{change}");
    }
    virtual_macs.changes.iter().for_each(|change| println!("{change}"));
    for line in datapath.as_ref().map(Vec::as_slice).unwrap_or_default() {
        println!("{line}");
    }
    addresses.map_err(|error| anyhow!("{error}"))?;
    if !virtual_macs.failures.is_empty() {
        return Err(anyhow!(virtual_macs.failures.join("; ")));
    }
    datapath?;
    Ok(ExitCode::SUCCESS)
}

fn open_datapath(
    config: &Config,
    links: &BTreeMap<String, crate::topology::Link>,
) -> Result<(KernelDatapath, Vec<String>)> {
    let mut interfaces = BTreeMap::new();
    for name in &config.router.interfaces {
        let link = links.get(name).ok_or_else(|| anyhow!("interface {name} does not exist"))?;
        interfaces.insert(name.clone(), link.index);
    }
    let settings = kernel::Settings {
        pin_dir: config.daemon.pin_dir.clone(),
        limits: config.limits,
        bpf_log: config.daemon.bpf_log,
        has_virtual_macs: config.has_virtual_macs(),
    };
    let (datapath, notices) = KernelDatapath::open(&settings, &interfaces)?;
    if config.peer.is_none() {
        answer_for_good(datapath.lease().as_ref(), config.group_names().len());
    }
    Ok((datapath, notices))
}

/// As `uname -r` prints it; empty where the kernel does not tell.
fn kernel_release() -> String {
    uname().map(|name| name.release().to_string_lossy().into_owned()).unwrap_or_default()
}

/// Fires for each SIGHUP.
fn hangups() -> Result<mpsc::Receiver<()>> {
    let mut hangup = signal(SignalKind::hangup()).context("cannot listen for SIGHUP")?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            if sender.send(()).await.is_err() {
                return;
            }
        }
    });
    Ok(receiver)
}

/// Resolves with the first SIGTERM or SIGINT.
fn stop() -> Result<impl Future<Output = Stop>> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for SIGINT")?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        Stop::Planned
    })
}

fn notify(states: &[sd_notify::NotifyState<'_>]) {
    // Without systemd there is nobody to tell, and nothing to do about it.
    let _ = sd_notify::notify(states);
}
