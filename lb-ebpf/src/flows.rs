//! The flow table under XDP: which connection a packet belongs to. The rules of the table are `lb_common::flow_table`'s.

use core::{
    intrinsics::{AtomicOrdering, atomic_cxchg},
    ptr::addr_of_mut,
};

use aya_ebpf::helpers::generated::bpf_jiffies64;
use lb_common::{
    ConnState, FlowKey, IPPROTO_TCP, IPPROTO_UDP, Method, Real, RealState,
    flow_table::{
        self, Bucket, Client, Found, Key, Meta, Places, Rank, RawBucket, Refusal, Stamp, Standing, WAYS,
    },
};

use crate::{
    changes,
    ctx::hidden,
    globals,
    maps::{FLOWS, REALS},
    tcp_state::Side,
};

/// Times that a change is tried when another processor changes the same entry.
const TRIES: usize = 3;

/// A bucket in place.
#[derive(Clone, Copy)]
pub(crate) struct InPlace(*mut RawBucket);

/// A connection that is still alive.
#[derive(Clone, Copy)]
pub(crate) struct Connection {
    bucket: InPlace,
    way: usize,
    /// Whose entry it was when it was found.
    key: Key,
    /// What else it said then.
    pub(crate) meta: Meta,
    /// When it was looked up.
    now: Stamp,
    /// Its real server.
    pub(crate) real: &'static Real,
    /// Index of that real server.
    pub(crate) index: u32,
}

/// Now, for the flow table. Costs no call: the verifier puts a load in its place.
#[inline(always)]
pub(crate) fn now() -> Stamp {
    // SAFETY: the helper takes nothing.
    Stamp::of_jiffies(unsafe { bpf_jiffies64() })
}

/// The connection of a client's packet.
#[inline(always)]
pub(crate) fn of_client(key: &FlowKey, now: Stamp) -> Option<Connection> {
    find(key.from(), key.protocol, now, |real| is_for(real, key))
}

/// The connection of a NAT real server's reply.
#[inline(always)]
pub(crate) fn of_reply(key: &FlowKey, now: Stamp) -> Option<Connection> {
    find(key.to(), key.protocol, now, |real| is_from(real, key))
}

/// What the first entry of a client says. A client has more than one only where it uses a port for several services, or for
/// both protocols.
#[derive(Clone, Copy)]
pub(crate) enum First {
    /// It is the packet's connection.
    Its(Connection),
    /// It is another one, or is over.
    Other,
    /// There is none.
    None,
}

/// As [`of_client`], for the first entry alone.
#[inline(always)]
pub(crate) fn first_of_client(key: &FlowKey, now: Stamp) -> First {
    first(key.from(), key.protocol, now, |real| is_for(real, key))
}

/// As [`of_reply`], for the first entry alone.
#[inline(always)]
pub(crate) fn first_of_reply(key: &FlowKey, now: Stamp) -> First {
    first(key.to(), key.protocol, now, |real| is_from(real, key))
}

/// Where in the table connections of `client` stand.
#[inline(always)]
pub(crate) fn places(client: Client, protocol: u8) -> Places {
    Places::of(client, protocol, &globals::hash_key(), globals::buckets())
}

/// Whether the client has any entry, so that something may be in the way of a new connection.
#[inline(always)]
pub(crate) fn knows(places: &Places, client: Client) -> bool {
    at(packed(places)).is_some_and(|buckets| flow_table::has_client(buckets, client))
}

/// Whether a connection of `client` with the real server at `index` would be taken for one that he has by another
/// service: their replies look the same.
#[inline(always)]
pub(crate) fn is_taken(places: &Places, client: Client, protocol: u8, index: u32, now: Stamp) -> bool {
    flow_taken(packed(places), Key::new(client, index as u16).word(), protocol, now.number()) != 0
}

/// Remembers a connection of `client` with the real server that has index `index`.
///
/// # Errors
/// See [`Refusal`].
#[inline(always)]
pub(crate) fn insert(
    places: &Places,
    client: Client,
    index: u32,
    meta: Meta,
    now: Stamp,
) -> Result<(), Refusal> {
    match flow_insert(packed(places), Key::new(client, index as u16).word(), meta.word(), now.number()) {
        INSERTED => {
            changes::mark_places(places);
            Ok(())
        }
        RIVAL => Err(Refusal::Rival),
        _ => Err(Refusal::Full),
    }
}

