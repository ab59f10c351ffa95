//! The data plane behind a trait: [`kernel`] is the XDP program and its pinned maps, [`memory`] a twin without a kernel.
//! Nothing outside this folder imports aya.

mod adopt;
mod attach;
mod btf;
mod carry;
mod described;
mod entry;
mod fields;
mod filter;
mod flow_table;
pub mod globals;
pub mod kernel;
mod layout;
mod lease;
mod link_info;
mod load;
mod mapped;
mod maps;
pub mod memory;
pub mod object;
mod old_reals;
mod owner_change;
pub mod pins;
mod predecessor;
mod preflight;
mod program_log;
pub mod programs;
mod replacement;
mod resize;
mod schedules;
mod syscall;
mod verifier;

use std::{collections::BTreeMap, sync::Arc, time::Instant};

use lb_common::{
    Counter, Methods, Real, RealCounters, Reason, RouterRole, ServiceKey, SharedHop,
    flow_table::{HashKey, STAMP_SHIFT, Shared, SharedMarks, Stamp, Timeouts},
};

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
    /// Close a service for new connections, or open it: nothing else of it changes.
    SetClosed(ServiceKey, bool),
    /// Answer for a floating address in this way alone.
    SetFloating(std::net::Ipv4Addr, lb_common::Floating),
    /// The opposite.
    RemoveFloating(std::net::Ipv4Addr),
    /// Take frames to a virtual MAC address for the router's own.
    SetVirtualMac(lb_common::VirtualMacKey, lb_common::VirtualMac),
    /// The opposite.
    RemoveVirtualMac(lb_common::VirtualMacKey),
    /// Open or close the router for new connections.
    SetRole(RouterRole),
    /// Have packets meet the program that is made for these forwarding methods.
    UseMethods(Methods),
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

    /// The schedules.
    fn schedules(&self) -> Arc<dyn Schedules>;
    /// The lease that floating addresses are answered for under.
    fn lease(&self) -> Arc<dyn Lease>;

    /// How the program is attached, by interface: `"native"` or `"generic"`.
    fn attach_modes(&self) -> BTreeMap<String, &'static str>;
}

/// Until when the data plane answers for the floating addresses of each group, by its number. Independent of its [`Datapath`]: the
/// heartbeat renews a lease before it speaks, and waits for nobody.
pub trait Lease: Send + Sync {
    /// Lets it answer until then. A moment that is over ends the lease.
    fn set(&self, lease: u32, until: Instant);

    /// Lets it answer no longer.
    fn release(&self, lease: u32);

    /// Whether it answers now, as it sees it itself.
    fn runs(&self, lease: u32) -> bool;
}

/// The flow table, for whoever has the time to read it: a large one takes some milliseconds. Independent of its
/// [`Datapath`], so that another thread may do it.
pub trait FlowTable: Send + Sync {
    /// The buckets, which the program changes meanwhile.
    fn buckets(&self) -> &[Shared];

    /// The marks of buckets that have changed, which the program sets meanwhile: for each bucket one, in its order.
    fn changes(&self) -> &[SharedMarks];

    /// The secret that says which buckets a connection may stand in.
    fn hash_key(&self) -> HashKey;

    /// A real server's slot as it is installed now; `None` where there is no such slot.
    fn real(&self, index: u16) -> Option<Real>;

    /// The table of last hops, which the program adds to meanwhile.
    fn last_hops(&self) -> &[SharedHop];

    /// The clock that entries are stamped with.
    ///
    /// # Errors
    /// When the data plane does not tell.
    fn clock(&self) -> Result<Clock, Error>;
}

/// Where the schedules of services stand, for whoever copies that to the peer. Independent of its [`Datapath`], too.
pub trait Schedules: Send + Sync {
    /// Position of the next connection of every service that is scheduled in turn.
    ///
    /// # Errors
    /// When a map cannot be read.
    fn positions(&self) -> Result<BTreeMap<ServiceKey, u64>, Error>;

    /// Has a service go on from there; nothing happens where it is not scheduled in turn, or unknown.
    ///
    /// # Errors
    /// When a map cannot be read or written.
    fn set_position(&self, key: &ServiceKey, position: u64) -> Result<(), Error>;
}

/// The time of the flow table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clock {
    /// Now.
    pub now: Stamp,
    /// How long connections live.
    pub timeouts: Timeouts,
    /// Jiffies in a second.
    pub hz: u32,
}

impl Clock {
    /// Whole seconds in `units` of the flow table's time.
    pub fn secs(&self, units: u32) -> u64 {
        (u64::from(units) << STAMP_SHIFT) / u64::from(self.hz.max(1))
    }

    /// The moment `millis` milliseconds ago, or half of the range of a [`Stamp`] ago where that is less: what is older
    /// would look like the future.
    pub fn before(&self, millis: u32) -> Stamp {
        let units = (u64::from(millis) * u64::from(self.hz)).div_ceil(1000 << STAMP_SHIFT);
        let units = u32::try_from(units).unwrap_or(u32::MAX).min(Stamp::MASK / 2);
        Stamp::new(self.now.number().wrapping_sub(units))
    }
}

impl Default for Clock {
    /// Moment 0 at 250 Hz.
    fn default() -> Self {
        Self { now: Stamp::default(), timeouts: Timeouts::at(250), hz: 250 }
    }
}
