//! What may befall the active router, and how it comes back from it.

use anyhow::Result;
use nix::sys::signal::Signal;

use super::Lab;

/// Something that takes the role from a router.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// `lbctl failover`.
    Handover,
    /// The daemon is killed; its program stays attached.
    Kill,
    /// The daemon stands still; its program stays attached.
    Freeze,
    /// The cable towards the clients is pulled.
    LinkDown,
    /// The router is gone, with all that it knew.
    PowerOff,
}

impl Fault {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Handover, Self::Kill, Self::Freeze, Self::LinkDown, Self::PowerOff];

    /// What happens, in a few words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Handover => "planned handover",
            Self::Kill => "daemon killed",
            Self::Freeze => "daemon frozen",
            Self::LinkDown => "link down",
            Self::PowerOff => "power off",
        }
    }

    /// Lets it happen to the router `index`.
    ///
    /// # Errors
    /// When it cannot be done.
    pub fn strike(self, lab: &mut Lab, index: usize) -> Result<()> {
        match self {
            Self::Handover => lab.routers[index].lbctl(&["failover"]).map(drop),
            Self::Kill => lab.routers[index].kill().map(drop),
            Self::Freeze => lab.routers[index].signal(Signal::SIGSTOP).map(drop),
            Self::LinkDown => lab.set_cable(index, 0, false),
            Self::PowerOff => lab.power_off(index),
        }
    }

    /// Undoes it. With automatic failback the router of the higher priority has its role back some time later, and after
    /// a handover because it is asked for.
    ///
    /// # Errors
    /// When it cannot be undone.
    pub fn heal(self, lab: &mut Lab, index: usize) -> Result<()> {
        match self {
            Self::Handover => lab.routers[1 - index].lbctl(&["failover"]).map(drop),
            Self::Kill => lab.routers[index].start(),
            Self::Freeze => lab.routers[index].signal(Signal::SIGCONT).map(drop),
            Self::LinkDown => lab.set_cable(index, 0, true),
            Self::PowerOff => lab.power_on(index).and_then(|()| lab.routers[index].start()),
        }
    }
}
