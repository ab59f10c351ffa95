//! Links, addresses, routes and neighbours as the kernel knows them. [`watch()`] keeps a
//! [`Topology`](crate::topology::Topology) fresh.
//!
//! `snapshot` turns netlink messages into plain rows, `resolve` decides on rows alone, `socket` asks the kernel and
//! `watcher` is the loop around them.

pub(crate) mod resolve;
pub(crate) mod snapshot;
pub(crate) mod socket;
mod watcher;

use std::{collections::BTreeSet, io, net::Ipv4Addr};

use tokio::sync::watch;

pub use watcher::Watcher;

/// A failure of netlink; says what was tried.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No netlink socket could be opened.
    #[error("cannot open a netlink socket: {0}")]
    Open(#[source] io::Error),
    /// The kernel refused a request.
    #[error("cannot {action}: {reason}")]
    Refused {
        /// What was tried.
        action: String,
        /// The kernel's answer.
        #[source]
        reason: io::Error,
    },
    /// The socket failed, or gave an answer that fits no question.
    #[error("cannot {action}: netlink failed: {reason}")]
    Broken {
        /// What was tried.
        action: String,
        /// What happened.
        reason: String,
    },
}

impl Error {
    /// The `errno` that the kernel answered with, if it did.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Open(reason) | Self::Refused { reason, .. } => reason.raw_os_error(),
            Self::Broken { .. } => None,
        }
    }
}

/// Names of the interfaces of this network namespace.
///
/// # Errors
/// When netlink cannot be asked.
pub async fn interfaces() -> Result<BTreeSet<String>, Error> {
    let links = socket::Requests::open()?.links().await?;
    Ok(links.iter().filter_map(snapshot::link).map(|(name, _)| name).collect())
}

/// Watches the network, and the way to each of `targets` in particular: their neighbour entries are kept resolved for
/// as long as they are targets. The first topology has been read when this returns; later ones are sent on change only.
/// Watching ends when the [`Watcher`] or the sender of `targets` is dropped; neighbour entries are left as they are
/// then, so that packets keep flowing while the daemon is away.
///
/// # Errors
/// When netlink cannot be asked. Later failures are logged, and tried again.
pub async fn watch(targets: watch::Receiver<BTreeSet<Ipv4Addr>>) -> Result<Watcher, Error> {
    Watcher::start(targets).await
}
