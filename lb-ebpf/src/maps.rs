//! Every map. The daemon writes all of them but `FLOWS`, `POSITIONS` and the counters, which the program writes; it
//! pins them all, and may resize those that say so when it loads the program.

use aya_ebpf::{
    btf_maps::{Array, HashMap, LruHashMap, PerCpuArray},
    macros::btf_map,
};
use lb_common::{
    Counter, Flow, FlowKey, PeerHop, Real, RealCounters, RealKey, Reason, Ring, RouterState, Service,
    ServiceKey,
};

/// Virtual services. Resized to `limits.services`.
#[btf_map]
pub(crate) static SERVICES: HashMap<ServiceKey, Service, 256> = HashMap::new();

/// Real servers by index. Resized to `limits.reals`.
#[btf_map]
pub(crate) static REALS: Array<Real, 4096> = Array::new();

/// NAT real servers by address and port, to recognise their replies. Resized to `limits.reals`.
#[btf_map]
pub(crate) static REAL_KEYS: HashMap<RealKey, u32, 4096> = HashMap::new();

/// Schedules, two for each service: one is read while the other is written. Resized to twice `limits.services`.
#[btf_map]
pub(crate) static RINGS: Array<Ring, 512> = Array::new();

/// Next position in each ring, counted by the program. Resized to twice `limits.services`.
#[btf_map]
pub(crate) static POSITIONS: Array<u64, 512> = Array::new();

/// Connections, one entry a direction. Resized to `limits.flows`.
#[btf_map]
pub(crate) static FLOWS: LruHashMap<FlowKey, Flow, 262144> = LruHashMap::new();

/// Role of this router: one entry.
#[btf_map]
pub(crate) static ROUTER: Array<RouterState, 1> = Array::new();

/// The peer router by interface index.
#[btf_map]
pub(crate) static PEER_HOPS: HashMap<u32, PeerHop, 64> = HashMap::new();

/// Own IPv4 addresses.
#[btf_map]
pub(crate) static LOCALS: HashMap<[u8; 4], u8, 1024> = HashMap::new();

/// Packets and bytes by reason.
#[btf_map]
pub(crate) static REASONS: PerCpuArray<Counter, { Reason::ALL.len() }> = PerCpuArray::new();

/// Counters by real server index. Resized to `limits.reals`.
#[btf_map]
pub(crate) static REAL_COUNTERS: PerCpuArray<RealCounters, 4096> = PerCpuArray::new();
