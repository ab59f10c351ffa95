//! How long services are silent when the active router fails, measured from the packets that reach a client, under
//! hundreds of established connections and a steady stream of new ones, through NAT and through direct routing.

mod table;

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result};

use crate::lab::{
    Lab, R1, R2,
    background::{self, Background, NAMES, Size, respond},
    config::{Config, Track},
    fault::Fault,
    load::{
        Load, Plan,
        record::{Record, Summary},
    },
    responder::Responder,
    silence::{Kind, Silences},
    topology::{DIRECT_VIP, HTTP_PORT, NAT_VIP},
    wait::{pause, until},
};

pub use table::Table;

/// Addresses of the services through NAT and through direct routing.
const ADDRESSES: [Ipv4Addr; 2] = [NAT_VIP, DIRECT_VIP];
/// Bytes a second of each download.
const RATE: u64 = 200_000;
/// New connections a second to each address.
const NEW: u32 = 100;
/// Time that a change of role may take, on a busy machine; a longer one is no figure but a failure.
const LIMIT: Duration = Duration::from_secs(20);
/// Time that is watched beyond a change of role: longer than TCP's first back-off.
const TAIL: Duration = Duration::from_millis(600);
/// Time that is watched with no fault.
const QUIET: Duration = Duration::from_secs(3);

/// Timers of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Time between two heartbeats.
    pub interval: Duration,
    /// Silence after which the peer is dead; the default of `lbd` where it is not given.
    pub dead_after: Option<Duration>,
}

/// What was measured of one change.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What happened.
    pub what: String,
    /// Longest silence on established connections, of each address.
    pub established: [Duration; 2],
    /// Longest silence on new connections, of each address.
    pub new: [Duration; 2],
    /// Established connections that were lost.
    pub lost: usize,
    /// What became of the requests that began meanwhile.
    pub requests: Summary,
    /// What the silence may last; `None` where nothing is promised.
    pub bound: Option<Duration>,
}

impl Timers {
    /// Those of `lbd`, where the configuration says nothing.
    pub const DEFAULT: Self = Self { interval: Duration::from_millis(200), dead_after: None };
    /// Fast ones.
    pub const FAST: Self =
        Self { interval: Duration::from_millis(50), dead_after: Some(Duration::from_millis(150)) };

    /// The configuration of a router with these timers, whose links are watched.
    pub fn configure(self, config: &mut Config) {
        background::configure(config);
        config.track = config.router.interfaces.iter().map(|interface| Track::link(interface)).collect();
        if let Some(peer) = &mut config.peer {
            let text = |time: Duration| format!("{}ms", time.as_millis());
            peer.interval = Some(text(self.interval));
            peer.dead_after = self.dead_after.map(text);
            peer.failback_delay = "500ms".to_owned();
        }
    }

    /// What an unplanned change may cost: the silence that means death at the least, and the time to take over.
    fn unplanned(self) -> Duration {
        3 * self.interval + PLANNED
    }
}

/// What a change may cost that both routers agree on.
const PLANNED: Duration = Duration::from_millis(50);

/// Measures every fault once, and every return from it. Downloads and connections have been checked to their ends when this
/// returns.
///
/// # Errors
/// When a role does not change in time, or an established connection was lost or told something wrong.
pub fn measure(lab: &mut Lab, timers: Timers, size: Size, mut tell: impl FnMut(&str)) -> Result<Table> {
    lab.start_routers(|config| timers.configure(config))?;
    let mut meter = Meter::start(lab, size)?;
    until("the peer to know every connection", LIMIT, || Ok(background::known(lab, R2)? == size.all()))?;
    meter.row("nothing", None, || pause(QUIET))?;
    for fault in Fault::ALL {
        tell(&format!("{} …", fault.name()));
        let bound = if fault == Fault::Handover { PLANNED } else { timers.unplanned() };
        meter.row(fault.name(), Some(bound), || {
            fault.strike(lab, R1)?;
            until("r2 to be active", LIMIT, || Ok(lab.routers[R2].is_active()))?;
            pause(TAIL)
        })?;
        meter.row("and back", Some(PLANNED), || {
            fault.heal(lab, R1)?;
            lab.wait_settled()?;
            until("the peer to know every connection", LIMIT, || in_sync(lab))?;
            pause(TAIL)
        })?;
    }
    meter.finish(timers)
}

/// Whether what each router knows is known to the other.
fn in_sync(lab: &Lab) -> Result<bool> {
    let syncs = [lab.routers[R1].status()?.sync, lab.routers[R2].status()?.sync];
    Ok(syncs.into_iter().all(|sync| sync.is_some_and(|sync| sync.in_sync)))
}

/// All traffic, and the watch of it.
struct Meter {
    silences: Silences,
    background: Background,
    _responders: Vec<Responder>,
    loads: Vec<Load>,
    rows: Vec<(Row, Instant, Instant)>,
}

impl Meter {
    fn start(lab: &Lab, size: Size) -> Result<Self> {
        let client = lab.client()?;
        let silences = Silences::watch(client, "eth0", NAMES)?;
        let responders = respond(lab, RATE)?;
        let background = Background::start(lab, size)?;
        let load = |address| Load::start(client, Plan::steady(SocketAddrV4::new(address, HTTP_PORT), NEW));
        let loads = ADDRESSES.into_iter().map(load).collect::<Result<_>>()?;
        Ok(Self { silences, background, _responders: responders, loads, rows: Vec::new() })
    }

    /// Lets `change` happen and notes what it cost.
    fn row(
        &mut self,
        what: &str,
        bound: Option<Duration>,
        change: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        let (from, start, lost) = (SystemTime::now(), Instant::now(), self.background.lost());
        change().with_context(|| what.to_owned())?;
        let (to, end) = (SystemTime::now(), Instant::now());
        let longest = |kind| ADDRESSES.map(|address| self.silences.longest(kind, address, from, to));
        let row = Row {
            what: what.to_owned(),
            established: longest(Kind::Established),
            new: longest(Kind::New),
            lost: self.background.lost() - lost,
            requests: Summary::default(),
            bound,
        };
        self.rows.push((row, start, end));
        Ok(())
    }

    /// Ends all traffic, and says of each row what became of its requests: the last of them have ended now.
    fn finish(self, timers: Timers) -> Result<Table> {
        let records: Vec<Record> =
            self.loads.into_iter().map(Load::finish).collect::<Result<Vec<_>>>()?.concat();
        let answers = self.background.answers();
        self.background.finish()?;
        let rows = self.rows.into_iter().map(|(row, start, end)| {
            let meanwhile = records.iter().filter(|record| (start..end).contains(&record.started));
            Row { requests: Summary::of(meanwhile), ..row }
        });
        Ok(Table { timers, rows: rows.collect(), answers })
    }
}
