//! An upgrade in place. A version that changes the layout of the maps changes few of them; the others are pinned beside the new ones,
//! and both programs use them while the one takes the place of the other. So connections are not copied, and none is lost. Where the
//! flow table itself has changed, or what its entries name, it is [carried over](super::predecessor).
//!
//! What belongs together is kept together, or not at all: an entry of the flow table names a real server by its slot, and would be
//! another one's in a new array.

use std::{collections::BTreeSet, path::PathBuf};

use aya::maps::{MapData, MapInfo};
use lb_common::map;

use super::{
    Error,
    load::{self, Shape},
    old_reals::OldReals,
    pins::Pins,
    predecessor::Predecessor,
    resize,
};

/// Maps that belong together.
#[derive(Clone, Copy)]
struct Group {
    /// The first layout since which none of them has changed its shape or its meaning.
    since: u32,
    maps: &'static [&'static str],
    /// Maps that these mean nothing without.
    needs: &'static [&'static str],
}

/// Each behind those that it needs. The rest begins anew: caches, the filter, which is written at every start, and the programs that a
/// program jumps to.
const GROUPS: [Group; 7] = [
    Group { since: 3, maps: &[map::REALS], needs: &[] },
    Group { since: 3, maps: &[map::REAL_KEYS, map::REAL_COUNTERS], needs: &[map::REALS] },
    // The secret says where a neighbour is looked for.
    Group { since: 3, maps: &[map::LAST_HOPS, map::HASH_KEY], needs: &[] },
    Group { since: 3, maps: &[map::OVERFLOWS], needs: &[] },
    Group { since: 3, maps: &[map::FLOWS, map::CHANGES], needs: &[map::REALS, map::LAST_HOPS] },
    Group {
        since: 3,
        maps: &[map::SERVICES, map::RINGS, map::POSITIONS, map::LOCALS, map::PEER_HOPS],
        needs: &[map::REALS],
    },
    Group { since: 3, maps: &[map::ROUTER], needs: &[map::SERVICES] },
];

/// What an older layout leaves.
#[derive(Default)]
pub(super) struct Inheritance {
    /// Lines for the operator.
    pub(super) notices: Vec<String>,
    /// Number of that layout and its flow table, where this one's is another and shall have what stands in it.
    pub(super) flows: Option<(u32, Predecessor)>,
    /// Its real servers, where they are to be written to the map of this layout.
    pub(super) reals: Option<OldReals>,
}

/// Pins what the newest older layout has and this one has just so, and opens what is to be carried over.
///
/// # Errors
/// When a map cannot be pinned.
pub(super) fn from_older_layout(pins: &Pins, shapes: &[Shape]) -> Result<Inheritance, Error> {
    inherit(pins, shapes, &GROUPS)
}

fn inherit(pins: &Pins, shapes: &[Shape], groups: &[Group]) -> Result<Inheritance, Error> {
    let Some((version, folder)) = pins.older_layout()? else { return Ok(Inheritance::default()) };
    let older = Older { version, folder };
    let (of_reals, others) = groups.split_at(1);
    let mut kept = older.adopt(pins, shapes, of_reals, &BTreeSet::new())?;
    let reals = if kept.is_empty() { older.reals(pins)? } else { Ok(None) };
    // In the same slots they are the same, whatever the map.
    let standing = BTreeSet::from_iter(reals.is_ok().then_some(map::REALS));
    kept.extend(older.adopt(pins, shapes, others, &standing)?);
    let mut inheritance = Inheritance::default();
    if !kept.is_empty() {
        let line = format!("{} maps of layout {version} are kept, with what stands in them", kept.len());
        inheritance.notices.push(line);
    }
    match older.flows(pins, &kept)?.and_then(|flows| Ok((flows, reals?))) {
        Ok((flows, reals)) => {
            inheritance.flows = flows.map(|flows| (version, flows));
            inheritance.reals = reals;
        }
        Err(reason) => inheritance.notices.push(format!(
            "connections of layout {version} cannot be carried over and are forgotten: {reason}"
        )),
    }
    Ok(inheritance)
}

/// An older layout.
struct Older {
    version: u32,
    folder: PathBuf,
}

impl Older {
    /// Pins the maps of each group that is as it was in this layout, and has what it needs, kept or `standing`. Which they are.
    fn adopt(
        &self,
        pins: &Pins,
        shapes: &[Shape],
        groups: &[Group],
        standing: &BTreeSet<&'static str>,
    ) -> Result<BTreeSet<&'static str>, Error> {
        let mut adopted = BTreeSet::new();
        for group in groups {
            let fits = |name: &str| {
                let shape = shapes.iter().find(|shape| shape.name == name);
                shape.is_some_and(|shape| {
                    let found = load::pinned_entries(shape, &self.folder.join(name));
                    found.is_ok_and(|entries| entries.is_some())
                })
            };
            let has = |name: &&str| adopted.contains(name) || standing.contains(name);
            if self.version < group.since
                || !group.needs.iter().all(has)
                || !group.maps.iter().all(|name| fits(name))
            {
                continue;
            }
            group.maps.iter().try_for_each(|name| self.pin(pins, name))?;
            adopted.extend(group.maps);
        }
        Ok(adopted)
    }

    fn pin(&self, pins: &Pins, name: &str) -> Result<(), Error> {
        let path = pins.map(name);
        // One that was killed in the middle of this has begun.
        if path.exists() {
            return Ok(());
        }
        let pinned = MapData::from_pin(self.folder.join(name)).map_err(|error| error.to_string());
        pinned
            .and_then(|map| map.pin(&path).map_err(|error| error.to_string()))
            .map_err(|error| Error::Setup(format!("{}: {error}", path.display())))
    }

    /// Its real servers, to be written to another map; `None` where there are none, or newer ones stand there.
    fn reals(&self, pins: &Pins) -> Result<Result<Option<OldReals>, String>, Error> {
        if has_taken_over(pins, map::REALS)? || !self.folder.join(map::REALS).exists() {
            return Ok(Ok(None));
        }
        Ok(OldReals::read(&self.folder).map(Some))
    }

    /// Its flow table, to be carried over; `None` where it has none, where it is kept, or where another has taken its place.
    fn flows(
        &self,
        pins: &Pins,
        kept: &BTreeSet<&str>,
    ) -> Result<Result<Option<Predecessor>, String>, Error> {
        if kept.contains(map::FLOWS) || has_taken_over(pins, map::FLOWS)? {
            return Ok(Ok(None));
        }
        // One that was killed in the middle of this may have begun; what it has copied is old by now.
        pins.drop_flow_table()?;
        Ok(Predecessor::open(&self.folder, self.version, kept.contains(map::LAST_HOPS)))
    }
}

/// Whether a program that runs uses a map of this layout: what stands there is newer than anything in an older one.
fn has_taken_over(pins: &Pins, name: &str) -> Result<bool, Error> {
    match MapInfo::from_pin(pins.map(name)) {
        Ok(info) => Ok(resize::running_maps(pins)?.contains(&info.id())),
        Err(_) => Ok(false),
    }
}

#[cfg(test)]
pub(super) mod tests;
