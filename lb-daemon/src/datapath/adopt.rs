//! An upgrade in place. A version that changes the layout of the maps changes few of them; the others are pinned beside the new ones,
//! and both programs use them while the one takes the place of the other. So connections are not copied, and none is lost. Where the
//! flow table itself has changed, or what its entries name, it is [carried over](super::predecessor).
//!
//! What belongs together is kept together, or not at all: an entry of the flow table names a real server by its slot, and would be
//! another one's in a new array.

use std::{collections::BTreeSet, path::Path};

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
const GROUPS: [Group; 6] = [
    Group { since: 3, maps: &[map::REALS, map::REAL_KEYS, map::REAL_COUNTERS], needs: &[] },
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
    /// The real servers that the flow table means, where this layout has others.
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
    let kept = adopt(pins, shapes, version, &folder, groups)?;
    let mut inheritance = Inheritance::default();
    if !kept.is_empty() {
        let line = format!("{} maps of layout {version} are kept, with what stands in them", kept.len());
        inheritance.notices.push(line);
    }
    if kept.contains(map::FLOWS) || has_taken_over(pins)? {
        return Ok(inheritance);
    }
    // One that was killed in the middle of this may have begun; what it has copied is old by now.
    pins.drop_flow_table()?;
    let read = Predecessor::open(&folder, version, kept.contains(map::LAST_HOPS)).and_then(|flows| {
        let has_others = flows.is_some() && !kept.contains(map::REALS);
        Ok((flows, has_others.then(|| OldReals::read(&folder)).transpose()?))
    });
    match read {
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

/// Whether a program that runs uses a flow table of this layout: its connections are newer than any that an older one has.
fn has_taken_over(pins: &Pins) -> Result<bool, Error> {
    match MapInfo::from_pin(pins.map(map::FLOWS)) {
        Ok(info) => Ok(resize::running_maps(pins)?.contains(&info.id())),
        Err(_) => Ok(false),
    }
}

/// Pins the maps of each group that is as it was in layout `version`, and has what it needs. Which they are.
fn adopt(
    pins: &Pins,
    shapes: &[Shape],
    version: u32,
    folder: &Path,
    groups: &[Group],
) -> Result<BTreeSet<&'static str>, Error> {
    let mut adopted = BTreeSet::new();
    for group in groups {
        let old = |name: &str| folder.join(name);
        let fits = |name: &str| {
            let shape = shapes.iter().find(|shape| shape.name == name);
            shape.is_some_and(|shape| {
                load::pinned_entries(shape, &old(name)).is_ok_and(|found| found.is_some())
            })
        };
        let means_something = group.needs.iter().all(|name| adopted.contains(name));
        if version < group.since || !means_something || !group.maps.iter().all(|name| fits(name)) {
            continue;
        }
        for name in group.maps {
            let path = pins.map(name);
            // One that was killed in the middle of this has begun.
            if !path.exists() {
                let pinned = MapData::from_pin(old(name)).map_err(|error| error.to_string());
                pinned
                    .and_then(|map| map.pin(&path).map_err(|error| error.to_string()))
                    .map_err(|error| Error::Setup(format!("{}: {error}", path.display())))?;
            }
        }
        adopted.extend(group.maps);
    }
    Ok(adopted)
}

#[cfg(test)]
pub(super) mod tests;
