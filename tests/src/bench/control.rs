//! What the daemon's side costs: a change, a large configuration, and the survey of a full flow table.

use std::{collections::BTreeMap, fs, net::Ipv4Addr, path::Path, time::Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use lb_common::{
    ConnState, IPPROTO_TCP, Method, Real, RealKey, RealState, RouterRole, Scheduler, ServiceKey,
    flow_table::{Client, Key, Meta, Places, Standing, bucket_count, insert},
};
use lb_daemon::{
    config::{BpfLog, Limits},
    connections,
    datapath::{
        Clock, Datapath as _, FlowTable, Op,
        kernel::{KernelDatapath, Settings},
    },
    reconcile::reconcile,
    tables::{ServiceTable, Tables},
};
use nix::{
    mount::{MntFlags, MsFlags, mount, umount2},
    sched::{CloneFlags, unshare},
};

use super::{copy, report::Step, stats::Figure};

/// Services of the large configuration, and real servers of each.
pub(super) const SERVICES: u32 = 1 << 10;
pub(super) const REALS: u32 = 16;
/// Connections of the full flow table.
pub(super) const FLOWS: u32 = 1 << 20;
/// Connections whose places may be full: some in a million are.
const WITHOUT_ROOM: u32 = 100;
/// Repetitions of a change.
const CHANGES: u32 = 1000;
/// Repetitions of what takes longer.
const SURVEYS: u32 = 20;

/// One thing that is timed.
#[derive(Clone, Copy)]
pub struct Control {
    /// Its name.
    pub name: &'static str,
    unit: &'static str,
    goal: Option<f64>,
    work: fn(&mut KernelDatapath) -> Result<Vec<f64>>,
}

/// All of them.
pub const ALL: [Control; 11] = [
    Control { name: "load 1 Ki services of 16 real servers", unit: "ms", goal: None, work: load },
    Control { name: "replace the ring of one service", unit: "ms", goal: Some(0.1), work: ring },
    Control { name: "change the weight of one real server", unit: "ms", goal: None, work: weight },
    Control { name: "count 1 Mi flows", unit: "ms", goal: Some(20.0), work: count },
    Control { name: "list 1 Mi flows", unit: "ms", goal: Some(20.0), work: list },
    Control { name: "list 1 Mi flows as JSON", unit: "ms", goal: None, work: json },
    Control { name: "memory of the flow table for each flow", unit: "bytes", goal: Some(40.0), work: memory },
    Control { name: "copy 1 Mi flows to a peer", unit: "ms", goal: None, work: copy::transfer },
    Control { name: "copy: bytes on the wire for each flow", unit: "bytes", goal: None, work: copy::bytes },
    Control { name: "copy: memory for each flow", unit: "bytes", goal: None, work: copy::memory },
    Control {
        name: "copy 20,000 new flows a second, both ends",
        unit: "% cpu",
        goal: None,
        work: copy::steady,
    },
];

impl Control {
    /// Its figure beside what it should be.
    pub fn measured(&self, figure: Figure) -> Step {
        Step { name: self.name.to_owned(), unit: self.unit.to_owned(), figure, goal: self.goal }
    }

    /// Does it, on a data plane of its own.
    ///
    /// # Errors
    /// When the data plane refuses.
    pub fn measure(&self) -> Result<Figure> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>)?;
        let folder = tempfile::tempdir()?;
        let bpf = folder.path().join("bpf");
        fs::create_dir(&bpf)?;
        mount(Some("bpf"), &bpf, Some("bpf"), MsFlags::empty(), None::<&str>)?;
        let settings = settings(&bpf);
        let result = KernelDatapath::open(&settings, &BTreeMap::new())
            .map_err(Into::into)
            .and_then(|(mut datapath, _)| (self.work)(&mut datapath));
        umount2(&bpf, MntFlags::MNT_DETACH)?;
        Figure::of(result?).ok_or_else(|| anyhow!("{}: nothing was timed", self.name))
    }
}

/// A data plane pinned on the BPF file system `bpf`.
pub(super) fn settings(bpf: &Path) -> Settings {
    Settings {
        pin_dir: bpf.join("lbd"),
        limits: Limits { flows: FLOWS, services: SERVICES, reals: SERVICES * REALS },
        bpf_log: BpfLog::Off,
        has_virtual_macs: false,
    }
}

/// From empty maps to the large configuration.
fn load(datapath: &mut KernelDatapath) -> Result<Vec<f64>> {
    let tables = tables();
    Ok(vec![timed(|| reconcile(datapath, &tables).map(drop))?])
}

fn ring(datapath: &mut KernelDatapath) -> Result<Vec<f64>> {
    reconcile(datapath, &tables())?;
    (0..CHANGES)
        .map(|change| {
            let mut service = service(7);
            service.ring.rotate_left(change as usize % REALS as usize);
            timed(|| datapath.apply(&Op::SetService(key(7), service)))
        })
        .collect()
}

/// What a change of weight comes to: the real server's entry, and the ring that it takes part in.
fn weight(datapath: &mut KernelDatapath) -> Result<Vec<f64>> {
    reconcile(datapath, &tables())?;
    (0..CHANGES)
        .map(|change| {
            let weight = 1 + change % 9;
            let mut table = service(7);
            table.scheduler = Scheduler::WeightedRoundRobin;
            let first = *table.ring.first().context("a ring")?;
            table.ring.extend(std::iter::repeat_n(first, weight as usize));
            let entry = Real { weight, ..real(7, 0) };
            timed(|| {
                datapath.apply(&Op::SetReal(index(7, 0), entry))?;
                datapath.apply(&Op::SetService(key(7), table))
            })
        })
        .collect()
}

