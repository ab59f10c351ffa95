//! The bench: what each packet costs, as a multiple of what the kernel's own operations cost in the same run. `docs/bench.md`
//! explains the method.

pub mod cable;
pub mod chart;
pub mod control;
mod copy;
pub mod floor;
pub mod harness;
pub mod live;
pub mod report;
pub mod scenario;
pub mod stats;
pub mod world;

#[path = "../bench-ebpf/src/run.rs"]
mod run;
