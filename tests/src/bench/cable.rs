//! The cable that live frames travel: a veth pair in the network namespace of this process.

use std::process::Command;

use anyhow::{Context as _, Result};
use aya::programs::{Xdp, xdp::XdpMode};
use nix::net::if_::if_nametoindex;

use crate::lab::run::feed;

/// Frames are sent by the near end, and come out of the far one. It goes with the namespace.
pub struct Cable {
    /// Index of the near end.
    pub near: u32,
}

impl Cable {
    /// Lays a cable with the program `far_end` at its far end, and nothing at the near one. No address stands on it, so that
    /// the kernel sends nothing by itself.
    ///
    /// # Errors
    /// Without the tool `ip`, or when the kernel refuses.
    pub fn new(far_end: &mut Xdp) -> Result<Self> {
        let commands = "link add near type veth peer name far\n\
                        link set near addrgenmode none up\n\
                        link set far addrgenmode none up\n";
        feed(Command::new("ip").args(["-batch", "-"]), commands)?;
        let index = |name| if_nametoindex(name).with_context(|| format!("no interface {name}"));
        // In the driver: what is sent into a veth by XDP is lost where the far end has no program there.
        far_end.attach_to_if_index(index("far")?, XdpMode::Driver)?;
        Ok(Self { near: index("near")? })
    }
}
