//! Types that the XDP program and the daemon share through BPF maps.
//!
//! Rules, each checked at compile time or by `tests/layout.rs`:
//!
//! - `repr(C)`, no implicit padding, no enum or `bool` in a map value (any byte may stand in a map): an enum is
//!   stored as its `u8` and read through `from_u8`.
//! - IPv4 and MAC addresses are octet arrays in network order. Ports are `u16` in **host order**, so that
//!   `bpftool map dump` prints `"port": 8080` and not `[31, 144]`; the one swap a packet costs is a single instruction.
//! - Times are [`Stamp`](flow_table::Stamp)s: jiffies cost a packet nothing, where the clock's helper costs 14 ns.
//! - [`LAYOUT_VERSION`] changes with any size, offset or meaning here. It is part of the pin path, so that a daemon
//!   never reads a map of another shape. A field that takes the place of padding, which always was zero, and whose zero means what
//!   no field did, is no change.
#![cfg_attr(not(test), no_std)]

mod address_filter;
mod cache;
mod conn_state;
mod counters;
mod floating;
mod flow_key;
pub mod flow_table;
mod hop;
mod last_hop;
mod lease;
mod method;
mod overflow;
mod real;
mod reason;
mod ring;
mod router;
mod service;

#[cfg(feature = "user")]
mod pod;

pub use address_filter::{AddressFilter, FILTER_WORDS};
pub use cache::{CACHED_PEERS, CACHED_SERVICES, CachedPeer, CachedService};
pub use conn_state::ConnState;
pub use counters::{Counter, RealCounters};
pub use floating::{Floating, VIRTUAL_MACS, VirtualMac, VirtualMacKey};
pub use flow_key::FlowKey;
pub use hop::PeerHop;
#[cfg(not(target_arch = "bpf"))]
pub use last_hop::SharedHop;
pub use last_hop::{LAST_HOPS, LastHop, mac_number};
#[cfg(not(target_arch = "bpf"))]
pub use lease::SharedLease;
pub use lease::{LEASES, Lease};
pub use method::{Method, Methods};
pub use overflow::OVERFLOWS;
pub use real::{Real, RealKey, RealState};
pub use reason::{Reason, Verdict};
pub use ring::{MH_SLOTS, RING_SLOTS, Ring, SH_BUCKETS};
pub use router::{RouterRole, RouterState};
pub use service::{Scheduler, Service, ServiceKey};

/// Version of every type in this crate, and of the meaning of its fields. Part of the pin path.
pub const LAYOUT_VERSION: u32 = 5;

/// IPv4 protocol numbers (IANA "Assigned Internet Protocol Numbers").
pub const IPPROTO_TCP: u8 = 6;
/// See [`IPPROTO_TCP`].
pub const IPPROTO_UDP: u8 = 17;

/// Names of the pinned maps, the same on both sides. The kernel cuts a map name at 15 characters.
pub mod map {
    /// Index in [`tail`](crate::tail) → program, an array of programs.
    pub const PROGRAMS: &str = "PROGRAMS";
    /// [`ServiceKey`](crate::ServiceKey) → [`Service`](crate::Service), a hash.
    pub const SERVICES: &str = "SERVICES";
    /// Index → [`Real`](crate::Real), an array.
    pub const REALS: &str = "REALS";
    /// [`RealKey`](crate::RealKey) → real server index (`u32`), a hash: NAT real servers only.
    pub const REAL_KEYS: &str = "REAL_KEYS";
    /// Ring index → [`Ring`](crate::Ring), an array.
    pub const RINGS: &str = "RINGS";
    /// Ring index → next position (`u64`), an array.
    pub const POSITIONS: &str = "POSITIONS";
    /// Bucket index → [`RawBucket`](crate::flow_table::RawBucket), an array that may be mapped.
    pub const FLOWS: &str = "FLOWS";
    /// Bucket index divided by [`MARKS`](crate::flow_table::MARKS) → [`ChangeMarks`](crate::flow_table::ChangeMarks), an array
    /// that may be mapped: which buckets have changed.
    pub const CHANGES: &str = "CHANGES";
    /// One [`HashKey`](crate::flow_table::HashKey), an array: made with the flow table, and kept with it.
    pub const HASH_KEY: &str = "HASH_KEY";
    /// Index → [`LastHop`](crate::LastHop), an array that may be mapped.
    pub const LAST_HOPS: &str = "LAST_HOPS";
    /// Bucket index modulo its size → [`Stamp`](crate::flow_table::Stamp), an array: when a connection was last forwarded
    /// without an entry, because both buckets were full.
    pub const OVERFLOWS: &str = "OVERFLOWS";
    /// One [`AddressFilter`](crate::AddressFilter), an array.
    pub const ADDRESSES: &str = "ADDRESSES";
    /// One [`RouterState`](crate::RouterState), an array.
    pub const ROUTER: &str = "ROUTER";
    /// Interface index → [`PeerHop`](crate::PeerHop), a hash.
    pub const PEER_HOPS: &str = "PEER_HOPS";
    /// The router's own IPv4 addresses (`[u8; 4]`) → 1 (`u8`), a hash.
    pub const LOCALS: &str = "LOCALS";
    /// The addresses that move with the active role (`[u8; 4]`) → [`Floating`](crate::Floating), a hash. Without a peer, those with
    /// a virtual MAC address alone.
    pub const FLOATING: &str = "FLOATING";
    /// [`VirtualMacKey`](crate::VirtualMacKey) → [`VirtualMac`](crate::VirtualMac), a hash.
    pub const VIRTUAL_MACS: &str = "VIRTUAL_MACS";
    /// Index → [`Lease`](crate::Lease), an array that may be mapped.
    pub const LEASES: &str = "LEASES";
    /// One number (`u32`), an array: how often [`SERVICES`] and [`PEER_HOPS`] have changed.
    pub const EPOCH: &str = "EPOCH";
    /// Hash of a service's key → [`CachedService`](crate::CachedService), a per-CPU array.
    pub const SERVICE_CACHE: &str = "SERVICE_CACHE";
    /// Interface index modulo its size → [`CachedPeer`](crate::CachedPeer), a per-CPU array.
    pub const PEER_CACHE: &str = "PEER_CACHE";
    /// [`Reason`](crate::Reason) → [`Counter`](crate::Counter), a per-CPU array.
    pub const REASONS: &str = "REASONS";
    /// Real server index → [`RealCounters`](crate::RealCounters), a per-CPU array.
    pub const REAL_COUNTERS: &str = "REAL_COUNTERS";

