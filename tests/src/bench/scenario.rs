//! What is measured.

use anyhow::Result;
use lb_common::{IPPROTO_TCP, IPPROTO_UDP, Method, Reason};

use super::{
    floor::Floor,
    harness::{Effort, Harness, IN_TURN, Run},
    stats::Figure,
    world::{From, Kind, World},
};

/// New connections in a round: few enough that the flow table has room for all of them.
const NEW: u32 = 1 << 19;
/// More clients than any round has.
const CLIENTS: u32 = 1 << 28;

/// One scenario.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scenario {
    /// Its name, for `--only`.
    pub name: &'static str,
    /// The floor that it is a multiple of.
    pub floor: Floor,
    /// The multiple that it should not exceed.
    pub goal: Option<f64>,
    work: Work,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    Foreign,
    Established { kind: Kind, from: From, flows: u32 },
    New { kind: Kind },
    Flood { kind: Kind },
}

const TCP_DR: Kind = Kind { protocol: IPPROTO_TCP, method: Method::Direct, services: 1 };
const TCP_NAT: Kind = Kind { method: Method::Nat, ..TCP_DR };
const UDP_DR: Kind = Kind { protocol: IPPROTO_UDP, ..TCP_DR };
const UDP_NAT: Kind = Kind { protocol: IPPROTO_UDP, ..TCP_NAT };

macro_rules! established {
    ($label:literal, $kind:ident, $from:ident, $goal:literal) => {
        [
            established(concat!($label, ", 1 flow"), $kind, From::$from, 1, Floor::Lru, $goal),
            established(concat!($label, ", 1 Ki flows"), $kind, From::$from, 1 << 10, Floor::Lru, $goal),
            established(concat!($label, ", 64 Ki flows"), $kind, From::$from, 1 << 16, Floor::Hash64Ki, 0.25),
            established(
                concat!($label, ", 512 Ki flows"),
                $kind,
                From::$from,
                1 << 19,
                Floor::Hash512Ki,
                0.6,
            ),
        ]
    };
}

/// All scenarios.
pub fn all() -> Vec<Scenario> {
    let mut all =
        vec![Scenario { name: "foreign packet", floor: Floor::Hash, goal: Some(0.25), work: Work::Foreign }];
    all.extend(established!("TCP direct", TCP_DR, Client, 0.5));
    all.extend(established!("TCP NAT in", TCP_NAT, Client, 0.75));
    all.extend(established!("TCP NAT out", TCP_NAT, Real, 0.75));
    all.extend(established!("UDP direct", UDP_DR, Client, 0.5));
    all.extend(established!("UDP NAT in", UDP_NAT, Client, 0.75));
    all.extend(established!("UDP NAT out", UDP_NAT, Real, 0.75));
    let new = |name, kind, goal| Scenario { name, floor: Floor::LruInsert, goal, work: Work::New { kind } };
    all.push(new("new flow, TCP direct", TCP_DR, Some(0.4)));
    all.push(new("new flow, TCP NAT", TCP_NAT, Some(0.4)));
    all.push(new("new flow, UDP NAT", UDP_NAT, Some(0.4)));
    let flood =
        |name, kind| Scenario { name, floor: Floor::LruInsert, goal: None, work: Work::Flood { kind } };
    all.push(flood("SYN flood, full table, NAT", TCP_NAT));
    let many = |name, services| {
        let kind = Kind { services, ..TCP_NAT };
        let work = Work::Established { kind, from: From::Client, flows: 1 << 14 };
        Scenario { name, floor: Floor::Hash, goal: None, work }
    };
    all.push(many("1 Ki services, 16 Ki flows", 1 << 10));
    all.push(many("10 Ki services, 16 Ki flows", 10 << 10));
    all.push(new("new flow, 1 Ki services", Kind { services: 1 << 10, ..TCP_NAT }, None));
    all.push(new("new flow, 10 Ki services", Kind { services: 10 << 10, ..TCP_NAT }, None));
    all
}

fn established(name: &'static str, kind: Kind, from: From, flows: u32, floor: Floor, goal: f64) -> Scenario {
    Scenario { name, floor, goal: Some(goal), work: Work::Established { kind, from, flows } }
}

impl Scenario {
    /// Measures it.
    ///
    /// # Errors
    /// When a packet met another end than it should, or the kernel refuses.
    pub fn measure(&self, effort: Effort) -> Result<Figure> {
        let mut harness = Harness::load()?;
        match self.work {
            Work::Foreign => {
                let mut world = World::new(TCP_NAT)?;
                world.test(&mut harness)?;
                // As the reply of a real server, but from addresses that none has.
                let mut run = world.run(From::Client, "A", 1 << 16)?;
                run.is_reply = 1;
                measure(&mut world, &mut harness, run, Reason::NotOurs, effort)
            }
            Work::Established { kind, from, flows } => {
                let mut world = World::new(kind)?;
                world.test(&mut harness)?;
                world.open(&mut harness, flows)?;
                let run = world.run(from, "A", flows)?;
                let end = world.forwarded(from);
                measure(&mut world, &mut harness, run, end, effort)
            }
            Work::New { kind } => new(kind, &mut harness, effort),
            Work::Flood { kind } => {
                let mut world = World::new(kind)?;
                world.test(&mut harness)?;
                let mut run = Run { order: IN_TURN, ..world.run(From::Client, "S", CLIENTS)? };
                harness.run(run, 1 << 22)?;
                run.first = 1 << 23;
                let end = world.forwarded(From::Client);
                measure(&mut world, &mut harness, run, end, effort)
            }
        }
    }
}

/// Measures runs of which each packet meets the end `reason`.
fn measure(
    world: &mut World,
    harness: &mut Harness,
    run: Run,
    reason: Reason,
    effort: Effort,
) -> Result<Figure> {
    let packets = effort.rounds * effort.iterations;
    world.expect(reason, packets, |_| harness.measure(run, effort, || Ok(())))
}

/// New connections: each packet is the first of one.
fn new(kind: Kind, harness: &mut Harness, effort: Effort) -> Result<Figure> {
    let mut world = World::new(kind)?;
    world.test(harness)?;
    let effort = Effort { iterations: effort.iterations.min(NEW), ..effort };
    let run = Run { order: IN_TURN, ..world.run(From::Client, "S", CLIENTS)? };
    let end = world.forwarded(From::Client);
    let packets = effort.rounds * effort.iterations;
    world.expect(end, packets, |world| harness.measure(run, effort, || world.forget()))
}
