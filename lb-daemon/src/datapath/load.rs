//! Loads the object: maps that are pinned are reused, and those that are not are made and pinned.

use std::{io, path::Path};

use aya::{
    Ebpf, EbpfError, EbpfLoader,
    maps::{Array, Map, MapData, MapError, MapInfo, MapType},
    programs::ProgramError,
};
use lb_common::{
    AddressFilter, CACHED_PEERS, CACHED_SERVICES, CachedPeer, CachedService, Counter, Floating, LAST_HOPS,
    LEASES, LastHop, Lease, OVERFLOWS, PeerHop, Real, RealCounters, RealKey, Reason, Ring, RouterState,
    Service, ServiceKey, VIRTUAL_MACS, VirtualMac, VirtualMacKey,
    flow_table::{ChangeMarks, HashKey, RawBucket, bucket_capacity, bucket_count, mark_count},
    map,
};

use super::{Error, globals::Globals, object, pins::Pins, programs};
use crate::config::{BpfLog, Limits};

/// Lines of the verifier's output that an error shows: the last ones hold the reason.
const VERIFIER_LINES: usize = 8;

/// What a map must be.
pub(super) struct Shape {
    pub(super) name: &'static str,
    kind: MapType,
    key: usize,
    value: usize,
    entries: u32,
    /// The limit that sets the entries; `None` where they are fixed.
    limit: Option<&'static str>,
}

/// Loads maps and program for a kernel of this version; the program is verified, but attached nowhere. The notices are for the operator.
///
/// # Errors
/// When a pinned map has another shape, or the kernel refuses a map or the program.
pub(super) fn load(
    kernel: (u32, u32),
    pins: &Pins,
    limits: &Limits,
    log: BpfLog,
    has_virtual_macs: bool,
) -> Result<(Ebpf, Vec<String>), Error> {
    let mut notices = Vec::new();
    let level = log_level(log);
    let shapes = shapes(limits);
    let paths = shapes.iter().map(|shape| pins.map(shape.name)).collect::<Vec<_>>();
    let mut buckets = 0;
    let mut loader = EbpfLoader::new();
    loader.override_global(aya_log::LEVEL, &level, false);
    for (shape, path) in shapes.iter().zip(&paths) {
        let entries = match pinned_entries(shape, path)? {
            Some(entries) if entries != shape.entries => {
                // One notice is enough for the flow table and what goes with it.
                if shape.name != map::CHANGES {
                    notices.push(kept_size(shape, entries));
                }
                entries
            }
            _ => shape.entries,
        };
        if shape.name == map::FLOWS {
            buckets = entries;
        }
        loader.map_max_entries(shape.name, entries).map_pin_path(shape.name, path.as_path());
    }
    let hash_key = hash_key(&pins.map(map::HASH_KEY))?;
    let globals = Globals::new(buckets, hash_key).with_virtual_macs(has_virtual_macs);
    globals.set(&mut loader);
    let mut ebpf =
        loader.load(&object::for_kernel(kernel)).map_err(|error| Error::Setup(load_failure(&error)))?;
    programs::load(&mut ebpf).map_err(|error| Error::Setup(load_failure(&error)))?;
    keep_hash_key(&mut ebpf, hash_key)?;
    Ok((ebpf, notices))
}

/// The secret of the flow table: that of one that is in use, or nothing in it would be found again, else a new one.
fn hash_key(path: &Path) -> Result<HashKey, Error> {
    if path.exists() {
        let failed = |error: MapError| Error::Setup(format!("{}: {error}", path.display()));
        let keys = MapData::from_pin(path).map(Map::Array).map_err(failed)?;
        let kept: HashKey = Array::try_from(keys).and_then(|keys| keys.get(&0, 0)).map_err(failed)?;
        if kept != HashKey::default() {
            return Ok(kept);
        }
    }
    let random = || {
        getrandom::u64().map_err(|error| Error::Setup(format!("the kernel gives no random numbers: {error}")))
    };
    Ok(HashKey::new([random()?, random()?, random()?]))
}

