//! Connections that are asked something again and again (see [`names`]): each says whom it speaks with, and that it lives.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use tokio::{
    net::TcpStream,
    runtime::{self, Runtime},
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{
    crowd::{Held, Tally},
    responder::names::{self, Word},
};

/// Time without an answer after which a connection counts as lost: longer than any back-off of TCP within a test.
const SILENCE: Duration = Duration::from_secs(30);

/// A connection that was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// Its server.
    pub server: String,
    /// What became of it.
    pub error: String,
}

impl std::fmt::Display for Loss {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.server, self.error)
    }
}

/// Time to close what is open.
const CLOSE: Duration = Duration::from_secs(5);

/// Connections that ask. Dropping it resets them.
#[derive(Debug)]
pub struct Asking {
    runtime: Option<Runtime>,
    tasks: Vec<JoinHandle<io::Result<Word>>>,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
}

#[derive(Debug, Default)]
struct Shared {
    answers: AtomicU64,
    lost: Mutex<Vec<Loss>>,
}

impl Asking {
    /// Each of `held` asks once every `period`, and they do so in turn: with *n* connections there is a question every
    /// `period` / *n*.
    ///
    /// # Errors
    /// When no thread can be started.
    pub fn start(held: Held, period: Duration) -> Result<Self> {
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared::default());
        let streams = held.into_streams();
        let (count, start) = (u32::try_from(streams.len())?.max(1), Instant::now());
        let mut tasks = Vec::new();
        for (number, (stream, name)) in (0..).zip(streams) {
            let _inside = runtime.enter();
            let stream = TcpStream::from_std(stream)?;
            let turn = Turn { first: start + period * number / count, period };
            let (shared, stopped) = (Arc::clone(&shared), stopped.clone());
            tasks.push(runtime.spawn(async move {
                let outcome = ask(stream, name, turn, &shared, stopped).await;
                if let Err(error) = &outcome {
                    shared
                        .lost
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .push(Loss { server: names::name(name), error: error.to_string() });
                }
                outcome
            }));
        }
        Ok(Self { runtime: Some(runtime), tasks, shared, stop })
    }

    /// Answers so far.
    pub fn answers(&self) -> u64 {
        self.shared.answers.load(Ordering::Relaxed)
    }

    /// Those that were lost so far.
    pub fn lost(&self) -> Vec<Loss> {
        self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Each asks once more; who has answered.
    ///
    /// # Errors
    /// When a task panicked.
    pub fn finish(mut self) -> Result<Tally> {
        self.stop.send_replace(true);
        let runtime = self.runtime.take().context("runs until now")?;
        let tasks = std::mem::take(&mut self.tasks);
        runtime.block_on(async {
            let mut tally = Tally::default();
            for task in tasks {
                tally.add(task.await?);
            }
            Ok(tally)
        })
    }
}

impl Drop for Asking {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // When this returns the sockets are closed, and their ports are to be had again.
            runtime.shutdown_timeout(CLOSE);
        }
    }
}

/// When a connection asks.
#[derive(Clone, Copy)]
struct Turn {
    first: Instant,
    period: Duration,
}

async fn ask(
    mut stream: TcpStream,
    name: Word,
    turn: Turn,
    shared: &Shared,
    mut stop: watch::Receiver<bool>,
) -> io::Result<Word> {
    // A question would wait for the acknowledgement of the one before.
    stream.set_nodelay(true)?;
    let mut due = turn.first;
    for number in 0.. {
        let last = tokio::select! {
            () = tokio::time::sleep_until(due) => false,
            _ = stop.wait_for(|stop| *stop) => true,
        };
        let answer = timeout(SILENCE, names::asked(&mut stream, number)).await;
        if answer.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?? != name {
            return Err(io::Error::other("another server answers"));
        }
        shared.answers.fetch_add(1, Ordering::Relaxed);
        if last {
            break;
        }
        // What an outage has held up is not made up for: the turns stay as they are.
        while due <= Instant::now() {
            due += turn.period;
        }
    }
    Ok(name)
}
