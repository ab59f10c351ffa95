//! What it costs to copy connections to the peer: two data planes in this process, and the stream between them over the
//! loopback of its network namespace. Both ends share one processor here, so that the figures are those of both together.

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    net::Ipv4Addr,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use lb_common::{
    ConnState, IPPROTO_TCP,
    flow_table::{Bucket as _, Client, Key, MARKS, Meta, Phase, Places, WAYS},
};
use lb_daemon::{
    config::{ConnectionSync, Failback, HeartbeatPath, Key as Secret, Keys, Peer},
    connections,
    datapath::{Datapath as _, FlowTable, kernel::KernelDatapath},
    ha::{Role, driver::RoleState},
    reconcile::reconcile,
    sync::{
        driver::{Handle, bind},
        segments::Segments,
    },
};
use nix::{
    mount::{MsFlags, mount},
    sys::resource::{UsageWho, getrusage},
};
use tempfile::TempDir;
use tokio::{runtime::Runtime, sync::watch};

use super::control::{FLOWS, REALS, SERVICES, fill, settings, tables};
use crate::lab::run::run;

const PORT: u16 = 540;
const ENDS: [Ipv4Addr; 2] = [Ipv4Addr::new(127, 0, 0, 1), Ipv4Addr::new(127, 0, 0, 2)];
/// Time that the full transfer may take.
const LIMIT: Duration = Duration::from_secs(60);
/// New connections a second in the steady state, and for how long.
const RATE: u32 = 20_000;
const STEADY: Duration = Duration::from_secs(10);
/// Connections opened at a time.
const BURST: u32 = 200;
/// Bursts after which a connection is closed, and after which it is forgotten.
const CLOSED_AFTER: usize = 50;
const GONE_AFTER: usize = 100;

/// An end of the stream.
struct End {
    handle: Handle,
    _role: watch::Sender<Vec<RoleState>>,
}

/// Both ends, running.
struct Copy {
    _runtime: Runtime,
    tables: [Arc<dyn FlowTable>; 2],
    ends: [End; 2],
    _standby: KernelDatapath,
    _folder: TempDir,
}

/// From a full table to an empty one.
pub(super) fn transfer(datapath: &mut KernelDatapath) -> Result<Vec<f64>> {
    transferred(datapath).map(|(time, _)| vec![time.as_secs_f64() * 1e3])
}

/// With all headers, acknowledgements and signs of life.
pub(super) fn bytes(datapath: &mut KernelDatapath) -> Result<Vec<f64>> {
    let before = loopback_bytes()?;
    transferred(datapath)?;
    Ok(vec![(loopback_bytes()? - before) as f64 / f64::from(FLOWS)])
}

/// What the two ends take beside the tables themselves, most of it the active router's.
pub(super) fn memory(datapath: &mut KernelDatapath) -> Result<Vec<f64>> {
    reconcile(datapath, &tables())?;
    fill(datapath.flow_table().as_ref())?;
    let (standby, folder) = standby()?;
    // Whoever reads a mapped table has its pages counted too.
    let all = [datapath.flow_table(), standby.flow_table()];
    let entries: u64 = all.iter().map(|table| connections::entries(table.as_ref())).sum();
    debug_assert_eq!(entries, u64::from(FLOWS));
    let before = resident()?;
    let copy = Copy::start(datapath, standby, folder)?;
    copy.wait_complete()?;
    Ok(vec![resident()?.saturating_sub(before) as f64 / f64::from(FLOWS)])
}

