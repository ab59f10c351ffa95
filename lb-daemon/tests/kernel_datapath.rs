//! The data plane in the kernel: loading, pinning, attaching and map access. Each test runs in a network namespace and a
//! mount namespace of its own, with its own BPF file system, and leaves nothing behind. They need root.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    panic::resume_unwind,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use aya::maps::{Array, Map, MapData, PerCpuArray, PerCpuValues};
use lb_common::{
    ConnState, LAYOUT_VERSION, Method, Methods, PeerHop, Real, RealCounters, RealKey, RealState, RouterRole,
    Scheduler, ServiceKey,
    flow_table::{Client, HashKey, Key, Meta, Phase, Places, RawBucket, RawEntry, Standing, insert},
    map,
};
use lb_daemon::{
    config::{BpfLog, Limits},
    connections::{self, Counts},
    datapath::{
        Datapath as _, Op,
        kernel::{KernelDatapath, Settings},
        pins::teardown,
    },
    reconcile::{diff, reconcile},
    tables::{ServiceTable, Tables},
};
use nix::{
    mount::{MsFlags, mount},
    net::if_::if_nametoindex,
    sched::{CloneFlags, unshare},
    unistd::geteuid,
};
use tempfile::TempDir;

#[test]
fn a_veth_is_attached_natively_and_teardown_leaves_nothing() {
    in_lab(|lab| {
        let (datapath, notices) = lab.open(&["lbt0"]);
        assert_eq!(notices, NOTHING);
        assert_eq!(datapath.attach_modes(), BTreeMap::from([("lbt0".to_owned(), "native")]));
        assert_eq!(datapath.limits(), LIMITS);
        drop(datapath);
        assert!(program_id("lbt0").is_some(), "the program outlives the daemon");

        let done = teardown(&lab.pin_dir).unwrap();
        let folder = lab.pin_dir.join(format!("v{LAYOUT_VERSION}"));
        let maps = format!("removed {} maps in {}", map::ALL.len(), folder.display());
        assert_eq!(done, ["detached from lbt0", &maps]);
        assert_eq!(program_id("lbt0"), None);
        assert!(!lab.pin_dir.exists());
        assert_eq!(teardown(&lab.pin_dir).unwrap(), NOTHING, "a second time there is nothing to do");
    });
}

#[test]
fn opening_again_keeps_maps_and_link_and_replaces_the_program() {
    in_lab(|lab| {
        let (mut first, _) = lab.open(&["lbt0"]);
        reconcile(&mut first, &tables()).unwrap();
        let (program, link) = (program_id("lbt0"), lab.link_pin("lbt0"));
        drop(first);

        let (second, notices) = lab.open(&["lbt0"]);
        assert_eq!(notices, NOTHING);
        assert_eq!(second.installed().unwrap(), tables());
        assert_eq!(lab.link_pin("lbt0"), link, "the same link");
        assert!(program_id("lbt0").is_some() && program_id("lbt0") != program, "with another program");
        assert_eq!(second.attach_modes()["lbt0"], "native");
    });
}

#[test]
fn packets_meet_the_program_for_the_methods_in_use() {
    in_lab(|lab| {
        let (mut datapath, _) = lab.open(&["lbt0"]);
        let made = program_id("lbt0");
        let direct = Tables {
            reals: [(1, real(2, Method::Direct))].into(),
            methods: Methods::NONE.with(Method::Direct),
            ..Tables::default()
        };
        assert!(reconcile(&mut datapath, &direct).unwrap().contains(&Op::UseMethods(direct.methods)));
        assert_eq!(datapath.installed().unwrap(), direct);
        let smaller = program_id("lbt0");
        assert!(smaller.is_some() && smaller != made, "another program");
        assert_eq!(reconcile(&mut datapath, &direct).unwrap(), []);
        assert_eq!(program_id("lbt0"), smaller);

        // An interface that is gone is nobody's concern here.
        ip("link del lbt0");
        reconcile(&mut datapath, &tables()).unwrap();
        assert_eq!(datapath.installed().unwrap(), tables());
    });
}

