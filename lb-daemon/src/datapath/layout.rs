//! Where the parts of a connection stand in a flow table of another layout, as the table's own description says.
//!
//! The names are those of `lb-common/src/flow_table/access.rs`, now and since they are read so. One that is out of use stays a [`Part`]
//! here for as long as tables that have it may be met.

use lb_common::{
    ConnState, IPPROTO_TCP, IPPROTO_UDP, LAST_HOPS,
    flow_table::{Client, Key, Meta, Phase, Stamp},
};

use super::{
    btf::{Array, Btf},
    fields::{Bits, Fields, Octets, Part, whole_bytes},
};

/// The field of a bucket that its entries are.
const WAYS: &str = "ways";
/// The field of an entry that has the client's IPv4 address, in the order of the network.
const CLIENT_ADDRESS: &str = "client_address";

// What an entry must have.
const REAL: Part = Part::alone("real", 16);
const CLIENT_PORT: Part = Part::alone("client_port", 16);
const GENERATION: Part = Part::alone("generation", 16);
const SEEN: Part = of_state("seen", Stamp::BITS, 0);
const STATE: Part = of_state("state", 4, Stamp::BITS);
const UDP: Part = of_state("udp", 1, 28);
const PHASE: Part = of_state("phase", 2, 30);
// What it may have.
const CONFIRMED: Part = of_state("confirmed", 1, 29);
const LAST_HOP: Part = of_last_hop("last_hop_index", 15, 0);
const PEERS: Part = of_last_hop("peers", 1, 15);

const fn of_state(name: &'static str, bits: u32, shift: u32) -> Part {
    Part::alone(name, bits).or_in("seen_and_state", 32, shift)
}

const fn of_last_hop(name: &'static str, bits: u32, shift: u32) -> Part {
    Part::alone(name, bits).or_in("last_hop", 16, shift)
}

/// How the buckets of a flow table are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    first: usize,
    entry: usize,
    ways: usize,
    client_address: Octets<4>,
    real: Bits,
    client_port: Bits,
    generation: Bits,
    seen: Bits,
    state: Bits,
    udp: Bits,
    phase: Bits,
    confirmed: Option<Bits>,
    last_hop: Option<Bits>,
    peers: Option<Bits>,
}

impl Layout {
    /// The layout of buckets of `size` bytes that are of the type with number `bucket`.
    ///
    /// # Errors
    /// Says which field is missing, or what is wrong with it.
    pub(super) fn of(btf: &Btf<'_>, bucket: u32, size: u32) -> Result<Self, String> {
        let bucket = btf.structure(bucket).ok_or("its buckets are no structures")?;
        let (first, Array { element, count: ways }) = btf
            .member(bucket, WAYS)
            .and_then(|ways| Some((whole_bytes(ways.at)?, btf.array(ways.kind)?)))
            .ok_or_else(|| format!("its buckets have no array `{WAYS}`"))?;
        let entry = btf.structure(element).ok_or_else(|| format!("`{WAYS}` has no structures"))?;
        let fields = Fields::new(btf, entry, "entries");
        let entry = entry.size as usize;
        let end = entry.checked_mul(ways as usize).and_then(|bytes| bytes.checked_add(first));
        if entry == 0 || end.is_none_or(|end| end > size as usize) {
            return Err(format!("`{WAYS}` does not fit into a bucket"));
        }
        Ok(Self {
            first,
            entry,
            ways: ways as usize,
            client_address: fields.octets(CLIENT_ADDRESS)?,
            real: fields.required(&REAL)?,
            client_port: fields.required(&CLIENT_PORT)?,
            generation: fields.required(&GENERATION)?,
            seen: fields.required(&SEEN)?,
            state: fields.required(&STATE)?,
            udp: fields.required(&UDP)?,
            phase: fields.required(&PHASE)?,
            confirmed: fields.find(&CONFIRMED)?,
            last_hop: fields.find(&LAST_HOP)?,
            peers: fields.find(&PEERS)?,
        })
    }

    /// The same where the numbers of last hops mean nothing any more.
    pub(super) fn without_last_hops(self) -> Self {
        Self { last_hop: None, ..self }
    }

    /// Entries of a bucket.
    pub(super) const fn ways(&self) -> usize {
        self.ways
    }

    /// The entries in the memory of a bucket.
    pub(super) fn entries<'a>(&self, bucket: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let all = bucket.get(self.first..).unwrap_or_default();
        all.chunks_exact(self.entry).take(self.ways)
    }

    /// The connection in the memory of an entry; `None` where there is none, or none that this version could tell.
    pub(super) fn connection(&self, entry: &[u8]) -> Option<(Key, Meta)> {
        let number = |bits: Bits| bits.read(entry);
        let or = |bits: Option<Bits>, absent| bits.map_or(absent, number);
        if number(self.phase) != Phase::Live as u64 {
            return None;
        }
        let address = self.client_address.read(entry);
        let client = Client::new(address, u16::try_from(number(self.client_port)).ok()?);
        let key = Key::new(client, u16::try_from(number(self.real)).ok()?);
        let state = ConnState::from_u8(u8::try_from(number(self.state)).ok()?)?;
        let protocol = if number(self.udp) == 0 { IPPROTO_TCP } else { IPPROTO_UDP };
        // Both are the lower bits of what they count, so that a wider field says the same.
        let (seen, generation) = (Stamp::new(number(self.seen) as u32), number(self.generation) as u32);
        // Not known is a last hop too, and the way back is then asked for.
        let hop = u16::try_from(or(self.last_hop, 0)).ok().filter(|hop| usize::from(*hop) < LAST_HOPS);
        let meta = Meta::new(protocol, state, seen, generation, hop.unwrap_or(0)).in_phase(Phase::Live);
        // One that may be in use is not given up as one that was never answered.
        let meta = if or(self.confirmed, 1) == 0 { meta } else { meta.used(state, seen) };
        // A packet here has used it, as far as is known: it does not go at the peer's word.
        Some((key, if or(self.peers, 0) == 0 { meta } else { meta.of_peer() }))
    }
}

#[cfg(test)]
pub(super) mod sample;

#[cfg(test)]
mod tests;
