//! One UDP socket for each heartbeat path.

use std::{
    collections::BTreeMap,
    io,
    net::{SocketAddr, UdpSocket},
};

use tokio::io::Interest;

use super::Error;
use crate::{
    config::HeartbeatPath,
    endpoint,
    ha::heartbeat::{
        Heartbeat, Ignored,
        codec::{Codec, MAX_LEN, PeerKeys},
    },
};

/// Datagrams taken from one path in one go, so that a flood cannot keep the engine from the time.
const BATCH: usize = 512;

/// The socket of a path.
#[derive(Debug)]
pub(super) struct PathSocket {
    socket: UdpSocket,
    /// The same socket, for waiting alone: the runtime's idea of what can be read is older than the queue after a
    /// freeze, so the queue itself is read.
    waiter: tokio::net::UdpSocket,
    path: HeartbeatPath,
    remote: SocketAddr,
    /// Who was ignored last for not being the peer.
    stranger: Option<SocketAddr>,
    /// What sending said last, so that only a change is logged.
    failure: Option<io::ErrorKind>,
}

/// What a datagram was.
pub(super) type Arrival = Result<(Heartbeat, PeerKeys), Ignored>;

/// Heartbeats ignored so far, by cause.
pub(super) type IgnoredCounts = BTreeMap<Ignored, u64>;

impl PathSocket {
    /// Opens the socket of `path` on `port`.
    pub(super) fn open(path: &HeartbeatPath, port: u16) -> Result<Self, Error> {
        let local = || path.local.clone();
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => Error::PortTaken { port, local: local() },
            io::ErrorKind::AddrNotAvailable => Error::NoSuchAddress { local: local() },
            _ => Error::Socket { local: local(), port, source },
        };
        let remote = endpoint::resolve(&path.remote, port).map_err(failed)?;
        let socket = endpoint::resolve(&path.local, port).and_then(endpoint::udp).map_err(failed)?;
        let waiter = socket.try_clone().and_then(tokio::net::UdpSocket::from_std).map_err(failed)?;
        Ok(Self { socket, waiter, path: path.clone(), remote, stranger: None, failure: None })
    }

    /// The configured path.
    pub(super) const fn path(&self) -> &HeartbeatPath {
        &self.path
    }

    /// Waits until something has arrived.
    pub(super) async fn readable(&self) {
        // An error means that the runtime shuts down; the task ends with it.
        if self.waiter.readable().await.is_ok() {
            // Forget the readiness before the queue is read: what arrives from here on is a new wake-up.
            let forget = || Err::<(), _>(io::ErrorKind::WouldBlock.into());
            let _: io::Result<()> = self.waiter.try_io(Interest::READABLE, forget);
        }
    }

    /// Everything that has arrived, up to [`BATCH`] datagrams; the rest waits for the next turn of the driver, at most
    /// one interval.
    pub(super) fn receive(&mut self, codec: &Codec) -> Vec<Arrival> {
        let mut buffer = [0; MAX_LEN + 1];
        let mut next = || self.socket.recv_from(&mut buffer).map(|(len, from)| (buffer, len, from));
        let mut arrived = Vec::new();
        while arrived.len() < BATCH
            && let Ok((buffer, len, from)) = next()
        {
            arrived.push(if from == self.remote {
                codec.open(buffer.get(..len).unwrap_or_default())
            } else {
                self.stranger = Some(from);
                Err(Ignored::Stranger)
            });
        }
        arrived
    }

    /// Says in the log that a heartbeat of this path was ignored, the `total`th for this cause.
    pub(super) fn report(&self, ignored: Ignored, total: u64) {
        let (cause, local) = (ignored.name(), &self.path.local);
        let from = self.stranger.filter(|_| ignored == Ignored::Stranger).unwrap_or(self.remote);
        match ignored {
            // A few whenever a router starts.
            Ignored::Unproven => tracing::info!(%local, %from, cause, total, "heartbeat ignored: {ignored}"),
            Ignored::WrongKey
            | Ignored::Replayed
            | Ignored::Truncated
            | Ignored::Stranger
            | Ignored::Version
            | Ignored::UnknownGroup => {
                tracing::warn!(%local, %from, cause, total, "heartbeat ignored: {ignored}");
            }
        }
    }

    /// Sends `datagram` to the peer. A failure is logged when it changes, and never fatal: the link may come back.
    pub(super) fn send(&mut self, datagram: &[u8]) {
        let result = self.socket.send_to(datagram, self.remote);
        if result.is_err() {
            self.follow_interface();
        }
        let failure = result.as_ref().err().map(io::Error::kind);
        if failure == self.failure {
            return;
        }
        self.failure = failure;
        let (local, remote) = (&self.path.local, &self.path.remote);
        match result {
            Ok(_) => tracing::info!(%local, %remote, "heartbeats can be sent again"),
            Err(error) => tracing::warn!(%local, %remote, %error, "cannot send heartbeats"),
        }
    }

    /// Opens the socket anew when the interface of a link-local path was made anew: the old one stays bound to a number
    /// that is gone.
    fn follow_interface(&mut self) {
        let port = self.remote.port();
        let now = endpoint::resolve(&self.path.remote, port);
        if now.is_ok_and(|now| now != self.remote)
            && let Ok(anew) = Self::open(&self.path, port)
        {
            *self = Self { failure: self.failure, ..anew };
        }
    }
}