#[test]
fn a_lease_outlives_the_daemon_that_gave_it() {
    in_lab(|lab| {
        let (first, _) = lab.open(&[]);
        assert!(!first.lease().runs(0), "nobody has given one");
        first.lease().set(0, Instant::now() + Duration::from_secs(3600));
        drop(first);

        let (second, _) = lab.open(&[]);
        let lease = second.lease();
        assert!(lease.runs(0));
        lease.set(0, Instant::now());
        assert!(!lease.runs(0), "it is over at once");
        lease.set(0, Instant::now() + Duration::from_secs(3600));
        lease.release(0);
        assert!(!lease.runs(0));
    });
}

#[test]
fn what_is_written_is_read_back() {
    in_lab(|lab| {
        let (mut datapath, _) = lab.open(&[]);
        assert_eq!(datapath.installed().unwrap(), Tables::default());
        assert!(!reconcile(&mut datapath, &tables()).unwrap().is_empty());
        assert_eq!(datapath.installed().unwrap(), tables());
        assert_eq!(reconcile(&mut datapath, &tables()).unwrap(), []);

        for op in diff(&tables(), &Tables::default()) {
            datapath.apply(&op).unwrap();
            datapath.apply(&op).unwrap_or_else(|error| panic!("a second time, {op:?}: {error}"));
        }
        assert_eq!(datapath.installed().unwrap(), Tables::default());
    });
}

#[test]
fn a_new_ring_goes_into_the_half_that_is_not_read() {
    in_lab(|lab| {
        let (mut datapath, _) = lab.open(&[]);
        let service = |ring: &[u16], start| ServiceTable {
            id: 3,
            scheduler: Scheduler::WeightedRoundRobin,
            ring: ring.to_vec(),
            start,
            closed: false,
        };
        datapath.apply(&Op::SetService(WEB, service(&[1, 2, 3], 2))).unwrap();
        let mut positions: Array<_, u64> = lab.map(map::POSITIONS).try_into().unwrap();
        positions.set(6, 7, 0).unwrap();
        assert_eq!(datapath.position(&WEB).unwrap(), Some(7), "as the program has counted");
        assert_eq!(datapath.installed().unwrap().services[&WEB], service(&[1, 2, 3], 2));

        let schedules = datapath.schedules();
        assert_eq!(schedules.positions().unwrap(), [(WEB, 7)].into());
        schedules.set_position(&WEB, 9).unwrap();
        assert_eq!(datapath.position(&WEB).unwrap(), Some(9), "as the peer has told");
        schedules.set_position(&DNS, 9).unwrap();

        datapath.apply(&Op::SetService(WEB, service(&[4], 1))).unwrap();
        assert_eq!(positions.get(&7, 0).unwrap(), 1);
        assert_eq!(datapath.position(&WEB).unwrap(), Some(1));
        datapath.apply(&Op::SetService(WEB, service(&[5, 6], 0))).unwrap();
        assert_eq!((datapath.position(&WEB).unwrap(), positions.get(&6, 0).unwrap()), (Some(0), 0));
        assert_eq!(datapath.position(&DNS).unwrap(), None);
    });
}

#[test]
fn a_service_that_closes_keeps_its_ring_and_position() {
    in_lab(|lab| {
        let (mut datapath, _) = lab.open(&[]);
        let scheduler = Scheduler::RoundRobin;
        let service = ServiceTable { id: 3, scheduler, ring: vec![1, 2, 3], start: 2, closed: false };
        datapath.apply(&Op::SetService(WEB, service.clone())).unwrap();
        let mut positions: Array<_, u64> = lab.map(map::POSITIONS).try_into().unwrap();
        positions.set(6, 7, 0).unwrap();
        for closed in [true, false] {
            datapath.apply(&Op::SetClosed(WEB, closed)).unwrap();
            assert_eq!(
                datapath.installed().unwrap().services[&WEB],
                ServiceTable { closed, ..service.clone() }
            );
            assert_eq!(datapath.position(&WEB).unwrap(), Some(7));
        }
        // A new ring leaves it as it is told.
        let other = ServiceTable { ring: vec![4], closed: true, ..service };
        datapath.apply(&Op::SetService(WEB, other.clone())).unwrap();
        assert_eq!(datapath.installed().unwrap().services[&WEB], other);
    });
}

