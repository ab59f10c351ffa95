//! What stands, or should stand, in the BPF maps: the output of [`plan`](crate::plan) and what
//! [`Datapath::installed`](crate::datapath::Datapath::installed) reads back.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

use lb_common::{
    Floating, Methods, PeerHop, Real, RealKey, RealState, RouterRole, Scheduler, ServiceKey, VirtualMac,
    VirtualMacKey,
};

use crate::plan::RealId;

/// The data plane as a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tables {
    /// Whether new connections are scheduled.
    pub role: RouterRole,
    /// Services by key.
    pub services: BTreeMap<ServiceKey, ServiceTable>,
    /// Real servers by index. Slots in state `Removed` stay, so that their generation is never used twice.
    pub reals: BTreeMap<u32, Real>,
    /// NAT real servers by what their replies come from; where a server stands in several services, its first slot.
    pub real_keys: BTreeMap<RealKey, u32>,
    /// The peer by interface index.
    pub peer_hops: BTreeMap<u32, PeerHop>,
    /// The router's own addresses.
    pub locals: BTreeSet<Ipv4Addr>,
    /// Forwarding methods that the program which packets meet first is made for. What uses another takes longer.
    pub methods: Methods,
    /// The addresses that move with the active role, and how each is answered for; without a peer, those with a virtual MAC address
    /// alone.
    pub floating: BTreeMap<Ipv4Addr, Floating>,
    /// The virtual MAC addresses, by interface.
    pub virtual_macs: BTreeMap<VirtualMacKey, VirtualMac>,
}

impl Default for Tables {
    fn default() -> Self {
        Self {
            role: RouterRole::Standby,
            services: BTreeMap::new(),
            reals: BTreeMap::new(),
            real_keys: BTreeMap::new(),
            peer_hops: BTreeMap::new(),
            locals: BTreeSet::new(),
            // Right for whatever comes first.
            methods: Methods::ALL,
            floating: BTreeMap::new(),
            virtual_macs: BTreeMap::new(),
        }
    }
}

impl Tables {
    /// Whose each slot of the real server array is. Slots that nobody owns any more are absent.
    pub fn slots(&self) -> BTreeMap<u32, RealId> {
        let services: BTreeMap<u32, ServiceKey> =
            self.services.iter().map(|(key, service)| (service.id, *key)).collect();
        let owner = |real: &Real| {
            let service = *services.get(&real.service)?;
            Some(RealId { service, address: Ipv4Addr::from(real.address), port: real.port })
        };
        self.reals
            .iter()
            .filter(|(_, real)| real.state != RealState::Removed as u8)
            .filter_map(|(&slot, real)| Some((slot, owner(real)?)))
            .collect()
    }
}

/// A service and its schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceTable {
    /// Number of the service, stable while it is configured.
    pub id: u32,
    /// Scheduler.
    pub scheduler: Scheduler,
    /// Its schedule: real server indices.
    pub ring: Vec<u16>,
    /// Position in `ring` of the next connection, when the ring is first installed. Not compared by reconcile: it
    /// says nothing once the ring is in use.
    pub start: u64,
    /// Whether this router leaves new connections to its peer, though its role is active: it is for other services.
    pub closed: bool,
}

impl ServiceTable {
    /// Whether both schedule a packet alike: everything but the start, and whether it is open.
    pub fn same(&self, other: &Self) -> bool {
        self.id == other.id && self.scheduler == other.scheduler && self.ring == other.ring
    }
}
