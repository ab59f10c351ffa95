//! Where the parts of a connection stand in a flow table of another layout, as the table's own description says.
//!
//! Fields are found by their names, which `lb-common/src/flow_table/access.rs` gives them. A name stands for a meaning: a number that
//! comes to mean something else, or to be packed differently, gets another name, and is a [`Part`] here for as long as
//! tables that have it may be met.

use lb_common::{
    ConnState, IPPROTO_TCP, IPPROTO_UDP, LAST_HOPS,
    flow_table::{Client, Key, Meta, Phase, Stamp},
};

use super::btf::{Array, Btf, Struct};

/// The field of a bucket that its entries are.
const WAYS: &str = "ways";
/// The field of an entry that has the client's IPv4 address, in the order of the network.
const CLIENT_ADDRESS: &str = "client_address";
/// Its octets.
const ADDRESS_LEN: usize = 4;

/// A number in an entry.
struct Part {
    /// The name of a field that is this number alone.
    name: &'static str,
    /// Bits that it takes at least.
    bits: u32,
    /// Where else it may stand.
    word: Option<Word>,
}

/// A field in which several numbers are packed, and the first bit of the one that is meant.
struct Word {
    name: &'static str,
    bits: u32,
    shift: u32,
}

// What an entry must have.
const REAL: Part = Part::alone("real", 16);
const CLIENT_PORT: Part = Part::alone("client_port", 16);
const GENERATION: Part = Part::alone("generation", 16);
const SEEN: Part = Part::of_state("seen", Stamp::BITS, 0);
const STATE: Part = Part::of_state("state", 4, Stamp::BITS);
const UDP: Part = Part::of_state("udp", 1, 28);
const PHASE: Part = Part::of_state("phase", 2, 30);
// What it may have.
const CONFIRMED: Part = Part::of_state("confirmed", 1, 29);
const LAST_HOP: Part = Part::of_last_hop("last_hop_index", 15, 0);
const PEERS: Part = Part::of_last_hop("peers", 1, 15);

impl Part {
    const fn alone(name: &'static str, bits: u32) -> Self {
        Self { name, bits, word: None }
    }

    const fn of_state(name: &'static str, bits: u32, shift: u32) -> Self {
        Self { name, bits, word: Some(Word { name: "seen_and_state", bits: 32, shift }) }
    }

    const fn of_last_hop(name: &'static str, bits: u32, shift: u32) -> Self {
        Self { name, bits, word: Some(Word { name: "last_hop", bits: 16, shift }) }
    }
}

/// Bits of an entry that are a number, the first one counted from the beginning of the entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bits {
    at: usize,
    count: u32,
}

impl Bits {
    /// The number, in an entry that has all of it.
    fn read(self, entry: &[u8]) -> u64 {
        let mut window = [0; 16];
        let from = entry.get(self.at / 8..).unwrap_or_default();
        for (octet, of_entry) in window.iter_mut().zip(from) {
            *octet = *of_entry;
        }
        let above = (u128::from_le_bytes(window) >> (self.at % 8)) as u64;
        if self.count < u64::BITS { above & ((1 << self.count) - 1) } else { above }
    }
}

/// How the buckets of a flow table are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    first: usize,
    entry: usize,
    ways: usize,
    client_address: usize,
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
        let fields = Fields {
            btf,
            entry: btf.structure(element).ok_or_else(|| format!("`{WAYS}` has no structures"))?,
        };
        let entry = fields.entry.size as usize;
        let end = entry.checked_mul(ways as usize).and_then(|bytes| bytes.checked_add(first));
        if entry == 0 || end.is_none_or(|end| end > size as usize) {
            return Err(format!("`{WAYS}` does not fit into a bucket"));
        }
        Ok(Self {
            first,
            entry,
            ways: ways as usize,
            client_address: fields.client_address()?,
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
        let address = *entry.get(self.client_address..)?.first_chunk::<ADDRESS_LEN>()?;
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

/// The fields of an entry, by their names.
struct Fields<'a> {
    btf: &'a Btf<'a>,
    entry: &'a Struct,
}

impl Fields<'_> {
    fn required(&self, part: &Part) -> Result<Bits, String> {
        self.find(part)?.ok_or_else(|| match &part.word {
            Some(word) => {
                format!(
                    "its entries have no field `{}`, and no `{}` that it could be in",
                    part.name, word.name
                )
            }
            None => format!("its entries have no field `{}`", part.name),
        })
    }

    /// Where a number stands; `None` where the entries have none.
    fn find(&self, part: &Part) -> Result<Option<Bits>, String> {
        if let Some(field) = self.field(part.name)? {
            return match field.count >= part.bits {
                true => Ok(Some(field)),
                false => Err(wrong_width(part.name, field.count, part.bits)),
            };
        }
        let Some(word) = &part.word else { return Ok(None) };
        let Some(field) = self.field(word.name)? else { return Ok(None) };
        if field.count != word.bits {
            return Err(wrong_width(word.name, field.count, word.bits));
        }
        Ok(Some(Bits { at: field.at + word.shift as usize, count: part.bits }))
    }

    /// A field that is a number.
    fn field(&self, name: &str) -> Result<Option<Bits>, String> {
        let Some(member) = self.btf.member(self.entry, name) else { return Ok(None) };
        let of_type = self.btf.number(member.kind).filter(|bits| (1..=u64::BITS).contains(bits));
        let of_type = of_type.ok_or_else(|| format!("its field `{name}` is no unsigned number"))?;
        let count = member.bits.unwrap_or(of_type);
        let field = Bits { at: member.at as usize, count: count.min(of_type) };
        if field.at + field.count as usize > self.entry.size as usize * 8 {
            return Err(format!("its field `{name}` does not fit into an entry"));
        }
        Ok(Some(field))
    }

    /// Where the client's address begins, in bytes.
    fn client_address(&self) -> Result<usize, String> {
        let member = self.btf.member(self.entry, CLIENT_ADDRESS);
        let member = member.ok_or_else(|| format!("its entries have no field `{CLIENT_ADDRESS}`"))?;
        let array = self.btf.array(member.kind);
        let octets = array.filter(|array| {
            array.count as usize == ADDRESS_LEN && self.btf.number(array.element) == Some(u8::BITS)
        });
        let at = whole_bytes(member.at).filter(|at| at + ADDRESS_LEN <= self.entry.size as usize);
        octets
            .and(at)
            .ok_or_else(|| format!("its field `{CLIENT_ADDRESS}` is no array of {ADDRESS_LEN} octets"))
    }
}

fn whole_bytes(bits: u32) -> Option<usize> {
    bits.is_multiple_of(8).then_some(bits as usize / 8)
}

fn wrong_width(name: &str, bits: u32, wanted: u32) -> String {
    format!("its field `{name}` has {bits} bits instead of {wanted}")
}

#[cfg(test)]
pub(super) mod sample;

#[cfg(test)]
mod tests;
