//! From everything known to what should stand in the maps. A pure function: start, reload, failover and a health flip
//! are the same path with other inputs.

use std::{collections::BTreeMap, net::Ipv4Addr};

use lb_common::{RouterRole, ServiceKey};

use crate::{config::Config, tables::Tables, topology::Topology};

/// Identity of a real server within the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RealId {
    /// Its service.
    pub service: ServiceKey,
    /// Its address.
    pub address: Ipv4Addr,
    /// Its port.
    pub port: u16,
}

/// What the operator has changed at run time. Kept until the daemon ends or the operator takes it back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Override {
    /// Weight instead of the configured one.
    pub weight: Option<u32>,
    /// Drained: keeps its connections, takes no new ones.
    pub drained: bool,
    /// Disabled: the same, and no longer checked.
    pub disabled: bool,
}

/// Everything known.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The configuration in force.
    pub config: &'a Config,
    /// Role of this router.
    pub role: RouterRole,
    /// Measured health; a real server that is absent here has not been checked yet and takes nothing.
    pub health: &'a BTreeMap<RealId, bool>,
    /// The operator's changes.
    pub overrides: &'a BTreeMap<RealId, Override>,
    /// The network.
    pub topology: &'a Topology,
    /// What stands in the maps now: it keeps service numbers, real server slots and generations stable.
    pub installed: &'a Tables,
    /// Next position of each service's ring now, for schedulers that go on where they were.
    pub positions: &'a BTreeMap<ServiceKey, u64>,
}

/// A configuration that the data plane has no room for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// More services than `limits.services`.
    #[error("{0} services, but limits.services is {1}")]
    TooManyServices(usize, u32),
    /// More real servers than `limits.reals`.
    #[error("{0} real servers, but limits.reals is {1}")]
    TooManyReals(usize, u32),
}