/// Keeps the secret beside the flow table.
fn keep_hash_key(ebpf: &mut Ebpf, key: HashKey) -> Result<(), Error> {
    let failed = |error: &dyn std::fmt::Display| Error::Setup(format!("the map {}: {error}", map::HASH_KEY));
    let map = ebpf.map_mut(map::HASH_KEY).ok_or_else(|| failed(&"the object has none"))?;
    Array::try_from(map).and_then(|mut keys| keys.set(0, key, 0)).map_err(|error| failed(&error))
}

/// Entries of the map pinned at `path`; `None` where none is pinned. aya reuses a pinned map of any shape, so it is
/// compared here.
pub(super) fn pinned_entries(shape: &Shape, path: &Path) -> Result<Option<u32>, Error> {
    if !path.exists() {
        return Ok(None);
    }
    let info =
        MapInfo::from_pin(path).map_err(|error| Error::Setup(format!("{}: {error}", path.display())))?;
    let (key, value, entries) = (info.key_size() as usize, info.value_size() as usize, info.max_entries());
    let resizable = shape.limit.is_some() || entries == shape.entries;
    if info.map_type().is_ok_and(|kind| kind == shape.kind)
        && (key, value) == (shape.key, shape.value)
        && resizable
    {
        return Ok(Some(entries));
    }
    let Shape { key: own_key, value: own_value, entries: own_entries, .. } = shape;
    Err(Error::Setup(format!(
        "the map pinned at {} is not of this version ({entries} entries of {key} and {value} bytes instead of \
         {own_entries} of {own_key} and {own_value}): `lbd teardown` removes it, with all connections",
        path.display(),
    )))
}

fn kept_size(shape: &Shape, entries: u32) -> String {
    let Shape { name, limit, .. } = shape;
    let limit = limit.unwrap_or("this version");
    // The flow table has more room than connections.
    let [wanted, kept] = [shape.entries, entries]
        .map(|entries| if *name == map::FLOWS { bucket_capacity(entries) } else { entries });
    format!(
        "{limit} asks for {wanted} entries in the map {name}, which keeps its {kept} until `lbd teardown`"
    )
}

/// Every map, with the sizes that `limits` asks for.
pub(super) fn shapes(limits: &Limits) -> [Shape; 23] {
    let Limits { flows, services, reals } = *limits;
    let rings = services.saturating_mul(2);
    let (of_flows, of_services, of_reals) =
        (Some("limits.flows"), Some("limits.services"), Some("limits.reals"));
    [
        shape::<ServiceKey, Service>(map::SERVICES, MapType::Hash, services, of_services),
        shape::<u32, Real>(map::REALS, MapType::Array, reals, of_reals),
        shape::<RealKey, u32>(map::REAL_KEYS, MapType::Hash, reals, of_reals),
        shape::<u32, Ring>(map::RINGS, MapType::Array, rings, of_services),
        shape::<u32, u64>(map::POSITIONS, MapType::Array, rings, of_services),
        shape::<u32, RawBucket>(map::FLOWS, MapType::Array, bucket_count(flows), of_flows),
        shape::<u32, ChangeMarks>(map::CHANGES, MapType::Array, mark_count(bucket_count(flows)), of_flows),
        shape::<u32, HashKey>(map::HASH_KEY, MapType::Array, 1, None),
        shape::<u32, LastHop>(map::LAST_HOPS, MapType::Array, LAST_HOPS as u32, None),
        shape::<u32, u32>(map::OVERFLOWS, MapType::Array, OVERFLOWS as u32, None),
        shape::<u32, AddressFilter>(map::ADDRESSES, MapType::Array, 1, None),
        shape::<u32, u32>(map::PROGRAMS, MapType::ProgramArray, 2, None),
        shape::<u32, RouterState>(map::ROUTER, MapType::Array, 1, None),
        shape::<u32, PeerHop>(map::PEER_HOPS, MapType::Hash, 64, None),
        shape::<[u8; 4], u8>(map::LOCALS, MapType::Hash, 1024, None),
        shape::<[u8; 4], Floating>(map::FLOATING, MapType::Hash, 1024, None),
        shape::<VirtualMacKey, VirtualMac>(map::VIRTUAL_MACS, MapType::Hash, VIRTUAL_MACS as u32, None),
        shape::<u32, Lease>(map::LEASES, MapType::Array, LEASES as u32, None),
        shape::<u32, u32>(map::EPOCH, MapType::Array, 1, None),
        shape::<u32, CachedService>(map::SERVICE_CACHE, MapType::PerCpuArray, CACHED_SERVICES as u32, None),
        shape::<u32, CachedPeer>(map::PEER_CACHE, MapType::PerCpuArray, CACHED_PEERS as u32, None),
        shape::<u32, Counter>(map::REASONS, MapType::PerCpuArray, Reason::ALL.len() as u32, None),
        shape::<u32, RealCounters>(map::REAL_COUNTERS, MapType::PerCpuArray, reals, of_reals),
    ]
}

