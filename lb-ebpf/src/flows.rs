//! The flow table: find, insert, touch, remove. What it is made of is known here alone.

use core::ptr::{addr_of, addr_of_mut};

use lb_common::{ConnState, Direction, Flow, FlowKey, Method, Real, RealState, Reason};

use crate::{
    hop::Hop,
    maps::{FLOWS, REALS},
    tcp_state::Side,
};

/// Nanoseconds by which the age of a connection may be wrong. Every packet of a busy connection would otherwise write
/// to a cache line that other processors read.
const TOUCH_AFTER: u64 = 1_000_000_000;

/// One entry of the table, in place. Another processor may change it meanwhile, so that no reference to it is made.
#[derive(Clone, Copy)]
pub(crate) struct Entry(*mut Flow);

/// A connection that is still alive.
#[derive(Clone, Copy)]
pub(crate) struct Connection {
    /// Its entry of the client's direction.
    pub(crate) entry: Entry,
    /// Its real server.
    pub(crate) real: &'static Real,
    /// Index of that real server.
    pub(crate) index: u32,
}

/// What the table says about a packet.
pub(crate) enum Found {
    /// From the client.
    Original(Connection),
    /// From the real server; with the key of the client's direction.
    Reply(Connection, FlowKey),
    /// No connection that is still alive.
    Nothing,
}

/// The connection of a packet with `key`.
#[inline(always)]
pub(crate) fn find(key: &FlowKey, now: u64) -> Found {
    let Some(entry) = entry(key) else { return Found::Nothing };
    if entry.is_original() {
        return match alive(entry, now) {
            Some(connection) => Found::Original(connection),
            None => Found::Nothing,
        };
    }
    let original = entry.other();
    match owner(&original, key, now) {
        Some(connection) => Found::Reply(connection, original),
        None => Found::Nothing,
    }
}

/// Whether the reply key of a new connection belongs to a connection other than `original`.
#[inline(always)]
pub(crate) fn is_taken(reply: &FlowKey, original: &FlowKey, now: u64) -> bool {
    let Some(entry) = entry(reply) else { return false };
    if entry.is_original() {
        return alive(entry, now).is_some();
    }
    let other = entry.other();
    other != *original && owner(&other, reply, now).is_some()
}

/// The key of the replies that a NAT real server sends to the client of `key`.
#[inline(always)]
pub(crate) fn reply_key(key: &FlowKey, real: &Real) -> FlowKey {
    FlowKey::new(key.protocol, real.address, real.port, key.source, key.source_port)
}

/// Remembers a new connection: the client's direction and, where there is a `reply` key (NAT), the other one.
///
/// # Errors
/// `FlowTableFull`; nothing was remembered then.
#[inline(always)]
pub(crate) fn insert(key: &FlowKey, reply: Option<&FlowKey>, flow: &mut Flow) -> Result<(), Reason> {
    if let Some(reply) = reply {
        flow.direction = Direction::Reply as u8;
        flow.other = *key;
        put(reply, flow)?;
        flow.other = *reply;
    }
    flow.direction = Direction::Original as u8;
    // The client's entry comes last: a reply entry alone is not alive, and so never used.
    put(key, flow)
}

#[inline(always)]
fn put(key: &FlowKey, flow: &Flow) -> Result<(), Reason> {
    FLOWS.insert(key, flow, 0).map_err(|_| Reason::FlowTableFull)
}

/// Forgets a connection.
#[inline(always)]
pub(crate) fn remove(key: &FlowKey, connection: &Connection) {
    // That an entry is gone already is no failure.
    if connection.client_side() == Side::Input {
        let _ = FLOWS.remove(connection.entry.other());
    }
    let _ = FLOWS.remove(key);
}

impl Connection {
    /// From where this router sees its packets from the client.
    #[inline(always)]
    pub(crate) fn client_side(&self) -> Side {
        if self.real.method == Method::Nat as u8 { Side::Input } else { Side::InputOnly }
    }
}

