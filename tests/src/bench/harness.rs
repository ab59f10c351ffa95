//! Runs a program under the harness.

use anyhow::{Context as _, Result, anyhow, bail};
use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{Array, ProgramArray},
    programs::{ProgramFd, TestRun as _, TestRunAttrs, TestRunOptions, Xdp},
};

pub(super) use super::run::{FRAME_WORDS, IN_TURN, RANDOM};
pub use super::run::{Outcome, Run};
use super::{
    cable::Cable,
    run::{BASE, SLICE_SHIFT, TARGET, TIMES},
    stats::{Sides, sides},
};
use crate::prog::xdp_md;

/// The object with the harness and the floors.
static OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/harness.o"));

/// Value of the map of the run.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct RunValue(Run);
// SAFETY: `repr(C)` integers without padding, every bit pattern valid.
unsafe impl Pod for RunValue {}

/// Value of the map of its outcome.
#[repr(transparent)]
#[derive(Clone, Copy)]
struct OutcomeValue(Outcome);
// SAFETY: as above.
unsafe impl Pod for OutcomeValue {}

/// `XDP_TX` among the actions.
const XDP_TX: usize = 3;
/// Packets of a slice.
pub const SLICE: u32 = 1 << SLICE_SHIFT;
/// Frames that the kernel makes and sends on at once in live mode: as many as a driver takes from its ring.
const BATCH: u32 = 64;

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Slices of the program under test.
    pub slices: u32,
    /// Most of them in one run.
    pub at_once: u32,
}

impl Effort {
    /// This many slices in runs of some millions of packets.
    pub const fn new(slices: u32) -> Self {
        Self { slices, at_once: 512 }
    }

    /// Half of it: for what takes longer.
    #[must_use]
    pub const fn half(self) -> Self {
        Self { slices: self.slices.div_ceil(2), ..self }
    }

    /// Packets of the program under test.
    pub const fn packets(self) -> u32 {
        self.slices * SLICE
    }

    /// Slices of each run.
    fn runs(self) -> impl Iterator<Item = u32> {
        (0..self.slices)
            .step_by(self.at_once as usize)
            .map(move |from| (self.slices - from).min(self.at_once))
    }
}

/// The loaded harness.
pub struct Harness {
    ebpf: Ebpf,
    cable: Option<Cable>,
}

