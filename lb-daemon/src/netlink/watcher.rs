//! The loop that keeps a [`Topology`] fresh: notifications come in, the rows are brought up to date, the decisions of
//! `resolve` go out.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
    time::Duration,
};

use futures_util::{StreamExt, TryStreamExt};
use tokio::{
    sync::watch,
    time::{Instant, Interval, MissedTickBehavior, interval, timeout_at},
};
use tracing::{debug, info, warn};

use super::{
    Error,
    snapshot::{self, Hop, Snapshot},
    socket::{Event, Events, Presence, Requests, Task},
};
use crate::{
    config::Vip,
    topology::{Link, Topology},
};

/// Notifications come in bursts; those that arrive this soon after the first are answered together.
const COALESCE: Duration = Duration::from_millis(5);

/// Everything is read again this often, whatever the notifications said. Also the time after which a neighbour entry
/// that is not managed is asked for again: well within the 30 s that a neighbour counts as reachable
/// (Documentation/networking/ip-sysctl.rst, `base_reachable_time_ms`).
const REFRESH: Duration = Duration::from_secs(4);

/// Route look-ups that wait for an answer at the same time.
const LOOKUPS: usize = 16;

/// Watches the network until it is dropped.
#[derive(Debug)]
pub struct Watcher {
    /// The network as it is now. Sent on change only.
    pub topology: watch::Receiver<Topology>,
    _task: Task,
}

impl Watcher {
    pub(super) async fn start(targets: watch::Receiver<BTreeSet<Ipv4Addr>>) -> Result<Self, Error> {
        let mut ticks = interval(REFRESH);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let (sender, topology) = watch::channel(Topology::default());
        let mut driver = Driver {
            kernel: Some(Kernel::open()?),
            failing: false,
            targets,
            ticks,
            snapshot: Snapshot::default(),
            asked: BTreeSet::new(),
            topology: sender,
        };
        driver.refresh().await?;
        Ok(Self { topology, _task: Task::spawn(driver.run()) })
    }
}

/// Both sockets: they are opened and given up together.
struct Kernel {
    requests: Requests,
    events: Events,
}

impl Kernel {
    fn open() -> Result<Self, Error> {
        // Subscribed first: what changes while the first reading goes on is notified.
        let events = Events::open()?;
        Ok(Self { requests: Requests::open()?, events })
    }
}

/// Why the driver wakes up.
enum Wake {
    Event(Event),
    /// The notification socket has failed.
    Deaf,
    Tick,
    Targets,
    /// Nobody sets targets any more.
    End,
}

/// What a notification has done to the rows.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Effect {
    /// They are as before.
    Nothing,
    /// They have changed, and are right.
    Rows,
    /// They are to be read again.
    Unknown,
}

struct Driver {
    /// The sockets; `None` after a failure, until the next tick.
    kernel: Option<Kernel>,
    /// Whether the last failure is still the latest news.
    failing: bool,
    targets: watch::Receiver<BTreeSet<Ipv4Addr>>,
    ticks: Interval,
    snapshot: Snapshot,
    /// Hops asked for since the last tick.
    asked: BTreeSet<Hop>,
    topology: watch::Sender<Topology>,
}

impl Driver {
    async fn run(mut self) {
        loop {
            let result = match self.wake().await {
                Wake::Event(event) => self.burst(event).await,
                Wake::Deaf => Err(deaf()),
                Wake::Tick => self.tick().await,
                Wake::Targets => self.refresh().await,
                Wake::End => return,
            };
            self.note(result);
        }
    }

    /// Gives the sockets up after a failure, and logs what is new.
    fn note(&mut self, result: Result<(), Error>) {
        match result {
            Ok(()) if self.failing && self.kernel.is_some() => {
                self.failing = false;
                info!("the network is watched again");
            }
            Ok(()) => {}
            Err(error) => {
                self.kernel = None;
                if !self.failing {
                    warn!("the network is not watched: {error}");
                }
                self.failing = true;
            }
        }
    }

    async fn wake(&mut self) -> Wake {
        tokio::select! {
            event = next(&mut self.kernel) => event.map_or(Wake::Deaf, Wake::Event),
            _ = self.ticks.tick() => Wake::Tick,
            changed = self.targets.changed() => if changed.is_ok() { Wake::Targets } else { Wake::End },
        }
    }

