//! The data plane itself: the XDP program, attached to interfaces, and its maps. All of it is pinned: packets keep
//! flowing while the daemon is stopped, killed or replaced by another version.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use aya::Ebpf;
use lb_common::{Counter, RealCounters, Reason, ServiceKey, map};

use super::{
    Datapath, Error, FlowTable, Lease, Op, Schedules,
    adopt::{self, Inheritance},
    attach,
    carry::Source,
    entry::Entry,
    flow_table::{KernelFlowTable, mapped},
    lease::KernelLease,
    load,
    maps::Maps,
    pins::{self, Pins},
    preflight,
    program_log::ProgramLog,
    programs,
    replacement::Replacement,
    resize,
    schedules::KernelSchedules,
};
use crate::{
    config::{BpfLog, Limits},
    tables::Tables,
};

/// What the data plane must know of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// bpffs directory that everything is pinned in.
    pub pin_dir: PathBuf,
    /// Sizes of maps that are not pinned yet.
    pub limits: Limits,
    /// Level of the program's log.
    pub bpf_log: BpfLog,
    /// Whether there are virtual MAC addresses: the program does not look for any otherwise.
    pub has_virtual_macs: bool,
}

/// Checks what this process may do, before it does anything.
///
/// # Errors
/// One line that names the missing capabilities.
pub fn require_privileges() -> Result<(), Error> {
    preflight::require_privileges()
}

/// The data plane in the kernel.
pub struct KernelDatapath {
    maps: Maps,
    flow_table: Arc<KernelFlowTable>,
    schedules: Arc<KernelSchedules>,
    entry: Entry,
    lease: Arc<KernelLease>,
    modes: BTreeMap<String, &'static str>,
    limits: Limits,
    _log: Option<ProgramLog>,
}

impl KernelDatapath {
    /// Loads the program, takes over the maps that are pinned or makes them, and attaches the program to `interfaces`
    /// (index by name) of the calling thread's network namespace, in place of an older version without losing a
    /// packet. The notices are for the operator: what is not as it should be, and what was changed.
    ///
    /// # Errors
    /// One line that says what is missing or in the way. Where nothing was pinned before, nothing is pinned or attached
    /// then; what was, stays.
    pub fn open(
        settings: &Settings,
        interfaces: &BTreeMap<String, u32>,
    ) -> Result<(Self, Vec<String>), Error> {
        let kernel = preflight::check()?;
        let (pins, fresh) = Pins::create(&settings.pin_dir)?;
        let opened = Self::open_in(&pins, kernel, settings, interfaces);
        if opened.is_err() && fresh {
            // The first failure is the one to tell.
            let _ = pins::teardown(&settings.pin_dir);
        }
        opened
    }

    fn open_in(
        pins: &Pins,
        kernel: (u32, u32),
        settings: &Settings,
        interfaces: &BTreeMap<String, u32>,
    ) -> Result<(Self, Vec<String>), Error> {
        attach::refuse_foreign(pins, interfaces)?;
        resize::settle(pins)?;
        let Inheritance { notices: inherited, flows, reals } =
            adopt::from_older_layout(pins, &load::shapes(&settings.limits))?;
        let (pins, mut ebpf, mut notices) = load_in(pins, kernel, settings)?;
        notices.extend(inherited);
        reals.map_or(Ok(()), |reals| reals.install(&pins))?;
        let log = match settings.bpf_log {
            BpfLog::Off => None,
            BpfLog::Warn | BpfLog::Info | BpfLog::Debug => {
                ProgramLog::start(&mut ebpf).map_err(|notice| notices.push(notice)).ok()
            }
        };
        let maps = Maps::take(&mut ebpf, &pins)?;
        let mut clock = || programs::clock(&mut ebpf).map_err(|error| Error::Setup(error.to_string()));
        let flow_table = Arc::new(KernelFlowTable::open(&pins, clock()?)?);
        let schedules = Arc::new(KernelSchedules::open(&pins)?);
        let lease = Arc::new(KernelLease(mapped(&pins, map::LEASES)?));
        let old: Option<(String, Box<dyn Source>)> = match (flows, pins.current()) {
            (Some((version, flows)), _) => Some((format!("layout {version}"), Box::new(flows))),
            (None, Some(current)) => {
                let old = KernelFlowTable::open(&current, clock()?)?;
                Some(("limits.flows".to_owned(), Box::new(old)))
            }
            (None, None) => None,
        };
        let begin = |(why, old)| Ok((why, Replacement::begin(&pins, old, &flow_table)?));
        let replacement = old.map(begin).transpose()?;
        let (entry, attached) = Entry::attach(ebpf, &pins, interfaces)?;
        if let Some((why, replacement)) = replacement {
            notices.push(format!("{why}: {}", replacement.finish()));
            pins.adopt_next()?;
        }
        notices.extend(attached.notices);
        for folder in pins.remove_other_layouts()? {
            notices.push(format!("removed the maps of another version in {}", folder.display()));
        }
        let limits = maps.limits()?;
        let modes = attached.modes;
        Ok((Self { maps, flow_table, schedules, lease, entry, modes, limits, _log: log }, notices))
    }

    /// The sizes that the maps have: those of pinned maps where they differ from the settings.
    pub const fn limits(&self) -> Limits {
        self.limits
    }
}

/// Loads the program over the flow table that it is to use: a new one, where the one in use has another size than the settings say.
/// Where the kernel has no room for a second one, it stays.
fn load_in(pins: &Pins, kernel: (u32, u32), settings: &Settings) -> Result<(Pins, Ebpf, Vec<String>), Error> {
    let Settings { limits, bpf_log, has_virtual_macs, .. } = settings;
    let load = |pins: &Pins| load::load(kernel, pins, limits, *bpf_log, *has_virtual_macs);
    let mut refused = None;
    if resize::is_due(pins, &settings.limits)? {
        let next = pins.next();
        match load(&next) {
            Ok((ebpf, notices)) => return Ok((next, ebpf, notices)),
            Err(error) => {
                next.drop_next()?;
                refused = Some(format!("no flow table of another size: {error}"));
            }
        }
    }
    let (ebpf, notices) = load(pins)?;
    Ok((pins.clone(), ebpf, refused.into_iter().chain(notices).collect()))
}

impl Datapath for KernelDatapath {
    fn installed(&self) -> Result<Tables, Error> {
        self.maps.tables(self.entry.methods())
    }

    fn apply(&mut self, op: &Op) -> Result<(), Error> {
        match op {
            Op::UseMethods(methods) => self.entry.use_methods(*methods),
            op => self.maps.apply(op),
        }
    }

    fn position(&self, key: &ServiceKey) -> Result<Option<u64>, Error> {
        self.maps.position(key)
    }

    fn reasons(&self) -> Result<BTreeMap<Reason, Counter>, Error> {
        self.maps.reasons()
    }

    fn real_counters(&self, indices: &[u32]) -> Result<BTreeMap<u32, RealCounters>, Error> {
        indices.iter().map(|&index| Ok((index, self.maps.real_counters(index)?))).collect()
    }

    fn reset_real_counters(&mut self, index: u32) -> Result<(), Error> {
        self.maps.reset_real_counters(index)
    }

    fn flow_table(&self) -> Arc<dyn FlowTable> {
        self.flow_table.clone()
    }

    fn schedules(&self) -> Arc<dyn Schedules> {
        self.schedules.clone()
    }

    fn lease(&self) -> Arc<dyn Lease> {
        self.lease.clone()
    }

    fn attach_modes(&self) -> BTreeMap<String, &'static str> {
        self.modes.clone()
    }
}
