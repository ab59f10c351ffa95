//! The load generator: a bounded rate of HTTP requests, each on a connection of its own, and what became of each.

pub mod record;

use std::{
    net::SocketAddrV4,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
    time::{MissedTickBehavior, interval, timeout},
};

use self::record::{Failure, Record, Summary};
use super::netns::Namespace;

/// What to ask, and how much of it.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Where the requests go.
    pub target: SocketAddrV4,
    /// Requests begun a second, `1..=2000`.
    pub rate: u32,
    /// Requests under way at a time; beyond it none is begun, so that an outage does not pile up connections.
    pub concurrency: usize,
    /// Time a request may take, from connecting to the last byte.
    pub timeout: Duration,
}

/// A running load. Dropping it ends it.
#[derive(Debug)]
pub struct Load {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<()>>>,
}

#[derive(Debug, Default)]
struct Shared {
    records: Mutex<Vec<Record>>,
    stop: AtomicBool,
}

impl Plan {
    /// `rate` requests a second to `target`, three seconds for each, and room for all that an outage of that length
    /// holds up: the rate must not sink just when it is to be seen whether new connections get through.
    pub const fn steady(target: SocketAddrV4, rate: u32) -> Self {
        Self { target, rate, concurrency: rate as usize * 4, timeout: Duration::from_secs(3) }
    }
}

impl Load {
    /// Starts asking from inside `namespace`, until [`Load::finish`].
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(namespace: &Namespace, plan: Plan) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let (namespace, inside) = (namespace.clone(), Arc::clone(&shared));
        let thread = thread::Builder::new().name("load".into()).spawn(move || {
            namespace.move_thread()?;
            // One thread: a worker of its own would be outside the namespace.
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(ask_steadily(plan, inside));
            Ok(())
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// What has ended so far.
    pub fn summary(&self) -> Summary {
        Summary::of(self.shared.records().iter())
    }

    /// What was begun at or after `start` and has ended so far.
    pub fn summary_since(&self, start: Instant) -> Summary {
        Summary::of(self.shared.records().iter().filter(|record| record.started >= start))
    }

    /// Every record so far, in the order of their ends.
    pub fn records(&self) -> Vec<Record> {
        self.shared.records().clone()
    }

    /// Begins no more requests, waits for those under way, and returns every record.
    ///
    /// # Errors
    /// When the namespace could not be entered.
    pub fn finish(mut self) -> Result<Vec<Record>> {
        self.join()?;
        Ok(self.records())
    }

    fn join(&mut self) -> Result<()> {
        self.shared.stop.store(true, Ordering::Relaxed);
        match self.thread.take() {
            Some(thread) => {
                thread.join().map_err(|_| anyhow!("the load generator panicked"))?.context("load")
            }
            None => Ok(()),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        if let Err(error) = self.join() {
            eprintln!("{error:#}");
        }
    }
}

impl Shared {
    fn records(&self) -> MutexGuard<'_, Vec<Record>> {
        // A record is pushed whole or not at all: the list is sound even after a panic.
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn ask_steadily(plan: Plan, shared: Arc<Shared>) {
    let mut ticks = interval(Duration::from_secs(1) / plan.rate);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let room = Arc::new(Semaphore::new(plan.concurrency));
    let mut requests = JoinSet::new();
    while !shared.stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        while requests.try_join_next().is_some() {}
        if let Ok(permit) = Arc::clone(&room).try_acquire_owned() {
            let shared = Arc::clone(&shared);
            requests.spawn(async move {
                let record = ask(plan).await;
                shared.records().push(record);
                drop(permit);
            });
        }
    }
    while requests.join_next().await.is_some() {}
}

/// One request on a connection of its own.
async fn ask(plan: Plan) -> Record {
    let started = Instant::now();
    let mut port = None;
    let outcome = match timeout(plan.timeout, converse(plan.target, &mut port)).await {
        Ok(Ok(answer)) => Failure::judge(&answer),
        Ok(Err(error)) => Err(Failure::from_io(&error)),
        Err(_) => Err(Failure::Timeout),
    };
    Record { started, finished: Instant::now(), port, outcome }
}

async fn converse(target: SocketAddrV4, port: &mut Option<u16>) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(target).await?;
    *port = Some(stream.local_addr()?.port());
    stream.write_all(b"GET / HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n").await?;
    let mut answer = Vec::with_capacity(512);
    stream.read_to_end(&mut answer).await?;
    Ok(answer)
}