    /// Every pinned map.
    pub const ALL: [&str; 23] = [
        PROGRAMS,
        SERVICES,
        REALS,
        REAL_KEYS,
        RINGS,
        POSITIONS,
        FLOWS,
        CHANGES,
        HASH_KEY,
        LAST_HOPS,
        OVERFLOWS,
        ADDRESSES,
        ROUTER,
        PEER_HOPS,
        LOCALS,
        FLOATING,
        VIRTUAL_MACS,
        LEASES,
        EPOCH,
        SERVICE_CACHE,
        PEER_CACHE,
        REASONS,
        REAL_COUNTERS,
    ];
}

/// The programs of the object.
pub mod program {
    use crate::{Method, Methods};

    /// Attached to interfaces, where every method is in use.
    pub const ENTRY: &str = "lb";
    /// The same where NAT alone is.
    pub const ENTRY_NAT: &str = "lb_nat";
    /// The same where direct routing alone is, or none.
    pub const ENTRY_DIRECT: &str = "lb_direct";
    /// Every program that may be attached to interfaces. They come to the same; what one is not made for, it leaves to [`ANY`].
    pub const ENTRIES: [&str; 3] = [ENTRY, ENTRY_NAT, ENTRY_DIRECT];
    /// Jumped to, for frames that are not of the common shape, and connections that are not found at first sight.
    pub const ANY: &str = "lb_any";
    /// Jumped to, for packets of no known connection.
    pub const NO_CONNECTION: &str = "lb_no_connection";
    /// Run by the daemon: returns the present [`Stamp`](crate::flow_table::Stamp).
    pub const CLOCK: &str = "lb_clock";

    /// The one of [`ENTRIES`] that does most for these methods.
    pub const fn entry(methods: Methods) -> &'static str {
        match (methods.has(Method::Nat), methods.has(Method::Direct)) {
            (true, true) => ENTRY,
            (true, false) => ENTRY_NAT,
            (false, _) => ENTRY_DIRECT,
        }
    }
}

/// Slots of [`PROGRAMS`](map::PROGRAMS).
pub mod tail {
    /// [`NO_CONNECTION`](crate::program::NO_CONNECTION).
    pub const NO_CONNECTION: u32 = 0;
    /// [`ANY`](crate::program::ANY).
    pub const ANY: u32 = 1;
}

/// Read-only globals of the program, which the loader sets. The verifier takes them for constants and removes what they
/// rule out.
pub mod global {
    /// Buckets of [`FLOWS`](crate::map::FLOWS), `u32`: at least 2, and no more than the map has.
    pub const BUCKETS: &str = "BUCKETS";
    /// [`Timeouts`](crate::flow_table::Timeouts) for this kernel's jiffies.
    pub const TIMEOUTS: &str = "TIMEOUTS";
    /// The [`HashKey`](crate::flow_table::HashKey) of the flow table, kept in the map [`HASH_KEY`](crate::map::HASH_KEY).
    pub const HASH_KEY: &str = "HASH_KEY_VALUE";
    /// Stamps in a second, `u32`, at least 1: how long a busy connection goes without being written to.
    pub const SECOND: &str = "SECOND";
    /// Whether there are virtual MAC addresses, `u32`, 0 or 1: without them nobody looks for one.
    pub const HAS_VIRTUAL_MACS: &str = "HAS_VIRTUAL_MACS";
}
