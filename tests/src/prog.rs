//! The XDP program in a test: loaded from the object that the daemon embeds, with maps of its own, attached to nothing
//! and run on single frames by `BPF_PROG_TEST_RUN`.

mod lease;
mod marks;
mod run;

use std::{collections::BTreeMap, os::fd::AsFd as _};

use anyhow::{Context as _, Result, anyhow, bail};
use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{Array, HashMap, Map, MapData, PerCpuArray, PerCpuValues},
    programs::{ProgramFd, ProgramInfo, TestRun as _, TestRunOptions, Xdp, xdp::XdpMode},
};
use lb_common::{
    AddressFilter, Counter, FILTER_WORDS, LastHop, Methods, OVERFLOWS, PeerHop, RING_SLOTS, Real,
    RealCounters, RealKey, Reason, Ring, RouterRole, RouterState, Service, ServiceKey,
    flow_table::{Client, HashKey, Key, Meta, Places, RawBucket, RawEntry, Stamp, bucket_count, mark_count},
    map, program,
};
use lb_daemon::datapath::{globals::Globals, object::OBJECT, programs};

pub(crate) use self::run::xdp_md;
pub use self::run::{Action, Run};
use crate::mapped::Buckets;

/// Real servers that fit the small maps here.
pub const REALS: u32 = 64;
/// Rings that fit the small maps here.
pub const RINGS: u32 = 2 * SERVICES;
/// Connections that fit the small maps here.
pub const FLOWS: u32 = 1024;
/// Services that fit the small maps here.
const SERVICES: u32 = 16;
/// Secret of the flow table here.
const HASH_KEY: HashKey = HashKey([0x0123_4567_89ab_cdef, 0x9e37_79b9_7f4a_7c15, 0xc2b2_ae3d_27d4_eb4f]);

/// A connection in the flow table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Index of its bucket.
    pub bucket: u32,
    /// Its place in the bucket.
    pub way: usize,
    /// Client and real server.
    pub key: Key,
    /// The rest.
    pub meta: Meta,
}

/// Sizes of the maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Real servers.
    pub reals: u32,
    /// Services.
    pub services: u32,
    /// Connections.
    pub flows: u32,
}

impl Sizes {
    /// Enough for a packet table.
    pub const SMALL: Self = Self { reals: REALS, services: SERVICES, flows: FLOWS };
    /// The same with two buckets, which all connections share.
    pub const TWO_BUCKETS: Self = Self { flows: 1, ..Self::SMALL };
}

/// The loaded program.
pub struct Program {
    ebpf: Ebpf,
    sizes: Sizes,
    methods: Methods,
}

impl Program {
    /// Loads the program with small maps, and logging off, for a router with virtual MAC addresses: it does all that it does
    /// without, and more.
    ///
    /// # Errors
    /// When the kernel refuses; the verifier's words are in the error.
    pub fn load() -> Result<Self> {
        Self::load_with_log_level(0)
    }

