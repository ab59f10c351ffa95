//! One frame through the program.

use std::fmt;

use anyhow::{Result, bail};
use aya::programs::{TestRun as _, TestRunOptions};

use super::Program;

/// Room for a frame that grew, which none does.
const SLACK: usize = 64;

/// What the program says about a frame: `enum xdp_action` of Linux.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// `XDP_DROP`.
    Drop,
    /// `XDP_PASS`.
    Pass,
    /// `XDP_TX`: sent by the interface that it came in by.
    Tx,
    /// `XDP_REDIRECT`: sent by another interface.
    Redirect,
}

/// The end of one run.
#[derive(Clone, PartialEq, Eq)]
pub struct Run {
    /// What becomes of the frame.
    pub action: Action,
    /// The frame as the program left it.
    pub frame: Vec<u8>,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.action)?;
        for line in self.frame.chunks(16) {
            write!(f, "\n   ")?;
            line.iter().try_for_each(|byte| write!(f, " {byte:02x}"))?;
        }
        Ok(())
    }
}

impl Program {
    /// Runs the program on a frame that comes in by interface `ingress` of this network namespace.
    ///
    /// # Errors
    /// When the kernel refuses the frame, or the program ends in another way than [`Action`] knows.
    pub fn run(&self, ingress: u32, frame: &[u8]) -> Result<Run> {
        let mut out = vec![0; frame.len() + SLACK];
        let context = xdp_md(frame.len(), ingress)?;
        let result = self.xdp()?.test_run(TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut out),
            ctx_in: Some(&context),
            ..TestRunOptions::default()
        })?;
        out.truncate(result.data_size_out as usize);
        let action = match result.return_value {
            1 => Action::Drop,
            2 => Action::Pass,
            3 => Action::Tx,
            4 => Action::Redirect,
            other => bail!("the program returned {other}"),
        };
        Ok(Run { action, frame: out })
    }
}

/// The bytes of a `struct xdp_md`: `data`, `data_end`, `data_meta`, `ingress_ifindex`, `rx_queue_index` and
/// `egress_ifindex`, 32 bits each; before a run the pointers count from the start of the frame.
pub(crate) fn xdp_md(length: usize, ingress: u32) -> Result<Vec<u8>> {
    let fields = [0, u32::try_from(length)?, 0, ingress, 0, 0];
    Ok(fields.into_iter().flat_map(u32::to_ne_bytes).collect())
}
