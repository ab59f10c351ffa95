//! Every map. The daemon writes all of them but the flow table with its last hops and overflows, the positions and the
//! counters, which the program writes; it pins them all, and may resize those that say so when it loads the program.
//!
//! What every packet reads is an array: the verifier turns its look-up into a few instructions, where a hash is a call.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    btf_maps::{Array, HashMap, PerCpuArray, ProgramArray},
    macros::btf_map,
};
use lb_common::{
    AddressFilter, CACHED_PEERS, CACHED_SERVICES, CachedPeer, CachedService, Counter, Floating,
    LAST_HOPS as LAST_HOP_COUNT, LEASES as LEASE_COUNT, LastHop, Lease, OVERFLOWS as OVERFLOW_COUNT, PeerHop,
    Real, RealCounters, RealKey, Reason, Ring, RouterState, Service, ServiceKey,
    VIRTUAL_MACS as VIRTUAL_MAC_COUNT, VirtualMac, VirtualMacKey,
    flow_table::{ChangeMarks, HashKey, RawBucket, bucket_count, mark_count},
};

/// The daemon maps it into its memory.
const MAPPED: usize = BPF_F_MMAPABLE as usize;

/// The programs that are jumped to, by [`lb_common::tail`].
#[btf_map]
pub(crate) static PROGRAMS: ProgramArray<2> = ProgramArray::new();

/// Virtual services. Resized to `limits.services`.
#[btf_map]
pub(crate) static SERVICES: HashMap<ServiceKey, Service, 256> = HashMap::new();

/// Real servers by index. Resized to `limits.reals`.
#[btf_map]
pub(crate) static REALS: Array<Real, 4096, MAPPED> = Array::new();

/// NAT real servers by address and port, to recognise their replies. Resized to `limits.reals`.
#[btf_map]
pub(crate) static REAL_KEYS: HashMap<RealKey, u32, 4096> = HashMap::new();

/// Schedules, two for each service: one is read while the other is written. Resized to twice `limits.services`.
#[btf_map]
pub(crate) static RINGS: Array<Ring, 512> = Array::new();

/// Next position in each ring, counted by the program. Resized to twice `limits.services`.
#[btf_map]
pub(crate) static POSITIONS: Array<u64, 512> = Array::new();

/// Connections. Resized to what `limits.flows` needs.
#[btf_map]
pub(crate) static FLOWS: Array<RawBucket, { bucket_count(1 << 20) as usize }, MAPPED> = Array::new();

/// Which buckets have changed. Resized with the flow table.
#[btf_map]
pub(crate) static CHANGES: Array<ChangeMarks, { mark_count(bucket_count(1 << 20)) as usize }, MAPPED> =
    Array::new();

/// The secret of the flow table, for the daemon: the program has it as a global, and nobody needs it without the table.
#[btf_map]
pub(crate) static HASH_KEY: Array<HashKey, 1> = Array::new();

/// The neighbours that the clients' packets come from.
#[btf_map]
pub(crate) static LAST_HOPS: Array<LastHop, LAST_HOP_COUNT, MAPPED> = Array::new();

/// When connections were last forwarded without an entry, by bucket.
#[btf_map]
pub(crate) static OVERFLOWS: Array<u32, OVERFLOW_COUNT> = Array::new();

/// The addresses that concern the balancer.
#[btf_map]
pub(crate) static ADDRESSES: Array<AddressFilter, 1> = Array::new();

/// Role of this router: one entry.
#[btf_map]
pub(crate) static ROUTER: Array<RouterState, 1> = Array::new();

/// The peer router by interface index.
#[btf_map]
pub(crate) static PEER_HOPS: HashMap<u32, PeerHop, 64> = HashMap::new();

/// Own IPv4 addresses.
#[btf_map]
pub(crate) static LOCALS: HashMap<[u8; 4], u8, 1024> = HashMap::new();

/// The addresses that move with the active role, and how each is answered for.
#[btf_map]
pub(crate) static FLOATING: HashMap<[u8; 4], Floating, 1024> = HashMap::new();

/// The virtual MAC addresses that they may have, by interface.
#[btf_map]
pub(crate) static VIRTUAL_MACS: HashMap<VirtualMacKey, VirtualMac, VIRTUAL_MAC_COUNT> = HashMap::new();

/// Until when this router may answer for them.
#[btf_map]
pub(crate) static LEASES: Array<Lease, LEASE_COUNT, MAPPED> = Array::new();

/// How often the services and the ways to the peer have changed.
#[btf_map]
pub(crate) static EPOCH: Array<u32, 1> = Array::new();

/// Services as this processor has looked them up.
#[btf_map]
pub(crate) static SERVICE_CACHE: PerCpuArray<CachedService, CACHED_SERVICES> = PerCpuArray::new();

/// Ways to the peer as this processor has looked them up.
#[btf_map]
pub(crate) static PEER_CACHE: PerCpuArray<CachedPeer, CACHED_PEERS> = PerCpuArray::new();

/// Packets and bytes by reason.
#[btf_map]
pub(crate) static REASONS: PerCpuArray<Counter, { Reason::ALL.len() }> = PerCpuArray::new();

/// Counters by real server index. Resized to `limits.reals`.
#[btf_map]
pub(crate) static REAL_COUNTERS: PerCpuArray<RealCounters, 4096> = PerCpuArray::new();