#[test]
fn what_does_not_fit_is_refused_and_says_where() {
    in_lab(|lab| {
        let (mut datapath, _) = lab.open(&[]);
        let error = datapath.apply(&Op::SetReal(LIMITS.reals, real(1, Method::Nat))).unwrap_err().to_string();
        assert!(error.starts_with("map REALS: setting an entry failed: "), "{error}");
        let ring = vec![0; lb_common::RING_SLOTS + 1];
        let service = ServiceTable { id: 0, scheduler: Scheduler::RoundRobin, ring, start: 0, closed: false };
        assert!(datapath.apply(&Op::SetService(WEB, service)).is_err());
        assert_eq!(datapath.installed().unwrap(), Tables::default());
    });
}

#[test]
fn counters_are_summed_over_the_cpus_and_reset() {
    in_lab(|lab| {
        let (mut datapath, _) = lab.open(&[]);
        let mut counters: PerCpuArray<_, RealCounters> = lab.map(map::REAL_COUNTERS).try_into().unwrap();
        let cpus = aya::util::nr_cpus().unwrap();
        let one = RealCounters { connections: 2, in_packets: 3, in_bytes: 5, out_packets: 7, out_bytes: 11 };
        counters.set(9, PerCpuValues::try_from(vec![one; cpus]).unwrap(), 0).unwrap();
        let mut sum = RealCounters::default();
        (0..cpus).for_each(|_| sum += one);
        assert_eq!(
            datapath.real_counters(&[8, 9]).unwrap(),
            BTreeMap::from([(8, RealCounters::default()), (9, sum)])
        );
        datapath.reset_real_counters(9).unwrap();
        assert_eq!(datapath.real_counters(&[9]).unwrap()[&9], RealCounters::default());
        assert_eq!(datapath.reasons().unwrap().len(), lb_common::Reason::ALL.len());
    });
}

#[test]
fn the_flow_table_is_read_and_cleaned_in_place() {
    in_lab(|lab| {
        let (datapath, _) = lab.open(&[]);
        let table = datapath.flow_table();
        assert_eq!(connections::entries(table.as_ref()), 0);
        let mut map: Array<_, RawBucket> = lab.map(map::FLOWS).try_into().unwrap();
        assert_eq!(table.buckets().len(), map.len() as usize);
        let clock = table.clock().unwrap();
        let of =
            |generation| Meta::new(6, ConnState::Established, clock.now, generation, 0).in_phase(Phase::Live);
        let mut bucket = RawBucket::default();
        for (way, generation) in (0..).zip([1, 2, 1]) {
            let client = Client::new([198, 51, 100, 1], way);
            bucket.ways[usize::from(way)] = RawEntry::new(Key::new(client, 1), of(generation));
        }
        let last = map.len() - 1;
        map.set(last, bucket, 0).unwrap();
        let real = Real { state: RealState::Up as u8, generation: 2, ..Real::default() };
        lab.map(map::REALS)
            .try_into()
            .map(|mut reals: Array<_, Real>| reals.set(1, real, 0))
            .unwrap()
            .unwrap();
        let survey = connections::survey(table.as_ref(), &clock);
        assert_eq!(survey.counts, BTreeMap::from([(1, Counts { active: 1, inactive: 0 })]));
        assert_eq!(survey.forgotten, 2);
        let left = map.get(&last, 0).unwrap().ways.map(|entry| entry.meta().is_live());
        assert_eq!(left.iter().filter(|is_live| **is_live).count(), 1);
        assert!(left[1], "the one of the present owner stays");
    });
}

#[test]
fn the_clock_of_the_flows_advances_by_jiffies() {
    in_lab(|lab| {
        let (datapath, _) = lab.open(&[]);
        let before = datapath.flow_table().clock().unwrap();
        thread::sleep(Duration::from_millis(1500));
        let after = datapath.flow_table().clock().unwrap();
        let units = after.now.since(before.now);
        assert!(after.secs(units + 1) >= 1, "{units} units at {} Hz", after.hz);
        assert!(after.secs(units) < 3600, "{units}");
    });
}

