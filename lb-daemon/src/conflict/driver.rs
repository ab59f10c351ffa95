//! Moves frames and time between ears, engine and whoever is to be told.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use super::{
    Report,
    ear::Ear,
    engine::{Action, Claim, Engine},
    watched::Watched,
};
use crate::{
    announce::{
        arp::{self, BROADCAST},
        socket::FrameSocket,
    },
    deadline::{self, now},
    netlink::socket::Task,
};

/// Time after which an interface that could not be listened to is tried again.
const RETRY: Duration = Duration::from_secs(5);

/// Why an interface is not listened to, by its name.
type Failing = Arc<Mutex<BTreeMap<String, String>>>;

/// Watches for conflicts until it is dropped.
#[derive(Debug)]
pub struct Watch {
    /// What is watched, and what has to be known for it: for each group, whose addresses one router holds.
    pub watched: Vec<watch::Sender<Watched>>,
    /// Conflicts, as they come and go.
    pub reports: mpsc::Receiver<Report>,
    failing: Vec<Failing>,
    _tasks: Vec<Task>,
}

impl Watch {
    /// What keeps conflicts from being noticed, one line for each interface.
    pub fn warnings(&self) -> Vec<String> {
        let all: BTreeSet<_> = self.failing.iter().flat_map(|failing| lock(failing).clone()).collect();
        all.iter()
            .map(|(name, error)| format!("{name}: address conflicts are not noticed: {error}"))
            .collect()
    }
}

/// Watches nothing yet, for so many groups. Must be called within a tokio runtime.
pub fn start(groups: usize) -> Watch {
    let (out, reports) = mpsc::channel(64);
    let mut watch = Watch { watched: Vec::new(), reports, failing: Vec::new(), _tasks: Vec::new() };
    for _ in 0..groups {
        let (watched, wanted) = watch::channel(Watched::default());
        let (claim, claims) = mpsc::channel(64);
        let failing = Failing::default();
        let driver = Driver {
            engine: Engine::new(),
            wanted,
            ears: BTreeMap::new(),
            claim,
            out: out.clone(),
            mouth: None,
            failing: Arc::clone(&failing),
        };
        watch.watched.push(watched);
        watch.failing.push(failing);
        watch._tasks.push(Task::spawn(driver.run(claims)));
    }
    watch
}

/// A thread that panicked has left plain values behind.
fn lock(failing: &Failing) -> MutexGuard<'_, BTreeMap<String, String>> {
    failing.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Driver {
    engine: Engine,
    wanted: watch::Receiver<Watched>,
    /// By interface index.
    ears: BTreeMap<u32, Ear>,
    claim: mpsc::Sender<Claim>,
    out: mpsc::Sender<Report>,
    mouth: Option<FrameSocket>,
    failing: Failing,
}

impl Driver {
    /// Runs until nobody sets what is watched, or nobody listens.
    async fn run(mut self, mut claims: mpsc::Receiver<Claim>) {
        loop {
            let retry = (!self.lock().is_empty()).then(|| now() + RETRY);
            let due = self.engine.next_deadline().into_iter().chain(retry).min();
            let actions = tokio::select! {
                // What was heard before the time is told: an answer may have waited for this process.
                biased;
                changed = self.wanted.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let watched = self.wanted.borrow_and_update().clone();
                    self.listen(&watched);
                    self.engine.set(watched, now())
                }
                Some(claim) = claims.recv() => self.engine.heard(claim, now()),
                () = deadline::reached(due) => {
                    let watched = self.wanted.borrow().clone();
                    self.listen(&watched);
                    self.engine.poll(now())
                }
            };
            for action in actions {
                if self.act(action).await.is_none() {
                    return;
                }
            }
        }
    }

    /// `None` when nobody listens any more.
    async fn act(&mut self, action: Action) -> Option<()> {
        match action {
            Action::Ask(Claim { ifindex, address, mac }) => self.ask(ifindex, address, mac),
            Action::AskAll(ifindex, address) => self.ask(ifindex, address, BROADCAST),
            Action::Report(report) => return self.out.send(report).await.ok(),
        }
        Some(())
    }

    /// Asks. A question that cannot be sent has no answer: the interface is down, and so is the claim.
    fn ask(&mut self, ifindex: u32, address: Ipv4Addr, to: [u8; 6]) {
        let Some(own) = self.wanted.borrow().own.get(&ifindex).copied() else { return };
        if self.mouth.is_none() {
            self.mouth = FrameSocket::open().ok();
        }
        if let Some(mouth) = &self.mouth {
            drop(mouth.send(ifindex, &arp::probe(address, own, to)));
        }
    }

    /// Listens on the interfaces that hold watched addresses, and on no other.
    fn listen(&mut self, watched: &Watched) {
        let mut wanted: BTreeMap<u32, (&str, BTreeSet<Ipv4Addr>)> = BTreeMap::new();
        for ((ifindex, address), name) in &watched.addresses {
            wanted.entry(*ifindex).or_insert((name, BTreeSet::new())).1.insert(*address);
        }
        self.ears.retain(|ifindex, ear| wanted.get(ifindex).is_some_and(|(_, all)| *all == ear.addresses));
        let names: BTreeSet<&str> = wanted.values().map(|(name, _)| *name).collect();
        self.lock().retain(|name, _| names.contains(name.as_str()));
        for (ifindex, (name, addresses)) in wanted {
            if self.ears.contains_key(&ifindex) {
                continue;
            }
            match Ear::open(ifindex, addresses, self.claim.clone()) {
                Ok(ear) => {
                    self.ears.insert(ifindex, ear);
                    self.note(name, None);
                }
                Err(error) => self.note(name, Some(&error)),
            }
        }
    }

    /// Logs what is new about an interface.
    fn note(&self, interface: &str, error: Option<&io::Error>) {
        let mut failing = self.lock();
        match error.map(ToString::to_string) {
            None => {
                if failing.remove(interface).is_some() {
                    info!(interface, "address conflicts are noticed again");
                }
            }
            Some(error) if failing.get(interface) != Some(&error) => {
                warn!(interface, "address conflicts are not noticed: {error}");
                failing.insert(interface.to_owned(), error);
            }
            Some(_) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        lock(&self.failing)
    }
}