/// Connections open, close and go, and every change is told.
pub(super) fn steady(datapath: &mut KernelDatapath) -> Result<Vec<f64>> {
    reconcile(datapath, &tables())?;
    let (standby, folder) = standby()?;
    let copy = Copy::start(datapath, standby, folder)?;
    copy.wait_complete()?;
    let table = datapath.flow_table();
    let (all, own) = (cpu(UsageWho::RUSAGE_SELF)?, cpu(UsageWho::RUSAGE_THREAD)?);
    let begun = Instant::now();
    let mut behind = Vec::new();
    let mut open: VecDeque<Vec<(u32, usize)>> = VecDeque::new();
    for burst in 0.. {
        let due = Duration::from_secs_f64(f64::from(burst * BURST) / f64::from(RATE));
        if due > STEADY {
            break;
        }
        thread::sleep(due.saturating_sub(begun.elapsed()));
        play(table.as_ref(), burst, &mut open)?;
        behind.extend(copy.ends[0].handle.status().behind_ms);
    }
    let elapsed = begun.elapsed().as_secs_f64();
    let spent = (cpu(UsageWho::RUSAGE_SELF)? - all).saturating_sub(cpu(UsageWho::RUSAGE_THREAD)? - own);
    let status = copy.ends[0].handle.status();
    let most = behind.iter().max().copied().unwrap_or_default();
    eprintln!(
        "{} records in {elapsed:.1} s, {} of them applied, behind by {most} ms at most",
        status.sent,
        copy.ends[1].handle.status().applied
    );
    Ok(vec![spent.as_secs_f64() / elapsed * 100.0])
}

/// One burst: new connections, the handshakes of the last ones done, older ones closed and the oldest forgotten.
fn play(table: &dyn FlowTable, burst: u32, open: &mut VecDeque<Vec<(u32, usize)>>) -> Result<()> {
    let now = table.clock()?.now;
    let change = |places: &[(u32, usize)], state: Option<ConnState>| {
        for (index, way) in places {
            let Some(bucket) = table.buckets().get(*index as usize) else { continue };
            let meta = bucket.meta(*way);
            bucket.exchange(*way, meta, state.map_or(meta.freed(), |state| meta.used(state, now)));
            mark(table, *index);
        }
    };
    for (age, state) in [(0, ConnState::Established), (CLOSED_AFTER, ConnState::FinWait)] {
        if let Some(places) = open.get(age) {
            change(places, Some(state));
        }
    }
    if open.len() > GONE_AFTER
        && let Some(oldest) = open.pop_back()
    {
        change(&oldest, None);
    }
    let meta = Meta::new(IPPROTO_TCP, ConnState::SynRecv, now, 1, 0).in_phase(Phase::Live);
    let mut places = Vec::new();
    for number in burst * BURST..(burst + 1) * BURST {
        let place = enter(table, number, meta)?.context("a table with room")?;
        mark(table, place.0);
        places.push(place);
    }
    open.push_front(places);
    Ok(())
}

/// Enters connection `number` where a place is free; its bucket and place there.
fn enter(table: &dyn FlowTable, number: u32, meta: Meta) -> Result<Option<(u32, usize)>> {
    let buckets = table.buckets();
    let client = Client::new(Ipv4Addr::from(0x0b00_0000 + (number >> 14)).octets(), number as u16 & 0x3fff);
    let Places { first, second } =
        Places::of(client, IPPROTO_TCP, &table.hash_key(), u32::try_from(buckets.len())?);
    let key = Key::new(client, u16::try_from(number % (SERVICES * REALS))?);
    let free = [first, second].into_iter().find_map(|index| {
        let bucket = buckets.get(index as usize)?;
        (0..WAYS).find(|way| bucket.meta(*way).is_free()).map(|way| (index, bucket, way))
    });
    let Some((index, bucket, way)) = free else { return Ok(None) };
    bucket.store_key(way, key);
    bucket.exchange(way, bucket.meta(way), meta);
    Ok(Some((index, way)))
}

fn mark(table: &dyn FlowTable, bucket: u32) {
    if let Some(marks) = table.changes().get(bucket as usize / MARKS) {
        marks.set(bucket as usize % MARKS);
    }
}

/// The time of a full transfer, and both ends after it.
fn transferred(datapath: &mut KernelDatapath) -> Result<(Duration, Copy)> {
    reconcile(datapath, &tables())?;
    fill(datapath.flow_table().as_ref())?;
    let (standby, folder) = standby()?;
    let copy = Copy::start(datapath, standby, folder)?;
    let time = copy.wait_complete()?;
    let [all, copied] = copy.tables.each_ref().map(|table| connections::entries(table.as_ref()));
    // Here and there both buckets of a connection are full, of other connections than on the other router.
    if copied > all || all - copied > all / 10_000 {
        bail!("{copied} of {all} connections are there");
    }
    Ok((time, copy))
}