/// See [`flow_insert`].
const INSERTED: u32 = 0;
/// See [`flow_insert`].
const RIVAL: u32 = 1;
/// See [`flow_insert`].
const FULL: u32 = 2;
/// What [`flow_worst`] returns where there is none.
const NONE: u32 = u32::MAX;

/// The rules of [`flow_table::insert`] as a global function: the verifier walks it once by itself, for any arguments,
/// instead of once for every way that leads to it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn flow_insert(places: u64, key: u64, meta: u64, now: u32) -> u32 {
    let (key, meta, now) = (Key::from_word(key), Meta::from_word(meta), Stamp::new(now));
    let Some(buckets) = at(places) else { return FULL };
    let Some(real) = REALS.get(key.real() as u32) else { return FULL };
    let standing = |other: Key, its: Meta| {
        let Some(its_real) = REALS.get(other.real() as u32) else { return Standing::Other };
        if its.is_udp() != meta.is_udp() || !(same_service(its_real, real) || replies_alike(its_real, real)) {
            Standing::Other
        } else if is_current(its, its_real) && globals::timeouts().remaining(its, now) > 0 {
            Standing::Rival
        } else {
            Standing::Spent
        }
    };
    let give_up = || {
        let place = flow_worst(places, now.number()) as usize;
        if place == NONE as usize {
            return None;
        }
        // Looked up by number: a pointer that is one of two is none for the verifier.
        let bucket = if place & WAYS == 0 { places } else { places >> 32 };
        let place = place & (2 * WAYS - 1);
        let meta = InPlace(FLOWS.get_ptr_mut(bucket as u32)?).meta(place & (WAYS - 1));
        // It may have become another one since.
        (flow_table::rank(meta, globals::timeouts(), now) > Rank::PROTECTED).then_some((place, meta))
    };
    match flow_table::insert(buckets, key, meta, give_up, standing) {
        Ok(()) => INSERTED,
        Err(Refusal::Rival) => RIVAL,
        Err(Refusal::Full) => FULL,
    }
}

/// The place of the entry that is given up most readily, or [`NONE`]. A global function, as [`flow_insert`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn flow_worst(places: u64, now: u32) -> u32 {
    let now = Stamp::new(now);
    let Some(buckets) = at(places) else { return NONE };
    match flow_table::worst(buckets, |meta| flow_table::rank(meta, globals::timeouts(), now)) {
        Some((place, _)) => place as u32,
        None => NONE,
    }
}

/// See [`is_taken`]: 1 where it is. `key` is that of the new connection. A global function, as [`flow_insert`].
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn flow_taken(places: u64, key: u64, protocol: u8, now: u32) -> u32 {
    let (key, now) = (Key::from_word(key), Stamp::new(now));
    let Some(real) = REALS.get(key.real() as u32) else { return 1 };
    flow_table::find(buckets(unpacked(places)), key.client(), |entry, meta| {
        alive(entry, meta, protocol, now)
            .filter(|other| !same_service(other, real) && replies_alike(other, real))
    })
    .is_some() as u32
}

/// Both indices in one number, as the global functions take them.
#[inline(always)]
fn packed(places: &Places) -> u64 {
    (places.second as u64) << 32 | places.first as u64
}

/// The places that were [`packed`].
#[inline(always)]
fn unpacked(places: u64) -> Places {
    Places { first: places as u32, second: (places >> 32) as u32 }
}

/// The buckets of two places, each looked up when it is asked for.
#[inline(always)]
fn buckets(places: Places) -> impl Fn(usize) -> Option<InPlace> {
    move |number| FLOWS.get_ptr_mut(if number == 0 { places.first } else { places.second }).map(InPlace)
}

/// The two buckets of [`packed`] places.
#[inline(always)]
fn at(places: u64) -> Option<[InPlace; 2]> {
    Some([InPlace(FLOWS.get_ptr_mut(places as u32)?), InPlace(FLOWS.get_ptr_mut((places >> 32) as u32)?)])
}

