//! Tables of another layout in the kernel, which describes them by their BTF.

use std::{
    collections::BTreeMap,
    fs,
    os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd},
    sync::atomic::AtomicBool,
};

use aya::maps::{Array as ArrayMap, Map};
use lb_common::{
    IPPROTO_TCP, LAYOUT_VERSION, Real,
    flow_table::{Places, bucket_count},
};

use super::{
    super::super::{
        adopt::{
            self,
            tests::{LIMITS, with_an_older_layout},
        },
        flow_table::KernelFlowTable,
        kernel::{KernelDatapath, Settings},
        layout::sample::{Field, KEY, describe_values},
        load,
        old_reals::tests::{REAL_FIELDS, SLOT, slot},
        pins::Pins,
        programs,
        replacement::Replacement,
    },
    *,
};
use crate::config::BpfLog;

const OLD_BUCKETS: u32 = 1000;
/// `BPF_F_MMAPABLE` of include/uapi/linux/bpf.h.
const MAPPED: u32 = 1 << 10;
/// Every other entry.
const CONNECTIONS: u16 = 2000;

#[test]
fn this_layout_describes_itself() {
    with_an_older_layout(|_, folder| {
        let own = Predecessor::open(folder, LAYOUT_VERSION, true).unwrap().expect("a flow table");
        assert_eq!((Source::buckets(&own), own.layout.ways()), (bucket_count(LIMITS.flows) as usize, 8));
        let (key, meta) = (key(client(3), 7), half_open().with_hop(77).of_peer());
        let words = own.flows.words();
        words[0].store(key.word(), Ordering::Release);
        words[1].store(meta.word(), Ordering::Release);
        let mut shown = Vec::new();
        own.connections(0, &mut |key, meta| shown.push((key, meta)));
        assert_eq!(shown, [(key, meta)]);
        assert!(own.marks.is_some());
    });
}

#[test]
fn an_upgrade_with_another_layout_keeps_the_connections() {
    with_an_older_layout(|_, folder| {
        let old = Pinned::new(folder, &FIELDS);
        let connections = fill(&old);
        let (datapath, notices) = open(folder);
        let before = LAYOUT_VERSION - 1;
        let carried = format!(
            "layout {before}: the flow table is made anew, {CONNECTIONS} connections are carried over"
        );
        assert!(notices.contains(&carried), "{notices:?}");
        assert_all(&*datapath.flow_table(), &connections);
        assert!(!folder.exists(), "the old table is not needed any more");
        let (again, notices) = open(folder);
        assert_all(&*again.flow_table(), &connections);
        assert_eq!(notices, [""; 0]);
    });
}

#[test]
fn real_servers_of_another_layout_get_the_same_slots() {
    with_an_older_layout(|_, folder| {
        let connections = fill(&Pinned::new(folder, &FIELDS));
        let others = create(SLOT, LIMITS.reals, Some(describe_values(SLOT, &REAL_FIELDS)));
        let words = Mapped::<AtomicU64>::open(others.fd().as_fd(), (2 * SLOT / WORD) as u32).unwrap();
        let of_slot_1 = words.values()[SLOT / WORD..].iter();
        for (word, octets) in of_slot_1.zip(slot(&real(1)).as_chunks().0) {
            word.store(u64::from_le_bytes(*octets), Ordering::Release);
        }
        pin(folder, map::REALS, &others);
        let (datapath, notices) = open(folder);
        assert_all(&*datapath.flow_table(), &connections);
        assert!(notices.iter().any(|notice| notice.ends_with("are carried over")), "{notices:?}");
        assert_eq!(datapath.installed().unwrap().reals, BTreeMap::from([(1, real(1))]));
    });
}

#[test]
fn last_hops_that_are_not_kept_are_not_known() {
    with_an_older_layout(|_, folder| {
        let connections = fill(&Pinned::new(folder, &FIELDS));
        fs::rename(folder.join(map::LOCALS), folder.join(map::LAST_HOPS)).unwrap();
        let (datapath, _) = open(folder);
        let without = |meta: Meta| Meta::from_word(meta.word() & !(0x7fff << 48));
        let wanted: Vec<(Key, Meta)> =
            connections.into_iter().map(|(key, meta)| (key, without(meta))).collect();
        assert_all(&*datapath.flow_table(), &wanted);
    });
}

#[test]
fn connections_that_change_while_they_are_copied_are_all_there() {
    with_an_older_layout(|pins, folder| {
        let old = Pinned::new(folder, &FIELDS);
        let connections = fill(&old);
        let (flows, new) = old_and_new(pins);
        let changed = |meta: Meta| meta.used(ConnState::FinWait, meta.seen());
        let done = AtomicBool::new(false);
        let replacement = thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Ordering::Acquire) {
                    for (place, (key, meta)) in connections.iter().enumerate() {
                        old.set(2 * place, *key, changed(*meta));
                        old.set(2 * place, *key, *meta);
                    }
                }
            });
            let begun = Replacement::begin(pins, Box::new(flows), &new).unwrap();
            done.store(true, Ordering::Release);
            begun
        });
        replacement.finish();
        let all = standing(&new);
        for ((key, meta), (before, its)) in all.iter().zip(&connections) {
            assert!(key == before && [*its, changed(*its)].contains(meta), "{key:?} {meta:?}");
        }
        assert_eq!(all.len(), connections.len());
    });
}