#[test]
fn the_secret_of_the_flow_table_stays_with_it() {
    in_lab(|lab| {
        drop(lab.open(&[]));
        let secret = || -> HashKey { Array::try_from(lab.map(map::HASH_KEY)).unwrap().get(&0, 0).unwrap() };
        let first = secret();
        assert_ne!(first, HashKey::default());
        drop(lab.open(&[]));
        assert_eq!(secret(), first);
        teardown(&lab.pin_dir).unwrap();
        drop(lab.open(&[]));
        assert_ne!(secret(), first);
    });
}

#[test]
fn another_owners_program_is_refused_by_its_id() {
    in_lab(|lab| {
        let (_datapath, _) = lab.open(&["lbt0"]);
        let id = program_id("lbt0").unwrap();
        let other = Settings { pin_dir: lab.pin_dir.with_file_name("other"), ..lab.settings() };
        let error = KernelDatapath::open(&other, &interfaces(&["lbt0"])).err().unwrap().to_string();
        assert!(error.starts_with(&format!("lbt0 already runs another XDP program (id {id}): ")), "{error}");
        assert!(error.contains("bpftool net show dev lbt0"), "{error}");
        assert_eq!(program_id("lbt0"), Some(id));
        assert!(!other.pin_dir.exists(), "nothing is left of a first start that was refused");
    });
}

#[test]
fn a_driver_without_xdp_runs_it_generically_and_says_so() {
    in_lab(|lab| {
        // The loopback interface has a driver without XDP, and every kernel has it.
        let (datapath, notices) = lab.open(&["lo"]);
        assert_eq!(datapath.attach_modes()["lo"], "generic");
        assert!(
            notices.len() == 1 && notices[0].starts_with("lo: its driver does not run XDP natively"),
            "{notices:?}"
        );
        assert!(notices[0].contains("GENERIC"), "{notices:?}");
        drop(datapath);
        let (datapath, _) = lab.open(&["lo"]);
        assert_eq!(datapath.attach_modes()["lo"], "generic", "as its link was made");
    });
}

#[test]
fn an_interface_with_a_dot_in_its_name_is_pinned() {
    in_lab(|lab| {
        ip("link add lbt.100 type veth peer name lbt.101");
        drop(lab.open(&["lbt.100"]));
        let (_, notices) = lab.open(&["lbt.100"]);
        assert_eq!(notices, NOTHING, "it is found again");
        assert_eq!(teardown(&lab.pin_dir).unwrap()[0], "detached from lbt.100");
    });
}

#[test]
fn other_limits_keep_the_pinned_sizes_with_a_notice() {
    in_lab(|lab| {
        drop(lab.open(&[]));
        let settings = Settings { limits: Limits { reals: 128, ..LIMITS }, ..lab.settings() };
        let (datapath, notices) = KernelDatapath::open(&settings, &BTreeMap::new()).unwrap();
        let notice = |name| {
            format!(
                "limits.reals asks for 128 entries in the map {name}, which keeps its 64 until `lbd teardown`"
            )
        };
        assert_eq!(notices, [map::REALS, map::REAL_KEYS, map::REAL_COUNTERS].map(notice));
        assert_eq!(datapath.limits(), LIMITS);
    });
}

#[test]
fn a_flow_table_of_another_size_takes_over_with_its_connections() {
    in_lab(|lab| {
        let (mut first, _) = lab.open(&["lbt0"]);
        reconcile(&mut first, &tables()).unwrap();
        let connections = fill(lab, &first, 1000);
        let (program, link) = (program_id("lbt0"), lab.link_pin("lbt0"));
        drop(first);
        for flows in [4 * LIMITS.flows, 2048] {
            let settings = Settings { limits: Limits { flows, ..LIMITS }, ..lab.settings() };
            let (datapath, notices) = KernelDatapath::open(&settings, &interfaces(&["lbt0"])).unwrap();
            let notice = "limits.flows: the flow table is made anew, 1000 connections are carried over";
            assert_eq!(notices, [notice]);
            assert_eq!(datapath.limits().flows, flows);
            assert_eq!(standing(&datapath), connections, "{flows}");
            assert_eq!(datapath.installed().unwrap(), tables(), "nothing else has changed");
        }
        assert_eq!(lab.link_pin("lbt0"), link, "the same link");
        assert!(program_id("lbt0").is_some() && program_id("lbt0") != program, "with another program");
        let pins = fs::read_dir(lab.pin_dir.join(format!("v{LAYOUT_VERSION}"))).unwrap().count();
        assert_eq!(pins, map::ALL.len(), "nothing else is left");
    });
}

