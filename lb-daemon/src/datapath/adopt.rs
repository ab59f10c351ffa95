//! An upgrade in place. A version that changes the layout of the maps changes few of them; the others are pinned beside the new ones,
//! and both programs use them while the one takes the place of the other. So connections are not copied, and none is lost.
//!
//! What belongs together is kept together, or not at all: an entry of the flow table names a real server by its slot, and would be
//! another one's in a new array.

use std::path::Path;

use aya::maps::MapData;
use lb_common::map;

use super::{
    Error,
    load::{self, Shape},
    pins::Pins,
};

/// Maps that belong together.
#[derive(Clone, Copy)]
struct Group {
    /// The first layout since which none of them has changed its shape or its meaning.
    since: u32,
    maps: &'static [&'static str],
}

/// In the order in which one needs those before it. The rest begins anew: caches, the filter, which is written at every start, and the
/// programs that a program jumps to.
const GROUPS: [Group; 3] = [
    Group {
        since: 3,
        maps: &[
            map::FLOWS,
            map::CHANGES,
            map::HASH_KEY,
            map::LAST_HOPS,
            map::OVERFLOWS,
            map::REALS,
            map::REAL_KEYS,
            map::REAL_COUNTERS,
        ],
    },
    Group { since: 3, maps: &[map::SERVICES, map::RINGS, map::POSITIONS, map::LOCALS, map::PEER_HOPS] },
    Group { since: 3, maps: &[map::ROUTER] },
];

/// Pins what the newest older layout has and this one has just so. Returns a line for the operator where there was something.
///
/// # Errors
/// When a map cannot be pinned.
pub(super) fn from_older_layout(pins: &Pins, shapes: &[Shape]) -> Result<Option<String>, Error> {
    let Some((version, folder)) = pins.older_layout()? else { return Ok(None) };
    let adopted = adopt(pins, shapes, version, &folder, &GROUPS)?;
    let line = format!("{adopted} maps of layout {version} are kept, with what stands in them");
    Ok((adopted > 0).then_some(line))
}

/// Pins the maps of each group that is as it was in layout `version`, up to the first that is not. How many there are.
fn adopt(
    pins: &Pins,
    shapes: &[Shape],
    version: u32,
    folder: &Path,
    groups: &[Group],
) -> Result<usize, Error> {
    let mut adopted = 0;
    for group in groups {
        let old = |name: &str| folder.join(name);
        let fits = |name: &str| {
            let shape = shapes.iter().find(|shape| shape.name == name);
            shape.is_some_and(|shape| {
                load::pinned_entries(shape, &old(name)).is_ok_and(|found| found.is_some())
            })
        };
        if version < group.since || !group.maps.iter().all(|name| fits(name)) {
            break;
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
            adopted += 1;
        }
    }
    Ok(adopted)
}

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use aya::maps::MapInfo;
    use lb_common::LAYOUT_VERSION;
    use nix::{
        mount::{MntFlags, MsFlags, mount, umount2},
        sched::{CloneFlags, unshare},
        unistd::geteuid,
    };

    use super::*;
    use crate::config::{BpfLog, Limits};

    const LIMITS: Limits = Limits { flows: 4096, services: 4, reals: 16 };

    #[test]
    fn maps_that_have_not_changed_are_the_same_maps() {
        with_an_older_layout(|pins, folder| {
            let before = id(&folder.join(map::FLOWS));
            let groups = [Group { since: LAYOUT_VERSION - 1, ..GROUPS[0] }, GROUPS[1], GROUPS[2]];
            let adopted = adopt(pins, &load::shapes(&LIMITS), LAYOUT_VERSION - 1, folder, &groups[..1]);
            assert_eq!(adopted.unwrap(), groups[0].maps.len());
            let (ebpf, notices) = load::load((u32::MAX, 0), pins, &LIMITS, BpfLog::Off, false).unwrap();
            drop(ebpf);
            assert_eq!(notices, [""; 0]);
            assert_eq!(id(&pins.map(map::FLOWS)), before, "not a copy");
            assert_ne!(id(&pins.map(map::ROUTER)), id(&folder.join(map::ROUTER)), "another group");
        });
    }

    #[test]
    fn a_group_with_one_map_of_another_shape_begins_anew_and_so_do_those_after_it() {
        with_an_older_layout(|pins, folder| {
            fs::rename(folder.join(map::LOCALS), folder.join(map::OVERFLOWS)).unwrap();
            let groups = GROUPS.map(|group| Group { since: 0, ..group });
            let adopted = adopt(pins, &load::shapes(&LIMITS), LAYOUT_VERSION - 1, folder, &groups);
            assert_eq!(adopted.unwrap(), 0);
        });
    }

    #[test]
    fn a_layout_in_which_maps_meant_something_else_is_left() {
        with_an_older_layout(|pins, folder| {
            let before = GROUPS[0].since - 1;
            assert_eq!(adopt(pins, &load::shapes(&LIMITS), before, folder, &GROUPS).unwrap(), 0);
            let all: usize = GROUPS.iter().map(|group| group.maps.len()).sum();
            let since = GROUPS.iter().map(|group| group.since).max().unwrap();
            assert_eq!(adopt(pins, &load::shapes(&LIMITS), since, folder, &GROUPS).unwrap(), all);
        });
    }

    #[test]
    fn what_needs_a_name_is_a_map() {
        let shapes = load::shapes(&LIMITS);
        for name in GROUPS.iter().flat_map(|group| group.maps) {
            assert!(shapes.iter().any(|shape| shape.name == *name), "{name}");
        }
    }

    fn id(path: &Path) -> u32 {
        MapInfo::from_pin(path).unwrap().id()
    }

    /// Runs a test with pins in which an older layout has every map, and the present one none; in a mount namespace with a BPF file
    /// system of its own.
    fn with_an_older_layout(test: impl FnOnce(&Pins, &Path) + Send + 'static) {
        if !geteuid().is_root() {
            eprintln!("SKIPPED: maps need root");
            return;
        }
        let body = move || {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            let none = None::<&str>;
            mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).unwrap();
            let folder = tempfile::tempdir().unwrap();
            mount(Some("bpf"), folder.path(), Some("bpf"), MsFlags::empty(), none).unwrap();
            let (pins, _) = Pins::create(folder.path()).unwrap();
            drop(load::load((u32::MAX, 0), &pins, &LIMITS, BpfLog::Off, false).unwrap());
            let older = folder.path().join(format!("v{}", LAYOUT_VERSION - 1));
            fs::rename(pins.maps(), &older).unwrap();
            let (pins, _) = Pins::create(folder.path()).unwrap();
            assert_eq!(pins.older_layout().unwrap(), Some((LAYOUT_VERSION - 1, older.clone())));
            test(&pins, &older);
            umount2(folder.path(), MntFlags::MNT_DETACH).unwrap();
        };
        thread::spawn(body).join().expect("the test in its namespace");
    }
}
