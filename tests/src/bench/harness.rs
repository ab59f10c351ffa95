//! Runs a program under the harness.

use anyhow::{Context as _, Result, anyhow, bail};
use aya::{
    Ebpf, EbpfLoader, Pod,
    maps::{Array, ProgramArray},
    programs::{ProgramFd, TestRun as _, TestRunOptions, Xdp},
};

pub(super) use super::run::{FRAME_WORDS, IN_TURN, RANDOM};
pub use super::run::{Outcome, Run};
use super::{
    run::{EMPTY, SAMPLE_EVERY, SAMPLES, TARGET},
    stats::{Figure, Round, net},
};

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

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Effort {
    /// Rounds of base and target.
    pub rounds: u32,
    /// Iterations of each.
    pub iterations: u32,
}

/// The loaded harness.
pub struct Harness {
    ebpf: Ebpf,
}

impl Harness {
    /// Loads it.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn load() -> Result<Self> {
        let mut ebpf = EbpfLoader::new().load(OBJECT)?;
        let names: Vec<String> = ebpf.programs().map(|(name, _)| name.to_owned()).collect();
        for name in names {
            let program: &mut Xdp = ebpf.program_mut(&name).context("no such program")?.try_into()?;
            program.load().with_context(|| name.clone())?;
        }
        let mut harness = Self { ebpf };
        let empty = harness.floor("empty")?;
        harness.set(EMPTY, &empty)?;
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

    /// Puts a program under test.
    ///
    /// # Errors
    /// When the kernel refuses it as a target.
    pub fn test(&mut self, program: &ProgramFd) -> Result<()> {
        self.set(TARGET, program)
    }

    /// Runs the program under test so many times. Returns nanoseconds an iteration, one figure for each sample.
    ///
    /// # Errors
    /// When an iteration failed, or the kernel refuses.
    pub fn run(&mut self, run: Run, iterations: u32) -> Result<(Vec<f64>, Outcome)> {
        let mut runs: Array<_, RunValue> = self.ebpf.map_mut("RUN").context("no map RUN")?.try_into()?;
        runs.set(0, RunValue(run), 0)?;
        let zero = Outcome { iterations: 0, samples: 0, actions: [0; 8], drain: 0, times: [0; SAMPLES] };
        self.outcome()?.set(0, OutcomeValue(zero), 0)?;
        let harness: &Xdp = self.ebpf.program("harness").context("no harness")?.try_into()?;
        let frame = [0; 8 * FRAME_WORDS];
        harness.test_run(TestRunOptions {
            data_in: Some(&frame),
            repeat: iterations,
            ..TestRunOptions::default()
        })?;
        let OutcomeValue(outcome) = self.outcome()?.get(&0, 0)?;
        if outcome.iterations != u64::from(iterations) || outcome.actions[0] != 0 {
            bail!("{} of {iterations} iterations, actions {:?}", outcome.iterations, outcome.actions);
        }
        let taken = usize::try_from(outcome.samples)?.min(SAMPLES);
        let times = outcome.times.get(..taken).context("no samples")?;
        let gap = |pair: &[u64]| (pair[1] - pair[0]) as f64 / SAMPLE_EVERY as f64;
        Ok((times.windows(2).map(gap).collect(), outcome))
    }

    /// What the program under test costs beyond the empty one. `prepare` comes before each round.
    ///
    /// # Errors
    /// As [`run`](Self::run), and those of `prepare`.
    pub fn measure(
        &mut self,
        run: Run,
        effort: Effort,
        mut prepare: impl FnMut() -> Result<()>,
    ) -> Result<Figure> {
        let mut rounds = Vec::new();
        for _ in 0..effort.rounds {
            prepare()?;
            let (base, _) = self.run(Run { target: EMPTY, ..run }, effort.iterations)?;
            let (target, _) = self.run(Run { target: TARGET, ..run }, effort.iterations)?;
            rounds.push(Round { base, target });
        }
        net(&rounds).ok_or_else(|| anyhow!("too few iterations for a sample"))
    }

    fn set(&mut self, slot: u32, program: &ProgramFd) -> Result<()> {
        let mut targets = ProgramArray::try_from(self.ebpf.map_mut("TARGETS").context("no map TARGETS")?)?;
        Ok(targets.set(slot, program, 0)?)
    }

    fn outcome(&mut self) -> Result<Array<&mut aya::maps::MapData, OutcomeValue>> {
        Ok(self.ebpf.map_mut("OUTCOME").context("no map OUTCOME")?.try_into()?)
    }
}
