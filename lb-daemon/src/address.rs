//! Floating addresses: the virtual addresses and the NAT router address, which the active router alone has on its
//! interfaces. An address is the same one if address, prefix length and interface are.
//!
//! A floating address is `lbd`'s to set and to remove, whoever has set it. An address that is none, because it has left the
//! configuration, is removed only where `lbd` has added it: `memory` says how that is known.

mod memory;
mod plan;
mod promote;
mod work;

use std::{fmt, path::Path};

use self::{
    memory::Memory,
    work::{Host, Work},
};
use crate::{
    config::Vip,
    netlink::{self, socket::Requests},
    state_file,
};

/// What has been done to an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A floating address was missing and has been added.
    Added(Vip),
    /// An address that is not to stand has been removed.
    Removed(Vip),
    /// Another address went down with a removed one, and has been put back.
    Restored(Vip),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Vip { address, interface }, done) = match self {
            Self::Added(vip) => (vip, "added"),
            Self::Removed(vip) => (vip, "removed"),
            Self::Restored(vip) => (vip, "put back"),
        };
        write!(f, "address {address} on {interface}: {done}")
    }
}

/// Why the floating addresses are not as they should be.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What stands could not be read.
    #[error(transparent)]
    Read(#[from] netlink::Error),
    /// Some changes failed; the others were made nevertheless.
    #[error("{}", .failures.join("; "))]
    Incomplete {
        /// Changes that were made.
        changes: Vec<Change>,
        /// What failed, a line each, at least one.
        failures: Vec<String>,
    },
}

/// Where the floating addresses are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// On their interfaces.
    Here,
    /// Not on this router.
    Away,
    /// Where they are: nothing is decided yet.
    AsTheyAre,
}

/// Sets and removes floating addresses.
#[derive(Clone, Debug)]
pub struct Addresses {
    memory: Memory,
}

impl Addresses {
    /// For the daemon with this API socket, on a kernel of this release: beside the socket is the place for what a kernel before
    /// 5.18 does not remember.
    pub fn new(socket: &Path, release: &str) -> Self {
        Self { memory: Memory::new(state_file::beside(socket, "addresses"), release) }
    }

    /// Makes each of the `floating` addresses stand or not, as it is wanted, and removes those that `lbd` has added and that are floating no
    /// more. What is as it should be is left alone, so that a second call changes nothing. No other address is lost, even one
    /// that the kernel counts as a secondary of a removed address.
    ///
    /// # Errors
    /// When what stands cannot be read, or when some change fails: the others are made nevertheless.
    pub async fn reconcile(&self, floating: &[(Vip, Wanted)]) -> Result<Vec<Change>, Error> {
        let requests = Requests::open()?;
        let before = Host::read(&requests).await?;
        let recorded = self.memory.recorded();
        let is_own = |standing: &plan::Standing| self.memory.is_own(standing, &recorded);
        let missing = plan::missing(&before.standing, floating);
        let removals = plan::removals(&before.standing, floating, is_own);
        let mut work = Work { requests, changes: Vec::new(), failures: Vec::new() };
        // Remembered first: a daemon that is killed in between leaves nothing that nobody knows of.
        let mut known = recorded.clone();
        known.extend(missing.iter().map(|vip| (*vip).clone()));
        let noted = self.memory.record(&recorded, &known);
        // Added first: where an address has changed its prefix length or interface, it is never missing.
        work.add(&before, &missing).await;
        work.remove(&before, &removals).await?;
        let now = plan::remembered(&before.standing, &recorded, &work.changes);
        let noted = noted.and(self.memory.record(&known, &now));
        work.failures
            .extend(noted.err().map(|error| format!("cannot note which addresses are added: {error}")));
        if work.failures.is_empty() {
            Ok(work.changes)
        } else {
            Err(Error::Incomplete { changes: work.changes, failures: work.failures })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_of_several_is_one_line() {
        let failures =
            ["cannot add 10.0.0.9/32 to eth0", "cannot add 10.0.0.8/32 to eth0"].map(str::to_owned).into();
        let error = Error::Incomplete { changes: Vec::new(), failures };
        assert_eq!(error.to_string(), "cannot add 10.0.0.9/32 to eth0; cannot add 10.0.0.8/32 to eth0");
    }
}
