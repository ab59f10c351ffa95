//! Connections by the hundred thousand: each has an address and a port of its own, exchanges a few words with the
//! server behind the service (see [`names`]), and closes in one of three ways.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddrV4},
    ops::Range,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use tokio::{
    io::AsyncReadExt,
    net::{TcpSocket, TcpStream},
    runtime,
    time::timeout,
};

use super::{
    netns::Namespace,
    responder::names::{self, LAST, Word},
};

/// First port that is used of each address.
const FIRST_PORT: u16 = 10_000;

/// Who connects, and where.
#[derive(Clone, Debug)]
pub struct Crowd {
    /// Where the clients are.
    pub namespace: Namespace,
    /// The clients' addresses.
    pub sources: Vec<Ipv4Addr>,
    /// The service.
    pub target: SocketAddrV4,
    /// Connections at a time.
    pub concurrency: usize,
    /// Time a connection may take from opening to the end of its exchange.
    pub timeout: Duration,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// By RST, after the exchange: no side remembers the connection.
    Reset,
    /// By FIN, the client first; its kernel keeps the port for a minute.
    ByClient,
    /// By FIN, the server first.
    ByServer,
}

/// What became of connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Whole exchanges, by server.
    pub servers: BTreeMap<String, u64>,
    /// Failures, by what was said of them.
    pub failures: BTreeMap<String, u64>,
}

/// Connections that are held open. Dropping it resets them.
#[derive(Debug)]
pub struct Held {
    streams: Vec<(std::net::TcpStream, Word)>,
}

impl Crowd {
    /// The address and port of connection `number`.
    ///
    /// # Errors
    /// When the ports do not suffice.
    pub fn source(&self, number: u32) -> Result<SocketAddrV4> {
        let count = u32::try_from(self.sources.len())?;
        let round = number.checked_div(count).context("no client has an address")?;
        let port = u16::try_from(u32::from(FIRST_PORT) + round).context("no more ports")?;
        Ok(SocketAddrV4::new(self.sources[(number % count) as usize], port))
    }

    /// Makes the connections of these `numbers`, in their order and as fast as the concurrency allows; `close` says how
    /// each ends.
    ///
    /// # Errors
    /// When the namespace cannot be entered, or ports do not suffice; a connection that fails is counted.
    pub fn run(&self, numbers: Range<u32>, close: impl Fn(u32) -> Close + Sync) -> Result<Tally> {
        self.source(numbers.end)?;
        self.block_on(|| async {
            let (next, tally) = (Cell::new(numbers.start), RefCell::new(Tally::default()));
            let worker = async || {
                while next.get() < numbers.end {
                    let number = next.replace(next.get() + 1);
                    let outcome = timeout(self.timeout, self.converse(number, close(number))).await;
                    tally.borrow_mut().add(outcome.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())));
                }
            };
            futures_util::future::join_all((0..self.concurrency).map(|_| worker())).await;
            Ok(tally.into_inner())
        })
    }

    /// Opens the connections of these `numbers`, one after the other.
    ///
    /// # Errors
    /// When one fails.
    pub fn hold(&self, numbers: Range<u32>) -> Result<Held> {
        self.block_on(|| async {
            let mut streams = Vec::with_capacity(numbers.len());
            for number in numbers {
                let open = timeout(self.timeout, self.open(number)).await;
                let (stream, name) = open?.with_context(|| format!("connection {number}"))?;
                stream.set_zero_linger()?;
                streams.push((stream.into_std()?, name));
            }
            Ok(Held { streams })
        })
    }

    /// Runs a task on a thread in the namespace.
    fn block_on<T: Send>(&self, task: impl AsyncFnOnce() -> Result<T> + Send) -> Result<T> {
        self.namespace.enter(|| {
            // One thread: a worker of its own would be outside the namespace.
            let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(task())
        })?
    }

    async fn open(&self, number: u32) -> io::Result<(TcpStream, Word)> {
        let source = self.source(number).map_err(io::Error::other)?;
        let socket = TcpSocket::new_v4()?;
        // The port may have been used by a connection of which this kernel still remembers the end.
        socket.set_reuseaddr(true)?;
        socket.bind(source.into())?;
        let mut stream = socket.connect(self.target.into()).await?;
        let name = names::greeted(&mut stream).await?;
        Ok((stream, name))
    }

    /// A whole connection; returns who answered.
    async fn converse(&self, number: u32, close: Close) -> io::Result<Word> {
        let (mut stream, greeting) = self.open(number).await?;
        let last = if close == Close::ByServer { LAST } else { 0 };
        let name = names::asked(&mut stream, u64::from(number) | last).await?;
        if name != greeting {
            return Err(io::Error::other("two servers on one connection"));
        }
        match close {
            Close::Reset => stream.set_zero_linger()?,
            Close::ByClient => {
                tokio::io::AsyncWriteExt::shutdown(&mut stream).await?;
                ended(&mut stream).await?;
            }
            Close::ByServer => ended(&mut stream).await?,
        }
        Ok(name)
    }
}

impl Held {
    /// The connections, each with the server that greeted.
    pub(super) fn into_streams(self) -> Vec<(std::net::TcpStream, Word)> {
        self.streams
    }

    /// Every connection exchanges a word with its server and is then reset; returns who answered.
    ///
    /// # Errors
    /// When one was cut, or another server answers than greeted.
    pub fn close(self) -> Result<Tally> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut tally = Tally::default();
            for (number, (stream, greeting)) in (0..).zip(self.streams) {
                let name = names::asked(&mut TcpStream::from_std(stream)?, number).await?;
                if name != greeting {
                    bail!("{} greeted and {} answers", names::name(greeting), names::name(name));
                }
                tally.add(Ok(name));
            }
            Ok(tally)
        })
    }
}

impl Tally {
    /// Both together.
    pub fn merge(&mut self, other: Self) {
        for (mine, others) in [(&mut self.servers, other.servers), (&mut self.failures, other.failures)] {
            for (what, count) in others {
                *mine.entry(what).or_default() += count;
            }
        }
    }

    /// Whole exchanges.
    pub fn succeeded(&self) -> u64 {
        self.servers.values().sum()
    }

    pub(super) fn add(&mut self, outcome: io::Result<Word>) {
        let counter = match outcome {
            Ok(name) => self.servers.entry(names::name(name)),
            Err(error) => self.failures.entry(error.to_string()),
        };
        *counter.or_default() += 1;
    }
}

/// Waits for the server's FIN.
async fn ended(stream: &mut TcpStream) -> io::Result<()> {
    match stream.read(&mut [0]).await? {
        0 => Ok(()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidData, "more than the answer")),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_connection_has_a_source_of_its_own() {
        let crowd = Crowd {
            namespace: Namespace::existing("none"),
            sources: [1, 2, 3].map(|last| Ipv4Addr::new(192, 0, 2, last)).into(),
            target: SocketAddrV4::new(Ipv4Addr::LOCALHOST, 1),
            concurrency: 1,
            timeout: Duration::ZERO,
        };
        let sources: BTreeSet<_> = (0..1000).map(|number| crowd.source(number).unwrap()).collect();
        assert_eq!(sources.len(), 1000);
        assert!(crowd.source(3 * 60_000).is_err());
    }
}