impl Connection {
    /// Of an entry that was found at `now`.
    #[inline(always)]
    fn of<T>(found: Found<InPlace, T>, real: &'static Real, now: Stamp) -> Self {
        let Found { bucket, way, key, meta, value: _ } = found;
        Self { bucket, way: way & (WAYS - 1), key, meta, now, real, index: key.real() as u32 }
    }

    /// From where this router sees its packets from the client.
    #[inline(always)]
    pub(crate) fn client_side(&self) -> Side {
        if self.real.method == Method::Nat as u8 { Side::Input } else { Side::InputOnly }
    }

    /// Whether its real server may be sent packets.
    #[inline(always)]
    pub(crate) fn is_up(&self) -> bool {
        self.real.state != RealState::Down as u8
    }

    /// Whether it is established, as TCP has it.
    #[inline(always)]
    pub(crate) fn is_established(&self) -> bool {
        self.meta.state_number() == ConnState::Established as u8
    }

    /// Notes a packet that leaves the state as it is. A busy connection is written to once a second: other processors read
    /// the cache line.
    #[inline(always)]
    pub(crate) fn refresh(&self) {
        let Self { meta, now, .. } = *self;
        if !is_fresh(meta, now) || meta.is_udp() && !meta.is_confirmed() {
            // Where it has changed meanwhile, another packet has noted as much.
            self.bucket.exchange(self.way, meta, meta.seen_at(now));
            if meta.is_udp() && !meta.is_confirmed() {
                self.mark();
            }
        }
    }

    /// Forgets the connection.
    #[inline(always)]
    pub(crate) fn remove(&self) {
        // Where it has changed meanwhile, it lives.
        self.bucket.exchange(self.way, self.meta, self.meta.freed());
        self.mark();
    }

    /// Tells whoever copies the table to the peer that the entry has changed.
    #[inline(always)]
    fn mark(&self) {
        let protocol = if self.meta.is_udp() { IPPROTO_UDP } else { IPPROTO_TCP };
        changes::mark(self.key, protocol);
    }

    /// Notes a packet: the state moves on by `next`, and the client's packets come from last hop `hop`.
    ///
    /// A busy connection whose state stays is written to once a second: other processors read the cache line.
    #[inline(always)]
    pub(crate) fn touch(&self, hop: u16, next: impl Fn(ConnState) -> ConnState) {
        let Self { mut meta, now, .. } = *self;
        for _ in 0..TRIES {
            let state = next(meta.state());
            if state as u8 == meta.state_number()
                && is_fresh(meta, now)
                && hop == meta.hop()
                && (meta.is_confirmed() || !meta.is_udp())
            {
                return;
            }
            let changed = meta.used(state, now).with_hop(hop);
            if self.bucket.exchange(self.way, meta, changed) {
                if state as u8 != meta.state_number() || meta.is_udp() && !meta.is_confirmed() {
                    self.mark();
                }
                return;
            }
            // Another packet of the connection was faster; or the connection has been given up, and the entry may be
            // another's by now, whose key was written before it became live.
            meta = self.bucket.meta(self.way);
            if !meta.is_live() || self.bucket.key(self.way) != self.key {
                return;
            }
        }
    }
}

impl Bucket for InPlace {
    #[inline(always)]
    fn key(self, way: usize) -> Key {
        // SAFETY: as in `word`.
        Key::from_word(unsafe { self.word(2 * way).read_volatile() })
    }

    #[inline(always)]
    fn meta(self, way: usize) -> Meta {
        // SAFETY: as in `word`.
        Meta::from_word(unsafe { self.word(2 * way + 1).read_volatile() })
    }

    #[inline(always)]
    fn store_key(self, way: usize, key: Key) {
        // SAFETY: as in `word`.
        unsafe { self.word(2 * way).write_volatile(key.word()) }
    }

