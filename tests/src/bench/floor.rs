//! What the kernel's own operations cost here: the floors that a conventional balancer stands on.

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::{
    harness::{Effort, FRAME_WORDS, Harness, IN_TURN, RANDOM, Run, SLICE},
    stats::{Figure, sides},
};

/// An operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Floor {
    /// One look-up in an array.
    Array,
    /// One look-up in a hash of 256 keys of 12 bytes.
    Hash,
    /// One look-up in an LRU hash with 1,024 keys.
    Lru,
    /// One insert of a new key into a full LRU hash of 65,536.
    LruInsert,
    /// The same where it has as many as the flow table of the default configuration.
    LruInsert1Mi,
    /// One look-up in a hash with 65,536 keys, at random.
    Hash64Ki,
    /// The same with 524,288 keys.
    Hash512Ki,
    /// A program that does nothing, beyond one that does nothing: the noise.
    Empty,
}

impl Floor {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Array,
        Self::Hash,
        Self::Lru,
        Self::LruInsert,
        Self::LruInsert1Mi,
        Self::Hash64Ki,
        Self::Hash512Ki,
        Self::Empty,
    ];

    /// Its name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Array => "array look-up",
            Self::Hash => "hash look-up",
            Self::Lru => "LRU look-up",
            Self::LruInsert => "LRU insert",
            Self::LruInsert1Mi => "LRU insert, 1 Mi keys",
            Self::Hash64Ki => "hash look-up, 64 Ki keys at random",
            Self::Hash512Ki => "hash look-up, 512 Ki keys at random",
            Self::Empty => "empty program",
        }
    }

    /// Measures it.
    ///
    /// # Errors
    /// When an operation fails, or the kernel refuses.
    pub fn measure(self, effort: Effort) -> Result<Figure> {
        let keys = if self == Self::LruInsert1Mi { 1 << 20 } else { 1 << 16 };
        let mut harness = Harness::load_with(keys)?;
        match self {
            Self::Array => eight(&mut harness, "array", None, 256, effort),
            Self::Hash => eight(&mut harness, "hash", Some("hash_fill"), 32, effort),
            Self::Lru => eight(&mut harness, "lru", Some("lru_fill"), 128, effort),
            Self::LruInsert | Self::LruInsert1Mi => insert(&mut harness, keys, effort),
            Self::Hash64Ki => random(&mut harness, 1 << 16, effort),
            Self::Hash512Ki => random(&mut harness, 1 << 19, effort),
            Self::Empty => {
                harness.test(&harness.floor("empty")?)?;
                net(&mut harness, run(1), effort)
            }
        }
    }
}

/// Frames of so many clients at random.
fn run(clients: u64) -> Run {
    Run { frame: [0; FRAME_WORDS], mask: clients - 1, order: RANDOM, ..Run::default() }
}

fn net(harness: &mut Harness, run: Run, effort: Effort) -> Result<Figure> {
    Ok(harness.measure(run, effort, || Ok(()))?.net())
}

/// A floor that is measured in turn with a scenario: what depends on how much of the memory's cache others leave is the same
/// for both.
pub struct Beside {
    harness: Harness,
    run: Run,
    runs: Vec<Vec<f64>>,
}

impl Beside {
    /// The floor ready to run; `None` for one whose keys are few, which others do not disturb.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new(floor: Floor) -> Result<Option<Self>> {
        let keys = match floor {
            Floor::Hash64Ki => 1 << 16,
            Floor::Hash512Ki => 1 << 19,
            Floor::Array | Floor::Hash | Floor::Lru | Floor::Empty => return Ok(None),
            Floor::LruInsert | Floor::LruInsert1Mi => return Ok(None),
        };
        let mut harness = Harness::load()?;
        Ok(Some(Self { run: keys_at_random(&mut harness, keys)?, harness, runs: Vec::new() }))
    }

    /// Runs it for a while.
    ///
    /// # Errors
    /// When an operation fails, or the kernel refuses.
    pub fn run(&mut self, slices: u32) -> Result<()> {
        let run = self.harness.alternate(self.run, slices)?;
        self.run.first += u64::from(slices * SLICE);
        self.runs.push(run);
        Ok(())
    }

    /// What it cost so far.
    pub fn figure(&self) -> Option<Figure> {
        Some(sides(&self.runs)?.net())
    }
}

/// An operation of few nanoseconds: done eight times in one program and once in another.
fn eight(
    harness: &mut Harness,
    name: &str,
    fill: Option<&str>,
    clients: u64,
    effort: Effort,
) -> Result<Figure> {
    if let Some(fill) = fill {
        harness.test(&harness.floor(fill)?)?;
        harness.run(Run { order: IN_TURN, ..run(clients) }, u32::try_from(clients)?)?;
    }
    harness.compare_with(&harness.floor(&format!("{name}_1"))?)?;
    harness.test(&harness.floor(&format!("{name}_8"))?)?;
    Ok(net(harness, run(clients), effort)?.of_one(7.0))
}

/// An insert into an LRU hash of so many keys, which is full.
fn insert(harness: &mut Harness, keys: u32, effort: Effort) -> Result<Figure> {
    let full = 2 * keys;
    // More keys than are inserted in all, so that each is new.
    let mut run = Run { order: IN_TURN, ..run(1 << 30) };
    harness.test(&harness.floor("lru_insert")?)?;
    harness.run(run, full)?;
    run.first = full.into();
    net(harness, run, effort)
}

/// A look-up of one of so many keys.
fn random(harness: &mut Harness, keys: u64, effort: Effort) -> Result<Figure> {
    let run = keys_at_random(harness, keys)?;
    net(harness, run, effort)
}

/// Fills the hash, and puts a look-up under test.
fn keys_at_random(harness: &mut Harness, keys: u64) -> Result<Run> {
    harness.test(&harness.floor("hash_fill_one")?)?;
    harness.run(Run { order: IN_TURN, ..run(keys) }, u32::try_from(keys)?)?;
    harness.test(&harness.floor("hash_1")?)?;
    Ok(run(keys))
}