impl Entry {
    /// The state of the connection.
    #[inline(always)]
    pub(crate) fn state(self) -> ConnState {
        // SAFETY: an entry points into the table; a value of the map is valid for the whole run.
        ConnState::from_u8(unsafe { addr_of!((*self.0).state).read_volatile() }).unwrap_or(ConnState::None)
    }

    /// Key of the other direction.
    #[inline(always)]
    pub(crate) fn other(self) -> FlowKey {
        // SAFETY: as in `state`; any bytes make a key.
        unsafe { addr_of!((*self.0).other).read() }
    }

    /// Where the packets of the client come from.
    #[inline(always)]
    pub(crate) fn last_hop(self) -> Hop {
        // SAFETY: as in `state`; any bytes make numbers and MAC addresses.
        unsafe {
            Hop {
                ifindex: addr_of!((*self.0).last_hop_ifindex).read(),
                mac: addr_of!((*self.0).last_hop_mac).read(),
                source_mac: addr_of!((*self.0).local_mac).read(),
            }
        }
    }

    /// Remembers where the packets of the client come from.
    #[inline(always)]
    pub(crate) fn set_last_hop(self, hop: &Hop) {
        // SAFETY: as in `state`. Packets of one direction of one connection stay on one processor.
        unsafe {
            addr_of_mut!((*self.0).last_hop_ifindex).write(hop.ifindex);
            addr_of_mut!((*self.0).last_hop_mac).write(hop.mac);
            addr_of_mut!((*self.0).local_mac).write(hop.source_mac);
        }
    }

    /// Notes a packet at `now` that leaves the connection in `state`.
    #[inline(always)]
    pub(crate) fn touch(self, state: ConnState, now: u64) {
        // SAFETY: as in `state`; each write is one machine word or less, so that readers see old or new.
        unsafe {
            if addr_of!((*self.0).state).read_volatile() != state as u8 {
                addr_of_mut!((*self.0).state).write_volatile(state as u8);
            } else if now.saturating_sub(self.last_seen()) < TOUCH_AFTER {
                return;
            }
            addr_of_mut!((*self.0).last_seen).write_volatile(now);
        }
    }

    #[inline(always)]
    fn last_seen(self) -> u64 {
        // SAFETY: as in `state`.
        unsafe { addr_of!((*self.0).last_seen).read_volatile() }
    }

    #[inline(always)]
    fn is_original(self) -> bool {
        // SAFETY: as in `state`.
        unsafe { addr_of!((*self.0).direction).read_volatile() == Direction::Original as u8 }
    }

    #[inline(always)]
    fn real(self) -> (u32, u32) {
        // SAFETY: as in `state`.
        unsafe { (addr_of!((*self.0).real).read_volatile(), addr_of!((*self.0).generation).read_volatile()) }
    }
}

#[inline(always)]
fn entry(key: &FlowKey) -> Option<Entry> {
    FLOWS.get_ptr_mut(key).map(Entry)
}

/// The connection with the client's entry `entry`; `None` when it is due, or its real server is gone.
#[inline(always)]
fn alive(entry: Entry, now: u64) -> Option<Connection> {
    let lifetime = entry.state().timeout_secs() * 1_000_000_000;
    if entry.last_seen() + lifetime <= now {
        return None;
    }
    let (index, generation) = entry.real();
    let real = REALS.get(index)?;
    (real.generation == generation && real.state != RealState::Removed as u8).then_some(Connection {
        entry,
        real,
        index,
    })
}

/// The connection with key `original`, if it is alive and its replies have the key `reply`. An entry left behind by
/// an earlier connection with another real server points to an original that does not point back.
#[inline(always)]
fn owner(original: &FlowKey, reply: &FlowKey, now: u64) -> Option<Connection> {
    let entry = entry(original)?;
    if !entry.is_original() || entry.other() != *reply {
        return None;
    }
    alive(entry, now)
}
