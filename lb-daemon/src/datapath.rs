//! The data plane behind a trait: [`kernel`] is the XDP program and its pinned maps, [`memory`] a twin without a kernel.
//! Nothing outside this folder imports aya.

mod attach;
mod flow_table;
pub mod kernel;
mod link_info;
mod load;
mod maps;
pub mod memory;
pub mod object;
mod owner_change;
pub mod pins;
mod preflight;
mod program_log;
mod syscall;
pub mod verifier;

use std::{collections::BTreeMap, sync::Arc};

use lb_common::{Counter, Flow, FlowKey, Real, RealCounters, Reason, RouterRole, ServiceKey};

use crate::tables::{ServiceTable, Tables};

/// One change of the data plane, each atomic for the packets that pass meanwhile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Write a real server's slot.
    SetReal(u32, Real),
    /// Write a service and its ring: the ring first, into the half that no packet reads, then the service.
    SetService(ServiceKey, ServiceTable),
    /// Forget a service.
    RemoveService(ServiceKey),
    /// Let replies of a NAT real server be recognised.
    SetRealKey(lb_common::RealKey, u32),
    /// The opposite.
    RemoveRealKey(lb_common::RealKey),
    /// Set the way to the peer on an interface.
    SetPeerHop(u32, lb_common::PeerHop),
    /// The opposite.
    RemovePeerHop(u32),
    /// Add an own address.
    AddLocal(std::net::Ipv4Addr),
    /// Remove one.
    RemoveLocal(std::net::Ipv4Addr),
    /// Open or close the router for new connections.
    SetRole(RouterRole),
}

/// A failure of the data plane; says which map or call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A map operation failed.
    #[error("map {map}: {action} failed: {reason}")]
    Map {
        /// Name of the map.
        map: &'static str,
        /// What was tried.
        action: &'static str,
        /// What the kernel or aya said.
        reason: String,
    },
    /// Loading, attaching or pinning failed; the text is one line for the operator.
    #[error("{0}")]
    Setup(String),
}

/// What the daemon needs of a data plane.
pub trait Datapath: Send {
    /// What stands in the maps, whoever wrote it.
    ///
    /// # Errors
    /// When a map cannot be read.
    fn installed(&self) -> Result<Tables, Error>;

    /// Performs one change.
    ///
    /// # Errors
    /// When the kernel refuses; the change has then not happened.
    fn apply(&mut self, op: &Op) -> Result<(), Error>;

    /// Position of the next connection in a service's ring.
    ///
    /// # Errors
    /// When the map cannot be read.
    fn position(&self, key: &ServiceKey) -> Result<Option<u64>, Error>;

    /// Counters by reason, summed over the CPUs.
    ///
    /// # Errors
    /// When the map cannot be read.
    fn reasons(&self) -> Result<BTreeMap<Reason, Counter>, Error>;

    /// Counters of these real servers, summed over the CPUs.
    ///
    /// # Errors
    /// When the map cannot be read.
    fn real_counters(&self, indices: &[u32]) -> Result<BTreeMap<u32, RealCounters>, Error>;

    /// Sets the counters of a real server to zero: its slot has a new owner.
    ///
    /// # Errors
    /// When the map cannot be written.
    fn reset_real_counters(&mut self, index: u32) -> Result<(), Error>;

    /// The flow table.
    fn flow_table(&self) -> Arc<dyn FlowTable>;

    /// How the program is attached, by interface: `"native"` or `"generic"`.
    fn attach_modes(&self) -> BTreeMap<String, &'static str>;
}

/// The flow table, for whoever has the time to read it: a full one takes a tenth of a second. Independent of its
/// [`Datapath`], so that another thread may do it.
pub trait FlowTable: Send + Sync {
    /// Every entry, both directions.
    ///
    /// # Errors
    /// When the map cannot be read.
    fn flows(&self) -> Result<Vec<(FlowKey, Flow)>, Error>;

    /// The real servers as they are installed now, by slot.
    ///
    /// # Errors
    /// When the map cannot be read.
    fn reals(&self) -> Result<BTreeMap<u32, Real>, Error>;

    /// Forgets the entries that are still as they were read. One that has changed since belongs to a connection that
    /// lives again, and one that is gone is no error.
    ///
    /// # Errors
    /// When the map cannot be read or written.
    fn forget(&self, entries: &[(FlowKey, Flow)]) -> Result<(), Error>;

    /// Nanoseconds of the clock that flows are stamped with.
    fn now(&self) -> u64;
}