#[test]
fn connections_that_have_no_room_are_told_of() {
    in_lab(|lab| {
        let (mut first, _) = lab.open(&[]);
        reconcile(&mut first, &tables()).unwrap();
        fill(lab, &first, 5000);
        drop(first);
        let settings = Settings { limits: Limits { flows: 1024, ..LIMITS }, ..lab.settings() };
        let (datapath, notices) = KernelDatapath::open(&settings, &BTreeMap::new()).unwrap();
        let left = standing(&datapath).len();
        let lost = format!(
            "limits.flows: the flow table is made anew, {left} connections are carried over; {} had no room and are forgotten",
            5000 - left
        );
        assert_eq!(notices, [lost]);
        assert!((2000..=2048).contains(&left), "the table is full: {left}");
    });
}

#[test]
fn a_change_of_size_that_was_interrupted_is_ended() {
    in_lab(|lab| {
        let (mut first, _) = lab.open(&["lbt0"]);
        reconcile(&mut first, &tables()).unwrap();
        let connections = fill(lab, &first, 100);
        drop(first);
        let pin = |name: &str| lab.pin_dir.join(format!("v{LAYOUT_VERSION}")).join(name);
        let next = |name: &str| pin(&format!("{name}_NEXT"));
        let swapped = [map::FLOWS, map::CHANGES, map::PROGRAMS];
        // Killed before the program was replaced: the maps beside those in use are of no program.
        let other = Settings { pin_dir: lab.pin_dir.with_file_name("other"), ..lab.settings() };
        drop(KernelDatapath::open(&other, &BTreeMap::new()).unwrap());
        for name in swapped {
            let unused = other.pin_dir.join(format!("v{LAYOUT_VERSION}")).join(name);
            MapData::from_pin(unused).unwrap().pin(next(name)).unwrap();
        }
        let (second, notices) = lab.open(&["lbt0"]);
        assert_eq!((notices, standing(&second)), (vec![], connections.clone()));
        assert!(swapped.iter().all(|name| !next(name).exists()));
        drop(second);
        // Killed after it, before all had their names: the program uses them.
        for name in swapped {
            fs::rename(pin(name), next(name)).unwrap();
        }
        let (third, notices) = lab.open(&["lbt0"]);
        assert_eq!((notices, standing(&third)), (vec![], connections));
        assert!(swapped.iter().all(|name| !next(name).exists() && pin(name).exists()));
    });
}

#[test]
fn a_map_of_another_shape_is_refused() {
    in_lab(|lab| {
        drop(lab.open(&[]));
        let pin = |name| lab.pin_dir.join(format!("v{LAYOUT_VERSION}")).join(name);
        fs::remove_file(pin(map::PEER_HOPS)).unwrap();
        fs::rename(pin(map::LOCALS), pin(map::PEER_HOPS)).unwrap();
        let error = KernelDatapath::open(&lab.settings(), &BTreeMap::new()).err().unwrap().to_string();
        assert!(
            error.contains(
                "PEER_HOPS is not of this version (1024 entries of 4 and 1 bytes instead of 64 of 4 and 12)"
            ),
            "{error}"
        );
        assert!(error.contains("`lbd teardown`"), "{error}");
    });
}

#[test]
fn interfaces_come_go_and_are_made_anew() {
    in_lab(|lab| {
        drop(lab.open(&["lbt0", "lbt1"]));
        ip("link del lbt0");
        ip("link add lbt0 type veth peer name lbt1");
        let (datapath, notices) = lab.open(&["lbt0"]);
        assert_eq!(
            notices,
            ["lbt1 is no longer configured: detached", "lbt0 was removed and made anew: attached again"]
        );
        assert_eq!(datapath.attach_modes(), BTreeMap::from([("lbt0".to_owned(), "native")]));
        assert!(program_id("lbt0").is_some());
        drop(datapath);
        let (_, notices) = lab.open(&["lbt0", "lbt1"]);
        assert_eq!(notices, NOTHING);
        let (_, notices) = lab.open(&["lbt1"]);
        assert_eq!(notices, ["lbt0 is no longer configured: detached"]);
        assert_eq!((program_id("lbt0"), program_id("lbt1").is_some()), (None, true));
    });
}