#[test]
fn what_changes_until_the_program_is_replaced_comes_along() {
    with_an_older_layout(|pins, folder| {
        let old = Pinned::new(folder, &FIELDS);
        let mut connections = fill(&old);
        let (flows, new) = old_and_new(pins);
        let replacement = Replacement::begin(pins, Box::new(flows), &new).unwrap();
        let (first, meta) = connections[0];
        let used = meta.used(ConnState::Established, meta.seen().after(meta.seen()));
        let (made, its) = (key(client(CONNECTIONS), 1), connections[1].1);
        old.set(0, first, used);
        old.set(1, made, its);
        replacement.finish();
        connections[0].1 = used;
        connections.push((made, its));
        assert_all(&new, &connections);
    });
}

#[test]
fn what_an_interrupted_upgrade_has_begun_is_done_again() {
    with_an_older_layout(|pins, folder| {
        let old = Pinned::new(folder, &FIELDS);
        let connections = fill(&old);
        // Killed before a program was attached: what it has copied has gone meanwhile.
        drop(old_and_new(pins));
        let begun = MapData::from_pin(pins.map(map::FLOWS)).unwrap();
        let words = Mapped::<AtomicU64>::open(begun.fd().as_fd(), 2).unwrap();
        words.values()[0].store(key(client(9999), 1).word(), Ordering::Release);
        words.values()[1].store(established(old.now.number()).word(), Ordering::Release);
        let (datapath, _) = open(folder);
        assert_all(&*datapath.flow_table(), &connections);
    });
}

#[test]
fn what_does_not_say_enough_is_forgotten_with_one_line() {
    type Described = Option<(Vec<u8>, u32)>;
    let flows: Vec<Field> = FIELDS.into_iter().filter(|field| field.0 != "generation").collect();
    let reals: Vec<Field> = REAL_FIELDS.into_iter().filter(|field| field.0 != "state").collect();
    let cases: [(&str, usize, Described, &str); 4] = [
        (map::FLOWS, BUCKET, Some(describe(&flows)), "its entries have no field `generation`"),
        (map::FLOWS, BUCKET, None, "its map FLOWS has no BTF"),
        (map::REALS, SLOT, Some(describe_values(SLOT, &reals)), "its real servers have no field `state`"),
        (map::REALS, SLOT, None, "its map REALS has no BTF"),
    ];
    for (name, size, described, reason) in cases {
        with_an_older_layout(move |_, folder| {
            fill(&Pinned::new(folder, &FIELDS));
            pin(folder, name, &create(size, OLD_BUCKETS, described));
            let (datapath, notices) = open(folder);
            let before = LAYOUT_VERSION - 1;
            let why =
                format!("connections of layout {before} cannot be carried over and are forgotten: {reason}");
            let of_connections = notices.iter().filter(|notice| notice.contains("connections"));
            assert_eq!(of_connections.collect::<Vec<_>>(), [&why]);
            assert_all(&*datapath.flow_table(), &[]);
        });
    }
}

/// The flow table of the older layout, and the new one that is to take its place.
fn old_and_new(pins: &Pins) -> (Predecessor, KernelFlowTable) {
    let inherited = adopt::from_older_layout(pins, &load::shapes(&LIMITS)).unwrap();
    let (mut ebpf, _) = load::load((u32::MAX, 0), pins, &LIMITS, BpfLog::Off, false).unwrap();
    let (_, flows) = inherited.flows.unwrap();
    (flows, KernelFlowTable::open(pins, programs::clock(&mut ebpf).unwrap()).unwrap())
}

fn open(older: &Path) -> (KernelDatapath, Vec<String>) {
    let pin_dir = older.parent().unwrap().to_owned();
    let settings = Settings { pin_dir, limits: LIMITS, bpf_log: BpfLog::Off, has_virtual_macs: false };
    KernelDatapath::open(&settings, &BTreeMap::new()).unwrap()
}

/// A flow table of another layout, pinned in the place of this one's.
struct Pinned {
    words: Mapped<AtomicU64>,
    marks: Mapped<SharedMarks>,
    now: Stamp,
}

impl Pinned {
    /// In `folder`, with the real server 1.
    fn new(folder: &Path, fields: &[Field]) -> Self {
        let reals = MapData::from_pin(folder.join(map::REALS)).unwrap();
        let mut reals = ArrayMap::<_, Real>::try_from(Map::Array(reals)).unwrap();
        reals.set(1, real(1), 0).unwrap();
        let flows = create(BUCKET, OLD_BUCKETS, Some(describe(fields)));
        pin(folder, map::FLOWS, &flows);
        Self {
            words: Mapped::open(flows.fd().as_fd(), OLD_BUCKETS * WORDS as u32).unwrap(),
            marks: marks(folder, LAYOUT_VERSION, OLD_BUCKETS).unwrap(),
            now: now(folder),
        }
    }

