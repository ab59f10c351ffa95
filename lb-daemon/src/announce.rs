//! Gratuitous ARP: tells the segment which router holds a virtual address now. [`arp`] is the frame, [`schedule`]
//! decides when, and the [`Announcer`] sends.

pub mod arp;
pub mod schedule;
pub(crate) mod socket;

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep, sleep_until},
};
use tracing::{info, warn};

use self::{
    arp::{Announcement, Form},
    schedule::Schedule,
    socket::FrameSocket,
};
use crate::{
    config::{Announce, AnnounceForm, Vip},
    datapath::Lease,
};

/// Addresses announced between two pauses. With [`PAUSE`] it bounds the rate at 16000 addresses per second, and leaves
/// room in the shortest transmit queues in use (64 descriptors).
const BATCH: usize = 16;

/// Pause between two batches.
const PAUSE: Duration = Duration::from_millis(1);

/// What is announced, and how. `None` on standby.
type Order = Option<Active>;

#[derive(Debug)]
struct Active {
    settings: Announce,
    addresses: Vec<Floating>,
}

/// A floating address that stands here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Floating {
    /// The address.
    pub vip: Vip,
    /// Index of its interface, and own MAC address there.
    pub ifindex: u32,
    /// See [`ifindex`](Self::ifindex).
    pub mac: [u8; 6],
    /// Number of the lease that it is announced under.
    pub lease: u32,
}

/// Announces addresses for as long as this router is active.
#[derive(Debug)]
pub struct Announcer {
    order: watch::Sender<Order>,
    failing: Arc<Failing>,
}

/// The last error of each interface that fails now.
type Failing = Mutex<BTreeMap<String, String>>;

/// Starts an announcer, on standby. It ends when the [`Announcer`] is dropped. Must be called within a tokio runtime.
/// `lease`: what this router may announce under; none for one without a peer, which always may.
pub fn start(lease: Option<Arc<dyn Lease>>) -> Announcer {
    let (order, orders) = watch::channel(None);
    let failing = Arc::new(Failing::default());
    let sender = Sender { socket: None, lease, failing: Arc::clone(&failing) };
    tokio::spawn(run(orders, sender));
    Announcer { order, failing }
}

impl Announcer {
    /// Announces these addresses: bursts from now on, then
    /// refreshes. Starts anew when it is called again.
    pub fn active(&self, settings: Announce, addresses: Vec<Floating>) {
        lock(&self.failing).retain(|name, _| addresses.iter().any(|one| one.vip.interface == *name));
        self.order.send_replace(Some(Active { settings, addresses }));
    }

    /// Stops. No frame is sent any more once this has returned.
    pub fn standby(&self) {
        self.order.send_replace(None);
        lock(&self.failing).clear();
    }

    /// What keeps addresses from being announced, one line for each interface.
    pub fn warnings(&self) -> Vec<String> {
        let failing = lock(&self.failing);
        failing.iter().map(|(name, error)| format!("{name}: addresses are not announced: {error}")).collect()
    }
}

/// A thread that panicked has left plain values behind.
fn lock(failing: &Failing) -> MutexGuard<'_, BTreeMap<String, String>> {
    failing.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Follows orders until the announcer is gone.
async fn run(mut orders: watch::Receiver<Order>, mut sender: Sender) {
    loop {
        let settings = orders.borrow_and_update().as_ref().map(|active| active.settings);
        let announcing = async {
            if let Some(settings) = settings {
                sender.announce(&orders, settings).await;
            }
            std::future::pending::<()>().await;
        };
        let mut changes = orders.clone();
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = announcing => {}
        }
    }
}

/// Sends, and remembers what went wrong.
struct Sender {
    socket: Option<FrameSocket>,
    lease: Option<Arc<dyn Lease>>,
    failing: Arc<Failing>,
}

impl Sender {
    /// Announces on schedule, to its end if it has one.
    async fn announce(&mut self, orders: &watch::Receiver<Order>, settings: Announce) {
        let mut schedule = Schedule::start(Instant::now().into_std(), settings);
        while let Some(deadline) = schedule.next_deadline() {
            sleep_until(Instant::from_std(deadline)).await;
            let may = orders.borrow().as_ref().is_some_and(|active| self.may(&active.addresses));
            if schedule.poll(Instant::now().into_std(), may) {
                self.round(orders).await;
            }
        }
    }

    /// Whether this router may say that these addresses are its own.
    fn may(&self, addresses: &[Floating]) -> bool {
        let runs = |lease: &Arc<dyn Lease>| addresses.iter().all(|one| lease.runs(one.lease));
        self.lease.as_ref().is_none_or(runs)
    }

    /// Announces every address once, in the forms that are set.
    async fn round(&mut self, orders: &watch::Receiver<Order>) {
        let mut first = 0;
        while self.batch(orders, first) {
            first += BATCH;
            sleep(PAUSE).await;
        }
    }

    /// Announces the addresses from number `first` on; true if more are left. The order is borrowed meanwhile, so that
    /// [`Announcer::standby`] waits for it, and nothing leaves afterwards.
    fn batch(&mut self, orders: &watch::Receiver<Order>, first: usize) -> bool {
        let order = orders.borrow();
        // Between two batches of a round it may have been frozen as well.
        let Some(Active { settings, addresses }) =
            order.as_ref().filter(|active| self.may(&active.addresses))
        else {
            return false;
        };
        let forms: &[Form] = match settings.form {
            AnnounceForm::Both => &[Form::Request, Form::Reply],
            AnnounceForm::Request => &[Form::Request],
            AnnounceForm::Reply => &[Form::Reply],
        };
        for Floating { vip, ifindex, mac, lease: _ } in addresses.iter().skip(first).take(BATCH) {
            let announcement = Announcement { address: vip.address.addr(), mac: *mac };
            let result = self.send(*ifindex, announcement, forms);
            self.note(&vip.interface, result);
        }
        addresses.len() > first.saturating_add(BATCH)
    }

    fn send(&mut self, ifindex: u32, announcement: Announcement, forms: &[Form]) -> io::Result<()> {
        let socket = match &mut self.socket {
            Some(socket) => socket,
            none => none.insert(FrameSocket::open()?),
        };
        for form in forms {
            socket.send(ifindex, &announcement.frame(*form))?;
        }
        Ok(())
    }

    /// Logs what is new about an interface.
    fn note(&self, interface: &str, result: io::Result<()>) {
        let mut failing = lock(&self.failing);
        match result {
            Ok(()) => {
                if failing.remove(interface).is_some() {
                    info!(interface, "addresses are announced again");
                }
            }
            Err(error) => {
                let error = error.to_string();
                if failing.get(interface) != Some(&error) {
                    warn!(interface, "addresses are not announced: {error}");
                    failing.insert(interface.to_owned(), error);
                }
            }
        }
    }
}