const fn shape<K, V>(name: &'static str, kind: MapType, entries: u32, limit: Option<&'static str>) -> Shape {
    Shape { name, kind, key: size_of::<K>(), value: size_of::<V>(), entries, limit }
}

/// The level as aya-log's program side compares it; 0 lets the verifier remove every call.
const fn log_level(log: BpfLog) -> u8 {
    match log {
        BpfLog::Off => 0,
        BpfLog::Warn => aya_log::Level::Warn as u8,
        BpfLog::Info => aya_log::Level::Info as u8,
        BpfLog::Debug => aya_log::Level::Debug as u8,
    }
}

fn load_failure(error: &EbpfError) -> String {
    match error {
        EbpfError::ProgramError(error) => program_failure(error),
        EbpfError::MapError(MapError::CreateError { name, io_error }) => {
            format!("the kernel does not make the map {name}: {io_error}")
        }
        EbpfError::MapError(MapError::PinError { name, error }) => {
            format!("the map {} cannot be pinned: {error}", name.as_deref().unwrap_or("without a name"))
        }
        error => format!("the XDP program cannot be loaded: {error}"),
    }
}

fn program_failure(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { io_error, verifier_log } => refusal(io_error, &verifier_log.to_string()),
        error => format!("the kernel refuses the XDP program: {error}"),
    }
}

/// One line from the verifier's many.
fn refusal(error: &io::Error, log: &str) -> String {
    let lines: Vec<&str> = log.lines().filter(|line| !line.trim().is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(VERIFIER_LINES)..).unwrap_or_default();
    format!("the kernel's verifier refuses the XDP program ({error}): {}", last.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_map_has_a_shape() {
        let mut names: Vec<&str> = shapes(&Limits::default()).iter().map(|shape| shape.name).collect();
        let mut all = map::ALL.to_vec();
        names.sort_unstable();
        all.sort_unstable();
        assert_eq!(names, all);
    }

    #[test]
    fn a_refused_program_shows_the_end_of_the_log() {
        let lines: Vec<String> = (1..=20).map(|line| format!("line {line}\n")).collect();
        let text = refusal(&io::Error::from_raw_os_error(libc::EACCES), &lines.concat());
        assert!(text.contains("(Permission denied (os error 13)): line 13 | line 14"), "{text}");
        assert!(text.ends_with("line 20") && !text.contains('\n'), "{text}");
    }

    #[test]
    fn levels_rise() {
        assert_eq!([BpfLog::Off, BpfLog::Warn, BpfLog::Info, BpfLog::Debug].map(log_level), [0, 2, 3, 4]);
    }
}