    /// As [`load`](Self::load), with the log calls up to `level` of aya-log kept in.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with_log_level(level: u8) -> Result<Self> {
        Self::open(Sizes::SMALL, level, true)
    }

    /// Loads the program with maps of these sizes, and with the log calls up to `level` of aya-log, for a router without virtual MAC
    /// addresses.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(sizes: Sizes, level: u8) -> Result<Self> {
        Self::open(sizes, level, false)
    }

    fn open(sizes: Sizes, level: u8, has_virtual_macs: bool) -> Result<Self> {
        let Sizes { reals, services, flows } = sizes;
        let globals = Globals::new(bucket_count(flows), HASH_KEY).with_virtual_macs(has_virtual_macs);
        let mut loader = EbpfLoader::new();
        globals.set(&mut loader);
        let mut ebpf = loader
            .map_max_entries(map::SERVICES, services)
            .map_max_entries(map::REALS, reals)
            .map_max_entries(map::REAL_KEYS, reals)
            .map_max_entries(map::RINGS, 2 * services)
            .map_max_entries(map::POSITIONS, 2 * services)
            .map_max_entries(map::FLOWS, bucket_count(flows))
            .map_max_entries(map::CHANGES, mark_count(bucket_count(flows)))
            .map_max_entries(map::REAL_COUNTERS, reals)
            .override_global("AYA_LOG_LEVEL", &level, true)
            .load(OBJECT)?;
        programs::load(&mut ebpf)?;
        let mut program = Self { ebpf, sizes, methods: Methods::ALL };
        program.array(map::HASH_KEY)?.set(0, HASH_KEY, 0)?;
        Ok(program)
    }

    /// Runs the program for these forwarding methods from now on.
    pub const fn use_methods(&mut self, methods: Methods) {
        self.methods = methods;
    }

    /// A descriptor of the program that is attached to interfaces.
    ///
    /// # Errors
    /// When there are no more descriptors.
    pub fn fd(&self) -> Result<ProgramFd> {
        Ok(self.xdp()?.fd()?.try_clone()?)
    }

    /// What the kernel says about the programs that packets meet, those that they may meet first at the front.
    ///
    /// # Errors
    /// When the kernel does not say.
    pub fn infos(&self) -> Result<Vec<ProgramInfo>> {
        let info = |name| -> Result<ProgramInfo> {
            let program: &Xdp = self.ebpf.program(name).context("no such program")?.try_into()?;
            Ok(program.info()?)
        };
        program::ENTRIES.into_iter().chain([program::ANY, program::NO_CONNECTION]).map(info).collect()
    }

    /// The kernel's number of a map.
    ///
    /// # Errors
    /// When there is no such map, or the kernel does not say.
    pub fn map_id(&self, name: &str) -> Result<u32> {
        match self.ebpf.map(name).with_context(|| format!("no map {name}"))? {
            Map::Array(data) | Map::HashMap(data) | Map::PerCpuArray(data) => Ok(data.info()?.id()),
            _ => bail!("the map {name} is of a kind that the program has none of"),
        }
    }

    /// Attaches the program to an interface of this network namespace, in the driver, until the value is dropped.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn attach(&mut self, ifindex: u32) -> Result<()> {
        programs::entry(&mut self.ebpf, self.methods)?.attach_to_if_index(ifindex, XdpMode::Driver)?;
        Ok(())
    }

    /// Forgets everything that stands in the maps: a router that has just started.
    ///
    /// # Errors
    /// When a map cannot be written.
    pub fn clear(&mut self) -> Result<()> {
        self.methods = Methods::ALL;
        self.empty::<ServiceKey, Service>(map::SERVICES)?;
        self.empty::<RealKey, u32>(map::REAL_KEYS)?;
        self.clear_flows()?;
        for entry in 0..OVERFLOWS as u32 {
            self.array(map::OVERFLOWS)?.set(entry, 0_u32, 0)?;
        }
        self.array(map::ADDRESSES)?.set(0, AddressFilter::EMPTY, 0)?;
        self.empty::<u32, PeerHop>(map::PEER_HOPS)?;
        self.empty::<[u8; 4], u8>(map::LOCALS)?;
        self.clear_lease()?;
        self.next_epoch()?;
        for index in 0..REALS {
            self.set_real(index, Real::default())?;
        }
        for ring in 0..RINGS {
            self.set_position(ring, 0)?;
        }
        self.set_role(RouterRole::Standby)?;
        self.zero_counters()
    }

    /// Forgets every connection.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn clear_flows(&mut self) -> Result<()> {
        let buckets = bucket_count(self.sizes.flows);
        let mut map = self.array(map::FLOWS)?;
        for bucket in 0..buckets {
            map.set(bucket, RawBucket::default(), 0)?;
        }
        Ok(())
    }

    /// Sets every counter to zero.
    ///
    /// # Errors
    /// When a map cannot be written.
    pub fn zero_counters(&mut self) -> Result<()> {
        let processors = aya::util::nr_cpus().map_err(|(file, error)| anyhow!("{file}: {error}"))?;
        let mut reasons = self.per_cpu::<Counter>(map::REASONS)?;
        for reason in Reason::ALL {
            let zero = PerCpuValues::try_from(vec![Counter::default(); processors])?;
            reasons.set(*reason as u32, zero, 0)?;
        }
        let count = self.sizes.reals;
        let mut reals = self.per_cpu::<RealCounters>(map::REAL_COUNTERS)?;
        for index in 0..count {
            let zero = PerCpuValues::try_from(vec![RealCounters::default(); processors])?;
            reals.set(index, zero, 0)?;
        }
        Ok(())
    }

    /// Writes a service.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_service(&mut self, key: ServiceKey, service: Service) -> Result<()> {
        self.filter(|filter| &mut filter.virtual_addresses, key.address)?;
        self.hash(map::SERVICES)?.insert(key, service, 0)?;
        self.next_epoch()
    }

    /// Writes the first slots of a ring.
    ///
    /// # Errors
    /// When the slots do not fit, or the map cannot be written.
    pub fn set_ring(&mut self, ring: u32, slots: &[u16]) -> Result<()> {
        if slots.len() > RING_SLOTS {
            bail!("{} slots do not fit a ring", slots.len());
        }
        let mut value = Ring { slots: [0; RING_SLOTS] };
        for (slot, real) in value.slots.iter_mut().zip(slots) {
            *slot = *real;
        }
        Ok(self.array(map::RINGS)?.set(ring, value, 0)?)
    }

    /// Sets where a ring goes on.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_position(&mut self, ring: u32, position: u64) -> Result<()> {
        Ok(self.array(map::POSITIONS)?.set(ring, position, 0)?)
    }

    /// Where a ring goes on.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn position(&mut self, ring: u32) -> Result<u64> {
        Ok(self.array(map::POSITIONS)?.get(&ring, 0)?)
    }

    /// Writes a real server.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_real(&mut self, index: u32, real: Real) -> Result<()> {
        Ok(self.array(map::REALS)?.set(index, real, 0)?)
    }

    /// Lets the replies of a NAT real server be recognised.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_real_key(&mut self, key: RealKey, index: u32) -> Result<()> {
        self.filter(|filter| &mut filter.real_addresses, key.address)?;
        Ok(self.hash(map::REAL_KEYS)?.insert(key, index, 0)?)
    }

    /// Sets the role of the router.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_role(&mut self, role: RouterRole) -> Result<()> {
        Ok(self.array(map::ROUTER)?.set(0, RouterState::new(role), 0)?)
    }

    /// Sets the way to the peer on an interface.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_peer_hop(&mut self, ifindex: u32, hop: PeerHop) -> Result<()> {
        self.hash(map::PEER_HOPS)?.insert(ifindex, hop, 0)?;
        self.next_epoch()
    }

    /// Forgets the way to the peer on an interface.
    ///
    /// # Errors
    /// When there is none, or the map cannot be written.
    pub fn remove_peer_hop(&mut self, ifindex: u32) -> Result<()> {
        self.hash::<u32, PeerHop>(map::PEER_HOPS)?.remove(&ifindex)?;
        self.next_epoch()
    }

    /// Adds an address of the router itself.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn add_local(&mut self, address: [u8; 4]) -> Result<()> {
        Ok(self.hash::<[u8; 4], u8>(map::LOCALS)?.insert(address, 1, 0)?)
    }

    /// Every connection in the flow table.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn flows(&mut self) -> Result<Vec<Flow>> {
        let mut flows = Vec::new();
        for bucket in 0..bucket_count(self.sizes.flows) {
            let raw: RawBucket = self.array(map::FLOWS)?.get(&bucket, 0)?;
            for (way, entry) in raw.ways.into_iter().enumerate() {
                let (key, meta) = (entry.key(), entry.meta());
                if meta.is_live() {
                    flows.push(Flow { bucket, way, key, meta });
                }
            }
        }
        Ok(flows)
    }

    /// The flow table in memory, as the daemon sees it.
    ///
    /// # Errors
    /// When the kernel does not map it.
    pub fn mapped_flows(&self) -> Result<Buckets> {
        match self.ebpf.map(map::FLOWS).context("no flow table")? {
            Map::Array(data) => Ok(Buckets::open(data.fd().as_fd(), bucket_count(self.sizes.flows))?),
            _ => bail!("the flow table is no array"),
        }
    }

    /// Writes a connection where it stands, or was read.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_flow(&mut self, flow: &Flow) -> Result<()> {
        let mut map = self.array::<RawBucket>(map::FLOWS)?;
        let mut raw = map.get(&flow.bucket, 0)?;
        *raw.ways.get_mut(flow.way).context("no such entry")? = RawEntry::new(flow.key, flow.meta);
        Ok(map.set(flow.bucket, raw, 0)?)
    }

    /// The two buckets in which the program looks for a connection, in that order.
    pub fn buckets(client: Client, protocol: u8) -> [u32; 2] {
        let Places { first, second } = Places::of(client, protocol, &HASH_KEY, bucket_count(FLOWS));
        [first, second]
    }

    /// The time of the flow table.
    ///
    /// # Errors
    /// When the kernel does not run the program that tells it.
    pub fn now(&self) -> Result<Stamp> {
        let clock: &Xdp = self.ebpf.program(program::CLOCK).context("no such program")?.try_into()?;
        let options = TestRunOptions { data_in: Some(&[0; 64]), ..TestRunOptions::default() };
        Ok(Stamp::new(clock.test_run(options)?.return_value))
    }

    /// An entry of the table of last hops.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn last_hop(&mut self, index: u16) -> Result<LastHop> {
        Ok(self.array(map::LAST_HOPS)?.get(&index.into(), 0)?)
    }

    /// Writes an entry of the table of last hops.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn set_last_hop(&mut self, index: u16, hop: LastHop) -> Result<()> {
        Ok(self.array(map::LAST_HOPS)?.set(index.into(), hop, 0)?)
    }

    /// The counters that are not zero, by reason.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn reasons(&mut self) -> Result<BTreeMap<Reason, Counter>> {
        let counters = self.per_cpu::<Counter>(map::REASONS)?;
        let mut sums = BTreeMap::new();
        for reason in Reason::ALL {
            let mut sum = Counter::default();
            counters.get(&(*reason as u32), 0)?.iter().for_each(|counter| sum += *counter);
            if sum != Counter::default() {
                sums.insert(*reason, sum);
            }
        }
        Ok(sums)
    }

    /// The counters of a real server.
    ///
    /// # Errors
    /// When the map cannot be read.
    pub fn real_counters(&mut self, index: u32) -> Result<RealCounters> {
        let mut sum = RealCounters::default();
        self.per_cpu::<RealCounters>(map::REAL_COUNTERS)?
            .get(&index, 0)?
            .iter()
            .for_each(|counters| sum += *counters);
        Ok(sum)
    }

    /// Ends what processors remember of services and peers, as the daemon does after each change.
    fn next_epoch(&mut self) -> Result<()> {
        let mut map = self.array::<u32>(map::EPOCH)?;
        let epoch = map.get(&0, 0)?;
        Ok(map.set(0, epoch + 1, 0)?)
    }

    /// Adds an address to a set of the filter.
    fn filter(
        &mut self,
        set: impl FnOnce(&mut AddressFilter) -> &mut [u64; FILTER_WORDS],
        address: [u8; 4],
    ) -> Result<()> {
        let mut map = self.array::<AddressFilter>(map::ADDRESSES)?;
        let mut filter = map.get(&0, 0)?;
        let (word, bit) = AddressFilter::bit(address);
        *set(&mut filter).get_mut(word).context("no such word")? |= bit;
        Ok(map.set(0, filter, 0)?)
    }

    fn xdp(&self) -> Result<&Xdp> {
        Ok(self.ebpf.program(program::entry(self.methods)).context("no such program")?.try_into()?)
    }

    fn empty<K: Pod, V: Pod>(&mut self, name: &str) -> Result<()> {
        let mut map = self.hash::<K, V>(name)?;
        let keys = map.keys().collect::<Result<Vec<_>, _>>()?;
        for key in keys {
            map.remove(&key)?;
        }
        Ok(())
    }

    fn hash<K: Pod, V: Pod>(&mut self, name: &str) -> Result<HashMap<&mut MapData, K, V>> {
        Ok(self.ebpf.map_mut(name).with_context(|| format!("no map {name}"))?.try_into()?)
    }

    fn array<V: Pod>(&mut self, name: &str) -> Result<Array<&mut MapData, V>> {
        Ok(self.ebpf.map_mut(name).with_context(|| format!("no map {name}"))?.try_into()?)
    }

    fn per_cpu<V: Pod>(&mut self, name: &str) -> Result<PerCpuArray<&mut MapData, V>> {
        Ok(self.ebpf.map_mut(name).with_context(|| format!("no map {name}"))?.try_into()?)
    }
}
