//! The real servers that an older version has left, of another layout than this one's: they get the same slots here, for the entries of
//! the flow table name them by these.

use std::{collections::BTreeMap, path::Path};

use aya::maps::{Array, Map, MapData};
use lb_common::{Method, Real, RealState, map};

use super::{
    Error,
    btf::Btf,
    described::{Described, read},
    fields::{Bits, Fields, Octets, Part},
    maps::{failed, set},
    pins::Pins,
};

// What a slot must have: whose it is.
const PORT: Part = Part::alone("port", 16);
const METHOD: Part = Part::alone("method", 8);
const STATE: Part = Part::alone("state", 8);
const GENERATION: Part = Part::alone("generation", 32);
const VIRTUAL_PORT: Part = Part::alone("virtual_port", 16);
const PROTOCOL: Part = Part::alone("protocol", 8);
// What it may have: the way to it, which is looked for anew, and what services say too.
const IFINDEX: Part = Part::alone("ifindex", 32);
const SERVICE: Part = Part::alone("service", 32);
const WEIGHT: Part = Part::alone("weight", 32);

/// Real servers by their slots; slots that were never used are left out.
pub(super) struct OldReals(BTreeMap<u32, Real>);

impl OldReals {
    /// Reads those in `folder`, which no daemon writes to any more.
    ///
    /// # Errors
    /// Says, for the operator, why they cannot be read.
    pub(super) fn read(folder: &Path) -> Result<Self, String> {
        let reals = Described::open(folder, map::REALS)?;
        let layout = Layout::of(&reals.btf()?, reals.kind)?;
        let slot = |index: u32| layout.real(&read(reals.words(), reals.words_of_value(), index as usize));
        let used = |index: u32| Some((index, slot(index).filter(|real| *real != Real::default())?));
        Ok(Self((0..reals.count).filter_map(used).collect()))
    }

    /// Writes them to the map of this layout, where no packet finds them before they have connections. Those beyond its end are
    /// left out.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub(super) fn install(&self, pins: &Pins) -> Result<(), Error> {
        let pinned = MapData::from_pin(pins.map(map::REALS)).map(Map::Array).and_then(Array::try_from);
        let mut reals: Array<MapData, Real> = pinned.map_err(failed(map::REALS, "opening"))?;
        let slots = reals.len();
        let mut fitting = self.0.iter().filter(|(slot, _)| **slot < slots);
        fitting.try_for_each(|(slot, real)| set(reals.set(*slot, *real, 0), map::REALS))
    }
}

/// Where the parts of a real server stand.
struct Layout {
    address: Octets<4>,
    virtual_address: Octets<4>,
    port: Bits,
    method: Bits,
    state: Bits,
    generation: Bits,
    virtual_port: Bits,
    protocol: Bits,
    mac: Option<Octets<6>>,
    source_mac: Option<Octets<6>>,
    ifindex: Option<Bits>,
    service: Option<Bits>,
    weight: Option<Bits>,
}

impl Layout {
    fn of(btf: &Btf<'_>, real: u32) -> Result<Self, String> {
        let structure = btf.structure(real).ok_or("its real servers are no structures")?;
        let fields = Fields::new(btf, structure, "real servers");
        Ok(Self {
            address: fields.octets("address")?,
            virtual_address: fields.octets("virtual_address")?,
            port: fields.required(&PORT)?,
            method: fields.required(&METHOD)?,
            state: fields.required(&STATE)?,
            generation: fields.required(&GENERATION)?,
            virtual_port: fields.required(&VIRTUAL_PORT)?,
            protocol: fields.required(&PROTOCOL)?,
            mac: fields.find_octets("mac")?,
            source_mac: fields.find_octets("source_mac")?,
            ifindex: fields.find(&IFINDEX)?,
            service: fields.find(&SERVICE)?,
            weight: fields.find(&WEIGHT)?,
        })
    }

    /// The real server in the memory of a slot; `None` where it is none that this version could have.
    fn real(&self, slot: &[u8]) -> Option<Real> {
        let long = |bits: Bits| u32::try_from(bits.read(slot)).ok();
        let short = |bits: Bits| u16::try_from(bits.read(slot)).ok();
        let octet = |bits: Bits| u8::try_from(bits.read(slot)).ok();
        let or_zero = |bits: Option<Bits>| bits.map_or(Some(0), long);
        let mac = |octets: Option<Octets<6>>| octets.map_or([0; 6], |octets| octets.read(slot));
        Some(Real {
            address: self.address.read(slot),
            port: short(self.port)?,
            method: octet(self.method).filter(|method| Method::from_u8(*method).is_some())?,
            state: octet(self.state).filter(|state| RealState::from_u8(*state).is_some())?,
            mac: mac(self.mac),
            source_mac: mac(self.source_mac),
            ifindex: or_zero(self.ifindex)?,
            generation: long(self.generation)?,
            service: or_zero(self.service)?,
            weight: or_zero(self.weight)?,
            virtual_address: self.virtual_address.read(slot),
            virtual_port: short(self.virtual_port)?,
            protocol: octet(self.protocol)?,
            ..Real::default()
        })
    }
}

#[cfg(test)]
pub(super) mod tests;