impl Copy {
    /// Starts both ends.
    fn start(active: &KernelDatapath, standby: KernelDatapath, folder: TempDir) -> Result<Self> {
        run(std::process::Command::new("ip").args(["link", "set", "lo", "up"]))?;
        let runtime = Runtime::new()?;
        let inside = runtime.enter();
        let tables = [active.flow_table(), standby.flow_table()];
        let ends = [(Role::Active, 0, active), (Role::Standby, 1, &standby)];
        let [first, second] = ends.map(|(role, end, datapath)| End::start(role, end, datapath));
        let ends = [first?, second?];
        drop(inside);
        Ok(Self { _runtime: runtime, tables, ends, _standby: standby, _folder: folder })
    }

    /// Waits until the standby has everything; how long that took.
    fn wait_complete(&self) -> Result<Duration> {
        let begun = Instant::now();
        while !*self.ends[1].handle.in_sync.borrow() {
            if begun.elapsed() > LIMIT {
                bail!("the transfer takes too long: {:?}", self.ends[1].handle.status());
            }
            thread::sleep(Duration::from_millis(1));
        }
        Ok(begun.elapsed())
    }
}

impl End {
    fn start(role: Role, end: usize, datapath: &KernelDatapath) -> Result<Self> {
        let peer = Peer {
            priority: 100,
            interval: Duration::from_millis(200),
            dead_after: Duration::from_secs(1),
            failback: Failback::Manual,
            port: PORT - 1,
            keys: Keys::one(Secret(b"0123456789abcdef".to_vec())),
            witnesses: Vec::new(),
            paths: vec![HeartbeatPath { local: ENDS[end].into(), remote: ENDS[1 - end].into() }],
            sync: ConnectionSync { enabled: true, port: PORT, half_open: false },
        };
        let (told, role) =
            watch::channel(vec![RoleState { role, reason: String::new(), since: Instant::now() }]);
        let segments = watch::channel(Segments::default()).1;
        let (table, schedules) = (datapath.flow_table(), datapath.schedules());
        Ok(Self {
            handle: bind(Some(&peer))?.start(table, schedules, role, segments, watch::Sender::default())?,
            _role: told,
        })
    }
}

/// A second data plane, on a BPF file system of its own in this process's mount namespace.
fn standby() -> Result<(KernelDatapath, TempDir)> {
    let folder = tempfile::tempdir()?;
    let bpf = folder.path().join("bpf");
    fs::create_dir(&bpf)?;
    mount(Some("bpf"), &bpf, Some("bpf"), MsFlags::empty(), None::<&str>)?;
    let (mut datapath, _) = KernelDatapath::open(&settings(&bpf), &BTreeMap::new())?;
    reconcile(&mut datapath, &tables())?;
    Ok((datapath, folder))
}

/// Bytes that the loopback of this network namespace has carried.
fn loopback_bytes() -> Result<u64> {
    let text = fs::read_to_string("/proc/thread-self/net/dev")?;
    let line = text.lines().find_map(|line| line.trim().strip_prefix("lo:")).context("a loopback")?;
    line.split_whitespace().next().context("a count")?.parse().context("bytes")
}

/// Bytes of this process in memory.
fn resident() -> Result<u64> {
    let text = fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("VmRSS")?;
    let kib: u64 = line.split_whitespace().next().context("a number")?.parse()?;
    Ok(kib * 1024)
}

/// Processor time spent.
fn cpu(who: UsageWho) -> Result<Duration> {
    let usage = getrusage(who)?;
    let spent = |time: nix::sys::time::TimeVal| {
        Duration::from_micros(u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0))
    };
    Ok(spent(usage.user_time()) + spent(usage.system_time()))
}