    /// Writes an entry, counted through all buckets, and marks its bucket.
    fn set(&self, place: usize, key: Key, meta: Meta) {
        write(self.words.values(), place, key, meta, 0..ENTRY / WORD);
        mark(self.marks.values(), place / WAYS);
    }
}

/// The time of the flow table, by a program of its own.
fn now(folder: &Path) -> Stamp {
    let (pins, _) = Pins::create(&folder.with_file_name("clock")).unwrap();
    let (mut ebpf, _) = load::load((u32::MAX, 0), &pins, &LIMITS, BpfLog::Off, false).unwrap();
    Stamp::new(syscall::run(programs::clock(&mut ebpf).unwrap().as_fd()).unwrap())
}

/// `struct { … } BPF_BTF_LOAD` of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct LoadBtf {
    btf: u64,
    log: u64,
    size: u32,
    log_size: u32,
    log_level: u32,
}

/// `struct { … } BPF_MAP_CREATE` of `union bpf_attr`.
#[repr(C)]
#[derive(Default)]
struct Create {
    kind: u32,
    key_size: u32,
    value_size: u32,
    entries: u32,
    flags: u32,
    inner: u32,
    node: u32,
    name: [u8; 16],
    ifindex: u32,
    btf: u32,
    key: u32,
    value: u32,
}

/// Makes an array of another layout, with its BTF and the number of its values' type there.
fn create(size: usize, entries: u32, described: Option<(Vec<u8>, u32)>) -> MapData {
    // `enum bpf_cmd` and `enum bpf_map_type` of include/uapi/linux/bpf.h.
    const MAP_CREATE: libc::c_int = 0;
    const BTF_LOAD: libc::c_int = 18;
    const ARRAY: u32 = 2;
    let mut map = Create {
        kind: ARRAY,
        key_size: 4,
        value_size: size as u32,
        entries,
        flags: MAPPED,
        ..Create::default()
    };
    let btf = described.map(|(btf, value)| {
        let mut load = LoadBtf { btf: btf.as_ptr() as u64, size: btf.len() as u32, ..LoadBtf::default() };
        // SAFETY: `btf` is readable for its size and lives through the call; the descriptor is ours.
        let loaded = unsafe { OwnedFd::from_raw_fd(syscall::bpf(BTF_LOAD, &mut load).unwrap()) };
        (loaded, value)
    });
    if let Some((btf, value)) = &btf {
        map = Create { btf: btf.as_raw_fd() as u32, key: KEY, value: *value, ..map };
    }
    // SAFETY: the attributes hold no address; the descriptor is ours.
    let made = unsafe { OwnedFd::from_raw_fd(syscall::bpf(MAP_CREATE, &mut map).unwrap()) };
    MapData::from_fd(made).unwrap()
}

/// Pins a map in the place of the one in `folder`.
fn pin(folder: &Path, name: &str, other: &MapData) {
    let path = folder.join(name);
    fs::remove_file(&path).unwrap();
    other.pin(path).unwrap();
}

/// Fills every other entry; what is in them.
fn fill(table: &Pinned) -> Vec<(Key, Meta)> {
    let made = (0..CONNECTIONS).map(|number| {
        let state = if number % 3 == 0 { ConnState::SynRecv } else { ConnState::Established };
        let meta = Meta::new(IPPROTO_TCP, state, table.now, 1, number).in_phase(Phase::Live);
        (key(client(number), 1), if number % 2 == 0 { meta } else { meta.of_peer() })
    });
    let made: Vec<(Key, Meta)> = made.collect();
    for (number, (key, meta)) in made.iter().enumerate() {
        table.set(2 * number, *key, *meta);
    }
    made
}

/// Checks that these are the connections of a flow table, and that there are no others.
fn assert_all(table: &dyn FlowTable, wanted: &[(Key, Meta)]) {
    let all = standing(table);
    let differs = all.iter().zip(wanted).find(|(one, other)| one != other);
    assert_eq!((differs, all.len()), (None, wanted.len()));
}

/// The connections of a flow table, in the order of their clients; each where packets look for it.
fn standing(table: &dyn FlowTable) -> Vec<(Key, Meta)> {
    let buckets = table.buckets();
    let mut all = Vec::new();
    for (number, bucket) in (0..).zip(buckets) {
        for (_, key, meta) in bucket.entries() {
            let places = Places::of(key.client(), 6, &table.hash_key(), buckets.len().try_into().unwrap());
            assert!([places.first, places.second].contains(&number));
            all.push((key, meta));
        }
    }
    all.sort_unstable_by_key(|(key, _)| *key);
    all
}