fn count(datapath: &mut KernelDatapath) -> Result<Vec<f64>> {
    survey(datapath, |table, clock| {
        let survey = connections::survey(table, clock);
        Ok(survey.counts.values().map(|counts| counts.active as usize).sum())
    })
}

fn list(datapath: &mut KernelDatapath) -> Result<Vec<f64>> {
    survey(datapath, |table, clock| Ok(connections::list(table, clock).len()))
}

/// What the daemon does for `lbctl conns`.
fn json(datapath: &mut KernelDatapath) -> Result<Vec<f64>> {
    survey(datapath, |table, clock| {
        let list = connections::list(table, clock);
        let text = serde_json::to_vec(&list)?;
        Ok(if text.is_empty() { 0 } else { list.len() })
    })
}

/// Times `look`, which returns how many connections it has seen, on a full flow table.
fn survey(
    datapath: &mut KernelDatapath,
    look: impl Fn(&dyn FlowTable, &Clock) -> Result<usize>,
) -> Result<Vec<f64>> {
    reconcile(datapath, &tables())?;
    let table = datapath.flow_table();
    let clock = table.clock()?;
    fill(table.as_ref())?;
    let time = |_| {
        let start = Instant::now();
        let seen = look(table.as_ref(), &clock)?;
        let time = start.elapsed();
        if seen != FLOWS as usize {
            bail!("{seen} of {FLOWS} connections seen");
        }
        Ok(time.as_secs_f64() * 1e3)
    };
    (0..SURVEYS).map(time).collect()
}

/// Puts as many connections into the table as it is made for, spread over all real servers.
pub(super) fn fill(table: &dyn FlowTable) -> Result<()> {
    let (buckets, now, secret) = (table.buckets(), table.clock()?.now, table.hash_key());
    let count = u32::try_from(buckets.len())?;
    let meta = Meta::new(IPPROTO_TCP, ConnState::Established, now, 1, 1);
    let mut left = FLOWS;
    for number in 0..FLOWS + WITHOUT_ROOM {
        let address = Ipv4Addr::from(0x0b00_0000 + (number >> 14)).octets();
        let client = Client::new(address, number as u16 & 0x3fff);
        let Places { first, second } = Places::of(client, IPPROTO_TCP, &secret, count);
        let (Some(first), Some(second)) = (buckets.get(first as usize), buckets.get(second as usize)) else {
            bail!("places {first} and {second} of {count} buckets");
        };
        let key = Key::new(client, u16::try_from(number % (SERVICES * REALS))?);
        if insert([first, second], key, meta, || None, |_, _| Standing::Other).is_err() {
            continue;
        }
        left -= 1;
        if left == 0 {
            return Ok(());
        }
    }
    bail!("the flow table has no room for {left} of {FLOWS} connections")
}

fn memory(datapath: &mut KernelDatapath) -> Result<Vec<f64>> {
    let bytes = size_of_val(datapath.flow_table().buckets());
    debug_assert_eq!(bytes, bucket_count(FLOWS) as usize * 128);
    Ok(vec![bytes as f64 / f64::from(FLOWS)])
}

/// Milliseconds that `work` takes.
fn timed<E: Into<anyhow::Error>>(work: impl FnOnce() -> Result<(), E>) -> Result<f64> {
    let start = Instant::now();
    work().map_err(Into::into)?;
    Ok(start.elapsed().as_secs_f64() * 1e3)
}

/// The large configuration.
pub(super) fn tables() -> Tables {
    let all = || (0..SERVICES).flat_map(|id| (0..REALS).map(move |number| (id, number)));
    Tables {
        role: RouterRole::Active,
        services: (0..SERVICES).map(|id| (key(id), service(id))).collect(),
        reals: all().map(|(id, number)| (index(id, number), real(id, number))).collect(),
        real_keys: all()
            .map(|(id, number)| {
                let Real { address, port, .. } = real(id, number);
                (RealKey::new(IPPROTO_TCP, address, port), index(id, number))
            })
            .collect(),
        ..Tables::default()
    }
}

fn key(id: u32) -> ServiceKey {
    ServiceKey::new(IPPROTO_TCP, Ipv4Addr::from(0xc612_0000 + id).octets(), 80)
}

const fn index(id: u32, number: u32) -> u32 {
    id * REALS + number
}

fn service(id: u32) -> ServiceTable {
    let ring = (0..REALS).map(|number| index(id, number) as u16).collect();
    ServiceTable { id, scheduler: Scheduler::RoundRobin, ring, start: 0, closed: false }
}

fn real(id: u32, number: u32) -> Real {
    let ServiceKey { address, port, .. } = key(id);
    Real {
        address: Ipv4Addr::from(0x0a00_0000 + index(id, number)).octets(),
        port: 8080,
        method: Method::Nat as u8,
        state: RealState::Up as u8,
        ifindex: 1,
        generation: 1,
        service: id,
        weight: 1,
        virtual_address: address,
        virtual_port: port,
        protocol: IPPROTO_TCP,
        ..Real::default()
    }
}
