//! What is measured.

use anyhow::Result;
use lb_common::{IPPROTO_TCP, IPPROTO_UDP, Method, Reason};

use super::{
    floor::{Beside, Floor},
    harness::{Effort, Harness, IN_TURN, Run, SLICE},
    stats::{Figure, Sides},
    world::{From, Kind, World},
};

/// Connections that the flow table is made for: the product's default.
const TABLE: u32 = 1 << 20;
/// And one with as much room as the LRU hash that a new connection is compared with.
const SMALL: u32 = 1 << 16;
/// Slices of each run that is taken in turn with its floor: a fifth of a second.
const BESIDE: u32 = 128;
/// SYNs that fill the flow table before a flood is measured.
const FLOOD: u32 = 1 << 22;
/// The interface that frames come in by under `BPF_PROG_TEST_RUN`: the loopback of the network namespace.
const LOOPBACK: u32 = 1;
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

/// What the packets of a scenario are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Work {
    /// Packets that the router has nothing to do with.
    Foreign,
    /// Packets of connections that are known.
    Established {
        /// What is balanced.
        kind: Kind,
        /// Who sends.
        from: From,
        /// Connections, drawn at random.
        flows: u32,
    },
    /// The first packets of connections.
    New {
        /// What is balanced.
        kind: Kind,
    },
    /// The same, without end.
    Flood {
        /// What is balanced.
        kind: Kind,
    },
}

pub(super) const TCP_DR: Kind =
    Kind { protocol: IPPROTO_TCP, method: Method::Direct, services: 1, table: TABLE };
pub(super) const TCP_NAT: Kind = Kind { method: Method::Nat, ..TCP_DR };
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
    all.push(new("new flow, TCP NAT, table of 64 Ki", Kind { table: SMALL, ..TCP_NAT }, Some(0.4)));
    all.push(new("new flow, 1 Ki services", Kind { services: 1 << 10, ..TCP_NAT }, None));
    all.push(new("new flow, 10 Ki services", Kind { services: 10 << 10, ..TCP_NAT }, None));
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
    all
}

fn established(name: &'static str, kind: Kind, from: From, flows: u32, floor: Floor, goal: f64) -> Scenario {
    Scenario { name, floor, goal: Some(goal), work: Work::Established { kind, from, flows } }
}

impl Scenario {
    /// Measures it, and its floor where that has to be measured at the same time.
    ///
    /// # Errors
    /// When a packet met another end than it should, or the kernel refuses.
    pub fn measure(&self, effort: Effort) -> Result<(Sides, Option<Figure>)> {
        let mut harness = Harness::load()?;
        let Some(mut beside) = Beside::new(self.floor)? else {
            return Ok((self.work.measure(&mut harness, LOOPBACK, effort, || Ok(()))?, None));
        };
        let effort = Effort { at_once: BESIDE, ..effort };
        let sides = self.work.measure(&mut harness, LOOPBACK, effort, || beside.run(BESIDE))?;
        Ok((sides, beside.figure()))
    }
}

impl Work {
    /// Measures it on frames that come in by `ifindex`; `between` comes before each run.
    ///
    /// # Errors
    /// When a packet met another end than it should, or the kernel refuses, and those of `between`.
    pub fn measure(
        self,
        harness: &mut Harness,
        ifindex: u32,
        effort: Effort,
        mut between: impl FnMut() -> Result<()>,
    ) -> Result<Sides> {
        let mut world = World::new(self.kind(), ifindex)?;
        world.test(harness)?;
        match self {
            Self::Foreign => {
                // As the reply of a real server, but from addresses that none has.
                let mut run = world.run(From::Client, "A", 1 << 16)?;
                run.is_reply = 1;
                world.expect(Reason::NotOurs, effort.packets(), |_| harness.measure(run, effort, between))
            }
            Self::Established { from, flows, .. } => {
                world.open(harness, flows)?;
                let run = world.run(from, "A", flows)?;
                let end = world.forwarded(from);
                world.expect(end, effort.packets(), |_| harness.measure(run, effort, between))
            }
            Self::New { .. } => {
                // The flow table is emptied before each run, which fills half of it.
                let effort = Effort { at_once: self.kind().table / 2 / SLICE, ..effort.half() };
                let run = Run { order: IN_TURN, ..world.run(From::Client, "S", CLIENTS)? };
                let end = world.forwarded(From::Client);
                world.expect(end, effort.packets(), |world| {
                    harness.measure(run, effort, || between().and_then(|()| world.forget()))
                })
            }
            Self::Flood { .. } => {
                let mut run = Run { order: IN_TURN, ..world.run(From::Client, "S", CLIENTS)? };
                harness.run(run, FLOOD)?;
                run.first = FLOOD.into();
                let end = world.forwarded(From::Client);
                world.expect(end, effort.packets(), |_| harness.measure(run, effort, between))
            }
        }
    }

    const fn kind(self) -> Kind {
        match self {
            Self::Foreign => TCP_NAT,
            Self::Established { kind, .. } | Self::New { kind } | Self::Flood { kind } => kind,
        }
    }
}