#[test]
fn a_renamed_interface_is_attached_by_its_new_name() {
    in_lab(|lab| {
        drop(lab.open(&["lbt0"]));
        ip("link set lbt0 name lbt7");
        let (_, notices) = lab.open(&["lbt7"]);
        assert_eq!(notices, ["lbt0 is no longer configured: detached"]);
        assert!(program_id("lbt7").is_some());
    });
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    in_lab(|lab| {
        let mut missing = interfaces(&["lbt0"]);
        missing.insert("lbt9".to_owned(), 999_999);
        let error = KernelDatapath::open(&lab.settings(), &missing).err().unwrap().to_string();
        assert_eq!(error, "there is no interface lbt9");
        // The one before it had the program for a moment.
        assert_eq!(program_id("lbt0"), None);
        assert!(!lab.pin_dir.exists());
    });
}

#[test]
fn a_pin_directory_outside_of_a_bpf_file_system_is_refused() {
    in_lab(|lab| {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { pin_dir: folder.path().join("lbd"), ..lab.settings() };
        let error = KernelDatapath::open(&settings, &BTreeMap::new()).err().unwrap().to_string();
        assert!(error.contains("is not on a BPF file system: mount one with `mkdir -p "), "{error}");
    });
}

#[test]
fn maps_of_another_layout_go_when_the_new_program_runs() {
    in_lab(|lab| {
        fs::create_dir_all(lab.pin_dir.join("v0")).unwrap();
        let (_datapath, notices) = lab.open(&["lbt0"]);
        assert_eq!(notices.len(), 1, "{notices:?}");
        assert!(notices[0].starts_with("removed the maps of another version in "), "{notices:?}");
        assert!(!lab.pin_dir.join("v0").exists());
    });
}

#[test]
fn the_programs_log_is_read_while_the_daemon_runs() {
    in_lab(|lab| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let settings = Settings { bpf_log: BpfLog::Debug, ..lab.settings() };
        let (datapath, _) =
            runtime.block_on(async { KernelDatapath::open(&settings, &interfaces(&["lbt0"])) }).unwrap();
        assert_eq!(datapath.attach_modes()["lbt0"], "native");
    });
}

const LIMITS: Limits = Limits { flows: 65_536, services: 16, reals: 64 };
const WEB: ServiceKey = ServiceKey::new(6, [192, 0, 2, 1], 80);
const DNS: ServiceKey = ServiceKey::new(17, [192, 0, 2, 1], 53);
const NOTHING: [&str; 0] = [];

/// Namespaces with a pair of veth interfaces, `lbt0` and `lbt1`, and a BPF file system.
struct Lab {
    _folder: TempDir,
    pin_dir: PathBuf,
}

impl Lab {
    fn settings(&self) -> Settings {
        Settings { pin_dir: self.pin_dir.clone(), limits: LIMITS, bpf_log: BpfLog::Off }
    }

    fn open(&self, names: &[&str]) -> (KernelDatapath, Vec<String>) {
        KernelDatapath::open(&self.settings(), &interfaces(names)).unwrap()
    }

    /// A map as the program has it.
    fn map(&self, name: &str) -> Map {
        let path = self.pin_dir.join(format!("v{LAYOUT_VERSION}")).join(name);
        Map::from_map_data(MapData::from_pin(path).unwrap()).unwrap()
    }

    /// What tells the pin of a link from any other, made before or after.
    fn link_pin(&self, interface: &str) -> u64 {
        fs::metadata(self.pin_dir.join("links").join(interface)).unwrap().ino()
    }
}

