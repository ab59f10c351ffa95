//! One look at what is tracked.

use crate::{config::TrackProbe, exec, ping, topology::Topology};

/// Why a look failed, in a few words for people.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// There is no such interface.
    #[error("there is no interface {0}")]
    NoInterface(String),
    /// The interface has no carrier.
    #[error("{0} is down, or has no carrier")]
    NoCarrier(String),
    /// The host did not answer.
    #[error("{0}")]
    Gateway(#[from] ping::Failure),
    /// The script said no, or nothing in time.
    #[error("{0}")]
    Script(#[from] exec::Failure),
}

impl Failure {
    /// Whether nothing was measured, for want of the router's own resources.
    pub fn is_local(&self) -> bool {
        match self {
            Self::NoInterface(_) | Self::NoCarrier(_) => false,
            Self::Gateway(failure) => failure.is_local(),
            Self::Script(failure) => failure.is_local(),
        }
    }
}

/// Looks once, in the network as it is. Returns what was good, for people.
///
/// # Errors
/// What was not.
pub async fn run(probe: &TrackProbe, network: &Topology) -> Result<String, Failure> {
    match probe {
        TrackProbe::Link { interface } => match network.links.get(interface) {
            None => Err(Failure::NoInterface(interface.clone())),
            Some(link) if !link.up => Err(Failure::NoCarrier(interface.clone())),
            Some(_) => Ok(format!("{interface} is up")),
        },
        TrackProbe::Gateway { address, interface, timeout } => {
            let took = ping::ping(address, interface.as_deref(), *timeout).await?;
            Ok(format!("echo after {} ms", took.as_millis()))
        }
        TrackProbe::Script(command) => {
            let said = exec::run(command, b"").await?;
            Ok(if said.is_empty() { "exit code 0".to_owned() } else { said })
        }
    }
}
