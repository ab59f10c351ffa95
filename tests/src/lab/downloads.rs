//! Downloads that go on until told otherwise, of a stream whose every byte is known (see [`stream`]).

use std::{
    net::{SocketAddrV4, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::tcp::{OwnedReadHalf, OwnedWriteHalf},
    runtime::{self, Runtime},
    sync::watch,
    task::JoinHandle,
    time::timeout,
};

use super::{netns::Namespace, responder::stream::Pattern};

/// Silence after which a download counts as broken: longer than any back-off of TCP within a test.
const SILENCE: Duration = Duration::from_secs(20);
/// Time to connect.
const CONNECT: Duration = Duration::from_secs(5);
/// Bytes read at a time.
const BUFFER: usize = 64 * 1024;

/// Running downloads. Dropping it cuts them.
#[derive(Debug)]
pub struct Downloads {
    runtime: Option<Runtime>,
    tasks: Vec<JoinHandle<Result<()>>>,
    received: Vec<Arc<AtomicU64>>,
    stop: watch::Sender<bool>,
}

impl Downloads {
    /// Connects `count` clients in `namespace` to `target`, and lets them read.
    ///
    /// # Errors
    /// When one cannot connect.
    pub fn start(namespace: &Namespace, target: SocketAddrV4, count: usize) -> Result<Self> {
        let connect = || TcpStream::connect_timeout(&target.into(), CONNECT);
        let streams: std::io::Result<Vec<TcpStream>> =
            namespace.enter(|| (0..count).map(|_| connect()).collect())?;
        let runtime = runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let (stop, stopped) = watch::channel(false);
        let (mut tasks, mut received) = (Vec::new(), Vec::new());
        for stream in streams.with_context(|| format!("cannot connect to {target}"))? {
            stream.set_nonblocking(true)?;
            let _inside = runtime.enter();
            let (reader, writer) = tokio::net::TcpStream::from_std(stream)?.into_split();
            let count = Arc::new(AtomicU64::new(0));
            received.push(Arc::clone(&count));
            tasks.push(runtime.spawn(read(reader, writer, count, stopped.clone())));
        }
        Ok(Self { runtime: Some(runtime), tasks, received, stop })
    }

    /// Bytes that each has received so far.
    pub fn received(&self) -> Vec<u64> {
        self.received.iter().map(|count| count.load(Ordering::Relaxed)).collect()
    }

    /// How many have ended, although nobody told them to.
    pub fn broken(&self) -> usize {
        self.tasks.iter().filter(|task| task.is_finished()).count()
    }

    /// Tells every server to end its stream, and waits until it has.
    ///
    /// # Errors
    /// When any of them broke at any time, or a byte of it was not the one that had to come.
    pub fn finish(mut self) -> Result<()> {
        self.stop.send_replace(true);
        let runtime = self.runtime.take().context("runs until now")?;
        let tasks = std::mem::take(&mut self.tasks);
        runtime.block_on(async {
            for (number, task) in tasks.into_iter().enumerate() {
                task.await?.with_context(|| format!("download {number}"))?;
            }
            Ok(())
        })
    }
}

impl Drop for Downloads {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// Reads to the end of the stream, which comes once the own direction has been closed.
async fn read(
    mut reader: OwnedReadHalf,
    mut writer: OwnedWriteHalf,
    count: Arc<AtomicU64>,
    mut stop: watch::Receiver<bool>,
) -> Result<()> {
    let (mut pattern, mut buffer, mut asked) = (Pattern::default(), vec![0; BUFFER], false);
    loop {
        let length = tokio::select! {
            read = timeout(SILENCE, reader.read(&mut buffer)) => read.context("silence")??,
            changed = stop.changed(), if !asked => {
                changed?;
                writer.shutdown().await?;
                asked = true;
                continue;
            }
        };
        match length {
            0 if asked => return Ok(()),
            0 => bail!("the server has closed"),
            _ if !pattern.goes_on_with(&buffer[..length]) => bail!("other bytes than were sent"),
            _ => count.fetch_add(length as u64, Ordering::Relaxed),
        };
    }
}