/// Makes that many established connections, as the program does. Returns them in their order.
fn fill(lab: &Lab, datapath: &KernelDatapath, count: u16) -> Vec<(Client, u16)> {
    let table = datapath.flow_table();
    let (now, key) = (table.clock().unwrap().now, table.hash_key());
    let generation = Array::<_, Real>::try_from(lab.map(map::REALS)).unwrap().get(&0, 0).unwrap().generation;
    let meta = Meta::new(6, ConnState::Established, now, generation, 0);
    let buckets = table.buckets();
    let clients = (0..count).map(|number| Client::new([198, 51, 100, 1], 1024 + number));
    let mut made: Vec<_> = clients.map(|client| (client, 0)).collect();
    for (client, real) in &made {
        let places = Places::of(*client, 6, &key, buckets.len().try_into().unwrap());
        let both = [places.first, places.second].map(|number| &buckets[number as usize]);
        insert(both, Key::new(*client, *real), meta, || None, |_, _| Standing::Other).unwrap();
    }
    made.sort_unstable();
    made
}

/// The connections of a data plane, in their order; each where packets look for it.
fn standing(datapath: &KernelDatapath) -> Vec<(Client, u16)> {
    let table = datapath.flow_table();
    let buckets = table.buckets();
    let mut all = Vec::new();
    for (number, bucket) in (0..).zip(buckets) {
        for (_, key, _) in bucket.entries() {
            let places = Places::of(key.client(), 6, &table.hash_key(), buckets.len().try_into().unwrap());
            assert!([places.first, places.second].contains(&number));
            all.push((key.client(), key.real()));
        }
    }
    all.sort_unstable();
    all
}

/// Runs a test in namespaces that end with its thread.
fn in_lab(test: impl FnOnce(&Lab) + Send + 'static) {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: needs root");
        return;
    }
    let result = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let bpf = folder.path().join("bpf");
        fs::create_dir(&bpf).unwrap();
        mount(Some("bpf"), &bpf, Some("bpf"), MsFlags::empty(), None::<&str>).unwrap();
        ip("link add lbt0 type veth peer name lbt1");
        let lab = Lab { pin_dir: bpf.join("lbd"), _folder: folder };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&lab)));
        unmount(&bpf);
        result
    });
    match result.join() {
        Ok(Ok(())) => {}
        Ok(Err(panic)) | Err(panic) => resume_unwind(panic),
    }
}

fn unmount(bpf: &Path) {
    nix::mount::umount2(bpf, nix::mount::MntFlags::MNT_DETACH).unwrap();
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

/// Id of the XDP program of an interface, as iproute2 sees it.
fn program_id(interface: &str) -> Option<u32> {
    let output = Command::new("ip").args(["-j", "link", "show", "dev", interface]).output().unwrap();
    let links: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    links[0]["xdp"]["prog"]["id"].as_u64().and_then(|id| id.try_into().ok())
}

fn interfaces(names: &[&str]) -> BTreeMap<String, u32> {
    names.iter().map(|name| (name.to_string(), if_nametoindex(*name).unwrap())).collect()
}

fn real(host: u8, method: Method) -> Real {
    Real {
        address: [10, 0, 0, host],
        port: 8080,
        method: method as u8,
        state: RealState::Up as u8,
        mac: [2, 0, 0, 0, 0, host],
        source_mac: [2; 6],
        ifindex: 3,
        generation: 1,
        service: 0,
        weight: 1,
        protocol: 6,
        ..Real::default()
    }
}

fn tables() -> Tables {
    let service = |id, scheduler, ring: &[u16], start| ServiceTable {
        id,
        scheduler,
        ring: ring.to_vec(),
        start,
        closed: false,
    };
    Tables {
        role: RouterRole::Active,
        services: BTreeMap::from([
            (WEB, service(0, Scheduler::WeightedRoundRobin, &[0, 1, 0], 1)),
            (DNS, service(5, Scheduler::SourceHash, &[0; 256], 0)),
        ]),
        reals: BTreeMap::from([
            (0, real(1, Method::Nat)),
            (1, real(2, Method::Direct)),
            (63, real(3, Method::Nat)),
        ]),
        real_keys: BTreeMap::from([(RealKey::new(6, [10, 0, 0, 1], 8080), 0)]),
        peer_hops: BTreeMap::from([(3, PeerHop { mac: [6; 6], source_mac: [2; 6] })]),
        locals: [[10, 0, 0, 254].into(), [192, 0, 2, 254].into()].into(),
        methods: Methods::ALL,
        floating: [([192, 0, 2, 10].into(), 0)].into(),
    }
}