    async fn tick(&mut self) -> Result<(), Error> {
        self.asked.clear();
        if self.kernel.is_none() {
            self.kernel = Some(Kernel::open()?);
        }
        self.refresh().await
    }

    /// Takes a notification and those that follow at once. Changes of neighbours are applied as they come: a busy
    /// segment has many, and none of them moves a route.
    async fn burst(&mut self, first: Event) -> Result<(), Error> {
        let mut effect = self.apply(first);
        let end = Instant::now() + COALESCE;
        // The clock is asked too: a storm has always another notification ready.
        while Instant::now() < end
            && let Some(kernel) = &mut self.kernel
            && let Ok(Some(event)) = timeout_at(end, kernel.events.next()).await
        {
            effect = effect.max(self.apply(event));
        }
        match effect {
            Effect::Nothing => Ok(()),
            Effect::Rows => self.publish().await,
            Effect::Unknown => self.refresh().await,
        }
    }

    fn apply(&mut self, event: Event) -> Effect {
        let Event::Neighbour(message, presence) = event else { return Effect::Unknown };
        let Some((hop, row)) = snapshot::neighbour(&message) else { return Effect::Nothing };
        let now = (presence == Presence::Present).then_some(row);
        let before = match now {
            Some(row) => self.snapshot.neighbours.insert(hop, row),
            None => self.snapshot.neighbours.remove(&hop),
        };
        if before == now { Effect::Nothing } else { Effect::Rows }
    }

    /// Reads everything.
    async fn refresh(&mut self) -> Result<(), Error> {
        let Some(kernel) = &self.kernel else { return Ok(()) };
        let targets = self.targets.borrow_and_update().clone();
        self.snapshot = read(&kernel.requests, targets).await?;
        self.publish().await
    }

    /// Tells what the rows show, and has the neighbour table follow.
    async fn publish(&mut self) -> Result<(), Error> {
        let topology = self.snapshot.topology();
        self.topology.send_if_modified(|old| {
            let changed = *old != topology;
            *old = topology;
            changed
        });
        let upkeep = self.snapshot.upkeep(&self.asked);
        let Some(kernel) = &self.kernel else { return Ok(()) };
        for hop in upkeep.keep {
            tolerate(kernel.requests.keep(hop).await)?;
            self.asked.insert(hop);
        }
        for hop in upkeep.release {
            tolerate(kernel.requests.release(hop).await)?;
            self.snapshot.neighbours.remove(&hop);
        }
        Ok(())
    }
}

fn deaf() -> Error {
    Error::Broken { action: "hear notifications".to_owned(), reason: "the socket was closed".to_owned() }
}

/// The next notification; never, without a socket.
async fn next(kernel: &mut Option<Kernel>) -> Option<Event> {
    match kernel {
        Some(kernel) => kernel.events.next().await,
        None => std::future::pending().await,
    }
}

/// A refused change of the neighbour table is no fault: links and entries come and go meanwhile. The next tick tries
/// again.
fn tolerate(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error @ Error::Refused { .. }) => {
            debug!("{error}");
            Ok(())
        }
        other => other,
    }
}

async fn read(requests: &Requests, targets: BTreeSet<Ipv4Addr>) -> Result<Snapshot, Error> {
    let links: BTreeMap<String, Link> = requests.links().await?.iter().filter_map(snapshot::link).collect();
    let rows = requests.addresses().await?;
    let locals = rows.iter().filter_map(snapshot::address).map(|net| net.addr()).collect();
    let names: BTreeMap<u32, &String> = links.iter().map(|(name, link)| (link.index, name)).collect();
    let addresses = rows
        .iter()
        .filter_map(|row| {
            let interface = (*names.get(&row.header.index)?).clone();
            Some(Vip { address: snapshot::address(row)?, interface })
        })
        .collect();
    let routes: Vec<(Ipv4Addr, Option<Hop>)> = futures_util::stream::iter(targets)
        .map(async |target| requests.route(target).await.map(|hop| (target, hop)))
        .buffer_unordered(LOOKUPS)
        .try_collect()
        .await?;
    let routes: BTreeMap<Ipv4Addr, Hop> =
        routes.into_iter().filter_map(|(target, hop)| Some((target, hop?))).collect();
    let neighbours = requests.neighbours().await?.iter().filter_map(snapshot::neighbour).collect();
    Ok(Snapshot { links, locals, addresses, routes, neighbours })
}
