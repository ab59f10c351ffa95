//! Types that the XDP program and the daemon share through BPF maps.
//!
//! Rules, each checked at compile time or by `tests/layout.rs`:
//!
//! - `repr(C)`, no implicit padding, no enum or `bool` in a map value (any byte may stand in a map): an enum is
//!   stored as its `u8` and read through `from_u8`.
//! - IPv4 and MAC addresses are octet arrays in network order. Ports are `u16` in **host order**, so that
//!   `bpftool map dump` prints `"port": 8080` and not `[31, 144]`; the one swap a packet costs is a single instruction.
//! - Times are nanoseconds of `CLOCK_MONOTONIC`, what `bpf_ktime_get_coarse_ns` returns.
//! - [`LAYOUT_VERSION`] changes with any size, offset or meaning here. It is part of the pin path, so that a daemon
//!   never reads a map of another shape.
#![no_std]

mod counters;
mod flow;
mod hop;
mod real;
mod reason;
mod ring;
mod router;
mod service;

#[cfg(feature = "user")]
mod pod;

pub use counters::{Counter, RealCounters};
pub use flow::{ConnState, Direction, Flow, FlowKey};
pub use hop::PeerHop;
pub use real::{Method, Real, RealKey, RealState};
pub use reason::{Reason, Verdict};
pub use ring::{RING_SLOTS, Ring, SH_BUCKETS};
pub use router::{RouterRole, RouterState};
pub use service::{Scheduler, Service, ServiceKey};

/// Version of every type in this crate, and of the meaning of its fields. Part of the pin path.
pub const LAYOUT_VERSION: u32 = 2;

/// IPv4 protocol numbers (IANA "Assigned Internet Protocol Numbers").
pub const IPPROTO_TCP: u8 = 6;
/// See [`IPPROTO_TCP`].
pub const IPPROTO_UDP: u8 = 17;

/// Names of the pinned maps, the same on both sides. The kernel cuts a map name at 15 characters.
pub mod map {
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
    /// [`FlowKey`](crate::FlowKey) → [`Flow`](crate::Flow), an LRU hash.
    pub const FLOWS: &str = "FLOWS";
    /// One [`RouterState`](crate::RouterState), an array.
    pub const ROUTER: &str = "ROUTER";
    /// Interface index → [`PeerHop`](crate::PeerHop), a hash.
    pub const PEER_HOPS: &str = "PEER_HOPS";
    /// The router's own IPv4 addresses (`[u8; 4]`) → 1 (`u8`), a hash.
    pub const LOCALS: &str = "LOCALS";
    /// [`Reason`](crate::Reason) → [`Counter`](crate::Counter), a per-CPU array.
    pub const REASONS: &str = "REASONS";
    /// Real server index → [`RealCounters`](crate::RealCounters), a per-CPU array.
    pub const REAL_COUNTERS: &str = "REAL_COUNTERS";

    /// Every pinned map.
    pub const ALL: [&str; 11] = [
        SERVICES,
        REALS,
        REAL_KEYS,
        RINGS,
        POSITIONS,
        FLOWS,
        ROUTER,
        PEER_HOPS,
        LOCALS,
        REASONS,
        REAL_COUNTERS,
    ];
}
