//! Frames that travel: made by the kernel, run through the program, sent into a cable and dropped at its far end, all by one
//! processor.

use anyhow::Result;

use super::{
    harness::{Effort, FRAME_WORDS, Harness, IN_TURN, Run},
    scenario::{TCP_DR, TCP_NAT, Work},
    stats::Sides,
    world::From,
};

/// What is done with the frames.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Live {
    /// Its name, for `--only`.
    pub name: &'static str,
    way: Way,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// Through a program of the harness's own object.
    Least(&'static str),
    /// Through the router.
    Router(Work),
}

/// All of them.
pub fn all() -> Vec<Live> {
    let least = |name, program| Live { name, way: Way::Least(program) };
    let router = |name, work| Live { name, way: Way::Router(work) };
    let established = |kind, flows| Work::Established { kind, from: From::Client, flows };
    vec![
        least("live: dropped on arrival", "drop"),
        least("live: sent back", "swap"),
        router("live: TCP direct, 1 flow", established(TCP_DR, 1)),
        router("live: TCP direct, 64 Ki flows", established(TCP_DR, 1 << 16)),
        router("live: TCP NAT in, 1 flow", established(TCP_NAT, 1)),
        router("live: TCP NAT in, 64 Ki flows", established(TCP_NAT, 1 << 16)),
        router("live: new flow, TCP direct", Work::New { kind: TCP_DR }),
        router("live: new flow, TCP NAT", Work::New { kind: TCP_NAT }),
    ]
}

impl Live {
    /// Measures it, in turn with frames that are only sent back.
    ///
    /// # Errors
    /// When a frame did not arrive or met another end than it should, or the kernel refuses.
    pub fn measure(&self, effort: Effort) -> Result<Sides> {
        let effort = effort.half();
        let mut harness = Harness::load()?;
        let ingress = harness.go_live()?;
        match self.way {
            Way::Least(name) => {
                harness.test(&harness.floor(name)?)?;
                let mut frame = [0; FRAME_WORDS];
                // The type after the MAC addresses.
                frame[1] = u64::from_ne_bytes([0, 0, 0, 0, 0x08, 0x00, 0, 0]);
                harness.measure(Run { frame, order: IN_TURN, ..Run::default() }, effort, || Ok(()))
            }
            Way::Router(work) => work.measure(&mut harness, ingress, effort, || Ok(())),
        }
    }
}