    #[inline(always)]
    fn exchange(self, way: usize, old: Meta, new: Meta) -> bool {
        const ORDER: AtomicOrdering = AtomicOrdering::SeqCst;
        // SAFETY: as in `word`; everybody changes this word atomically.
        unsafe { atomic_cxchg::<u64, ORDER, ORDER>(self.word(2 * way + 1), old.word(), new.word()).1 }
    }

    #[inline(always)]
    fn hidden(place: usize, unknown: u64) -> usize {
        hidden(place, unknown as usize & (2 * WAYS - 1))
    }
}

impl InPlace {
    /// Word number `index` of the bucket, which is below 16: an entry is two words, each read and written at once. x86-64
    /// keeps the order that [`Bucket`] asks for: loads among themselves, and stores among themselves.
    #[inline(always)]
    fn word(self, index: usize) -> *mut u64 {
        // SAFETY: a bucket points into the table, valid for the whole run, and the verifier checks the index.
        unsafe { addr_of_mut!((*self.0).ways).cast::<u64>().add(index) }
    }
}

#[inline(always)]
fn find(client: Client, protocol: u8, now: Stamp, is_its: impl Fn(&Real) -> bool) -> Option<Connection> {
    let found = flow_table::find(buckets(places(client, protocol)), client, |key, meta| {
        alive(key, meta, protocol, now).filter(|real| is_its(real))
    })?;
    Some(Connection::of(found, found.value, now))
}

/// What is looked up once, and looked at once: for the many.
#[inline(always)]
fn first(client: Client, protocol: u8, now: Stamp, is_its: impl Fn(&Real) -> bool) -> First {
    let found = flow_table::find(buckets(places(client, protocol)), client, |_, _| Some(()));
    let Some(found) = found else { return First::None };
    match alive(found.key, found.meta, protocol, now) {
        Some(real) if is_its(real) => First::Its(Connection::of(found, real, now)),
        _ => First::Other,
    }
}

/// The real server of a connection of `protocol`; `None` when the connection is due, or its real server is gone.
#[inline(always)]
fn alive(key: Key, meta: Meta, protocol: u8, now: Stamp) -> Option<&'static Real> {
    let real = REALS.get(key.real() as u32)?;
    (meta.is_of(protocol) && is_current(meta, real) && is_due_later(meta, now)).then_some(real)
}

/// Whether an entry was written within the last second.
#[inline(always)]
fn is_fresh(meta: Meta, now: Stamp) -> bool {
    now.is_within(globals::second(), meta.seen())
}

/// Whether a connection's time is not over. Asked of one that is in use, it costs no look at the timeouts, of which none is
/// shorter than a second.
#[inline(always)]
fn is_due_later(meta: Meta, now: Stamp) -> bool {
    is_fresh(meta, now) || globals::timeouts().remaining(meta, now) > 0
}

/// Whether a real server still is the one that the connection was made with.
#[inline(always)]
fn is_current(meta: Meta, real: &Real) -> bool {
    meta.is_of_generation(real.generation) && real.state != RealState::Removed as u8
}

/// Whether a real server is one of the service that a client's packet is for.
#[inline(always)]
fn is_for(real: &Real, key: &FlowKey) -> bool {
    same(real.virtual_address, key.destination) && real.virtual_port == key.destination_port
}

/// Whether a real server's replies look like this packet.
#[inline(always)]
fn is_from(real: &Real, key: &FlowKey) -> bool {
    real.method == Method::Nat as u8 && same(real.address, key.source) && real.port == key.source_port
}

/// Whether two real servers stand in one service.
#[inline(always)]
fn same_service(one: &Real, other: &Real) -> bool {
    same(one.virtual_address, other.virtual_address) && one.virtual_port == other.virtual_port
}

/// Whether the replies of two real servers to one client look the same.
#[inline(always)]
fn replies_alike(one: &Real, other: &Real) -> bool {
    one.method == Method::Nat as u8
        && other.method == Method::Nat as u8
        && same(one.address, other.address)
        && one.port == other.port
}

/// Whether two addresses are the same. As arrays they would be compared octet by octet.
#[inline(always)]
fn same(one: [u8; 4], other: [u8; 4]) -> bool {
    u32::from_ne_bytes(one) == u32::from_ne_bytes(other)
}
