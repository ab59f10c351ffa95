//! `promote_secondaries` (Documentation/networking/ip-sysctl.rst): with it, the kernel promotes a secondary address
//! when the primary one is deleted, instead of deleting it too.

use std::{
    fs,
    path::{Path, PathBuf},
};

use tracing::warn;

/// Promotion is on for an interface for as long as this lives.
#[derive(Debug)]
pub(super) struct Promotion {
    switch: PathBuf,
}

impl Promotion {
    /// Switches promotion on; `None` where it is on already, or cannot be switched, which is logged.
    pub(super) fn enable(interface: &str) -> Option<Self> {
        let switch = Path::new("/proc/sys/net/ipv4/conf").join(interface).join("promote_secondaries");
        if fs::read_to_string(&switch).is_ok_and(|value| value.trim() != "0") {
            return None;
        }
        match fs::write(&switch, "1") {
            Ok(()) => Some(Self { switch }),
            Err(error) => {
                warn!("cannot set {}: {error}; addresses may be missing for a moment", switch.display());
                None
            }
        }
    }
}

impl Drop for Promotion {
    fn drop(&mut self) {
        if let Err(error) = fs::write(&self.switch, "0") {
            warn!("cannot reset {}: {error}", self.switch.display());
        }
    }
}