impl Harness {
    /// Loads it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn load() -> Result<Self> {
        Self::load_with(1 << 16)
    }

    /// The same with room for so many keys in the LRU hash that is inserted into.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    pub fn load_with(lru: u32) -> Result<Self> {
        let mut ebpf = EbpfLoader::new().map_max_entries("FLOOR_LRU_FULL", lru).load(OBJECT)?;
        let names: Vec<String> = ebpf.programs().map(|(name, _)| name.to_owned()).collect();
        for name in names {
            let program: &mut Xdp = ebpf.program_mut(&name).context("no such program")?.try_into()?;
            program.load().with_context(|| name.clone())?;
        }
        let mut harness = Self { ebpf, cable: None };
        let empty = harness.floor("empty")?;
        harness.set(BASE, &empty)?;
        Ok(harness)
    }

    /// A program of the harness's own object.
    ///
    /// # Errors
    /// When there is no such program.
    pub fn floor(&self, name: &str) -> Result<ProgramFd> {
        let program: &Xdp =
            self.ebpf.program(name).with_context(|| format!("no program {name}"))?.try_into()?;
        Ok(program.fd()?.try_clone()?)
    }

    /// Has the frames travel a cable from now on, as live ones, and the program under test compared with one that sends each
    /// back. Returns the interface that they come in by.
    ///
    /// # Errors
    /// When the cable cannot be made.
    pub fn go_live(&mut self) -> Result<u32> {
        let far_end: &mut Xdp = self.ebpf.program_mut("far_end").context("no far end")?.try_into()?;
        let cable = Cable::new(far_end)?;
        let ingress = cable.near;
        self.cable = Some(cable);
        let swap = self.floor("swap")?;
        self.compare_with(&swap)?;
        Ok(ingress)
    }

    /// Puts a program under test.
    ///
    /// # Errors
    /// When the kernel refuses it as a target.
    pub fn test(&mut self, program: &ProgramFd) -> Result<()> {
        self.set(TARGET, program)
    }

    /// What the program under test is compared with; the empty program where nothing is said.
    ///
    /// # Errors
    /// When the kernel refuses it as a target.
    pub fn compare_with(&mut self, program: &ProgramFd) -> Result<()> {
        self.set(BASE, program)
    }

    /// Runs the program under test on so many frames.
    ///
    /// # Errors
    /// When an iteration failed, or the kernel refuses.
    pub fn run(&mut self, run: Run, frames: u32) -> Result<()> {
        self.repeat(Run { slices: u64::MAX, is_alternating: 0, ..run }, frames, frames).map(drop)
    }

    /// What the program under test costs, and what the base, slice by slice in turn. `prepare` comes before each run.
    ///
    /// # Errors
    /// As [`run`](Self::run), and those of `prepare`.
    pub fn measure(
        &mut self,
        mut run: Run,
        effort: Effort,
        mut prepare: impl FnMut() -> Result<()>,
    ) -> Result<Sides> {
        let mut runs = Vec::new();
        for slices in effort.runs() {
            prepare()?;
            runs.push(self.alternate(run, slices)?);
            run.first += u64::from(slices) << SLICE_SHIFT;
        }
        sides(&runs).ok_or_else(|| anyhow!("nothing was measured while the machine was quiet"))
    }

    /// So many slices of the program under test, each between two of the base. Returns nanoseconds an iteration of each slice.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub fn alternate(&mut self, run: Run, slices: u32) -> Result<Vec<f64>> {
        let slices = 2 * slices + 1;
        let run = Run { slices: slices.into(), is_alternating: 1, ..run };
        let outcome = self.repeat(run, slices * SLICE, slices * SLICE + 1)?;
        let times = outcome.times.get(..=slices as usize).context("more slices than times are kept of")?;
        let gap = |pair: &[u64]| match pair {
            [start, end] => end.saturating_sub(*start) as f64 / f64::from(SLICE),
            _ => f64::NAN,
        };
        Ok(times.windows(2).map(gap).collect())
    }

    /// Has the kernel repeat the harness, so that `frames` frames meet a target.
    fn repeat(&mut self, run: Run, frames: u32, iterations: u32) -> Result<Outcome> {
        let mut runs: Array<_, RunValue> = self.ebpf.map_mut("RUN").context("no map RUN")?.try_into()?;
        runs.set(0, RunValue(run), 0)?;
        let zero = Outcome { iterations: 0, actions: [0; 8], drain: 0, arrived: 0, times: [0; TIMES] };
        self.outcome()?.set(0, OutcomeValue(zero), 0)?;
        let frame = [0; 8 * FRAME_WORDS];
        let context = self.cable.as_ref().map(|cable| xdp_md(frame.len(), cable.near)).transpose()?;
        let mut attrs = TestRunAttrs::new();
        if context.is_some() {
            attrs = attrs.xdp_live_frames(BATCH);
        }
        let harness: &Xdp = self.ebpf.program("harness").context("no harness")?.try_into()?;
        harness.test_run(TestRunOptions {
            data_in: Some(&frame),
            ctx_in: context.as_deref(),
            repeat: iterations,
            attrs,
            ..TestRunOptions::default()
        })?;
        let OutcomeValue(outcome) = self.outcome()?.get(&0, 0)?;
        let [aborted, ..] = outcome.actions;
        if outcome.iterations != u64::from(iterations)
            || aborted != 0
            || outcome.actions.iter().sum::<u64>() != u64::from(frames)
        {
            bail!("{} of {iterations} iterations, actions {:?}", outcome.iterations, outcome.actions);
        }
        if self.cable.is_some() && outcome.arrived != outcome.actions[XDP_TX] {
            bail!("{} of {} frames arrived", outcome.arrived, outcome.actions[XDP_TX]);
        }
        Ok(outcome)
    }

    fn set(&mut self, slot: u32, program: &ProgramFd) -> Result<()> {
        let mut targets = ProgramArray::try_from(self.ebpf.map_mut("TARGETS").context("no map TARGETS")?)?;
        Ok(targets.set(slot, program, 0)?)
    }

    fn outcome(&mut self) -> Result<Array<&mut aya::maps::MapData, OutcomeValue>> {
        Ok(self.ebpf.map_mut("OUTCOME").context("no map OUTCOME")?.try_into()?)
    }
}
