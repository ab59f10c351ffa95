//! The operator's changes to real servers: from the words of a command to overrides. Pure.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
};

use crate::{
    api::types::{ServerAction, ServerChange},
    config::{Config, Real, Service},
    plan::{Override, RealId},
};

/// Highest weight, as in the configuration.
const MAX_WEIGHT: u32 = 65_535;

/// Why a change cannot be made; one line for the operator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// No such service.
    #[error("no service is called \"{0}\"")]
    NoService(String),
    /// No such real server.
    #[error("no real server is called \"{0}\"")]
    NoServer(String),
    /// The weight is out of range.
    #[error("weight {0} is out of range, expected 0 to {MAX_WEIGHT}")]
    Weight(u32),
}

/// Applies `change` to `overrides`; returns one line that says what was done. On an error nothing has changed.
///
/// # Errors
/// When the change names something that is not configured, or a weight out of range.
pub fn change(
    config: &Config,
    overrides: &mut BTreeMap<RealId, Override>,
    change: &ServerChange,
) -> Result<String, ChangeError> {
    let ServerChange { server, service, action } = change;
    if let Some(name) = service
        && !config.services.iter().any(|service| service.name == *name)
    {
        return Err(ChangeError::NoService(name.clone()));
    }
    if let ServerAction::Weight(weight) = action
        && *weight > MAX_WEIGHT
    {
        return Err(ChangeError::Weight(*weight));
    }
    let found: Vec<_> = config
        .services
        .iter()
        .filter(|candidate| service.as_ref().is_none_or(|name| candidate.name == *name))
        .flat_map(|service| service.reals.iter().map(move |real| (service, real)))
        .filter(|(_, real)| names(real, server))
        .collect();
    if found.is_empty() {
        return Err(ChangeError::NoServer(server.clone()));
    }
    for (service, real) in &found {
        apply(overrides, real_id(service, real), *action);
    }
    let places: Vec<_> =
        found.iter().map(|(service, real)| format!("{} in {}", real.name, service.name)).collect();
    Ok(format!("{}: {}", places.join(", "), describe(*action)))
}

/// Identity of a configured real server.
pub fn real_id(service: &Service, real: &Real) -> RealId {
    RealId { service: service.key, address: real.address, port: real.port }
}

/// Drops overrides of servers that are no longer configured.
pub fn retain_configured(config: &Config, overrides: &mut BTreeMap<RealId, Override>) {
    let configured: std::collections::BTreeSet<_> = config
        .services
        .iter()
        .flat_map(|service| service.reals.iter().map(move |real| real_id(service, real)))
        .collect();
    overrides.retain(|id, _| configured.contains(id));
}

fn names(real: &Real, word: &str) -> bool {
    real.name == word
        || word.parse::<Ipv4Addr>().is_ok_and(|address| address == real.address)
        || word.parse::<SocketAddrV4>().is_ok_and(|at| *at.ip() == real.address && at.port() == real.port)
}

fn apply(overrides: &mut BTreeMap<RealId, Override>, id: RealId, action: ServerAction) {
    let entry = overrides.entry(id).or_default();
    match action {
        ServerAction::Weight(weight) => entry.weight = Some(weight),
        ServerAction::Drain => entry.drained = true,
        ServerAction::Disable => entry.disabled = true,
        ServerAction::Enable => {
            overrides.remove(&id);
        }
    }
}

fn describe(action: ServerAction) -> String {
    match action {
        ServerAction::Weight(weight) => format!("weight is {weight} now"),
        ServerAction::Drain => "drained, it keeps its connections and gets no new ones".to_owned(),
        ServerAction::Disable => "disabled, it gets no new connections and is not checked".to_owned(),
        ServerAction::Enable => "enabled, as configured".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use lb_common::{IPPROTO_TCP, Method, Scheduler, ServiceKey};

    use super::*;

    #[test]
    fn a_server_is_found_by_name_address_and_socket_address() {
        for word in ["rs1", "10.0.0.1", "10.0.0.1:80"] {
            let mut overrides = BTreeMap::new();
            let done = change(&config(), &mut overrides, &order(word, None, ServerAction::Drain));
            assert_eq!(
                done.as_deref(),
                Ok("rs1 in web: drained, it keeps its connections and gets no new ones"),
                "{word}"
            );
            assert_eq!(overrides.len(), 1, "{word}");
        }
    }

    #[test]
    fn a_server_of_two_services_changes_in_both_or_in_the_one_named() {
        let mut overrides = BTreeMap::new();
        let _ = change(&config(), &mut overrides, &order("rs2", None, ServerAction::Weight(7)));
        assert_eq!(overrides.len(), 2);
        overrides.clear();
        let _ = change(&config(), &mut overrides, &order("rs2", Some("tls"), ServerAction::Weight(7)));
        assert_eq!(overrides.keys().map(|id| id.port).collect::<Vec<_>>(), [443]);
    }

    #[test]
    fn enable_takes_every_change_back() {
        let mut overrides = BTreeMap::new();
        for action in
            [ServerAction::Weight(3), ServerAction::Drain, ServerAction::Disable, ServerAction::Enable]
        {
            let _ = change(&config(), &mut overrides, &order("rs1", None, action));
        }
        assert!(overrides.is_empty());
    }

    #[test]
    fn a_wrong_word_changes_nothing() {
        let cases = [
            (order("rs9", None, ServerAction::Drain), ChangeError::NoServer("rs9".to_owned())),
            (order("rs1", Some("ftp"), ServerAction::Drain), ChangeError::NoService("ftp".to_owned())),
            (order("rs1", Some("tls"), ServerAction::Drain), ChangeError::NoServer("rs1".to_owned())),
            (order("rs1", None, ServerAction::Weight(65_536)), ChangeError::Weight(65_536)),
        ];
        for (order, expected) in cases {
            let mut overrides = BTreeMap::new();
            assert_eq!(change(&config(), &mut overrides, &order), Err(expected));
            assert!(overrides.is_empty());
        }
    }

    #[test]
    fn overrides_of_removed_servers_are_dropped() {
        let mut overrides = BTreeMap::new();
        let _ = change(&config(), &mut overrides, &order("rs2", None, ServerAction::Drain));
        let mut config = config();
        config.services.pop();
        retain_configured(&config, &mut overrides);
        assert_eq!(overrides.keys().map(|id| id.port).collect::<Vec<_>>(), [80]);
    }

    fn order(server: &str, service: Option<&str>, action: ServerAction) -> ServerChange {
        ServerChange { server: server.to_owned(), service: service.map(str::to_owned), action }
    }

    fn config() -> Config {
        let mut config = crate::director::test_config();
        config.services =
            vec![service("web", 80, &[("rs1", 1), ("rs2", 2)]), service("tls", 443, &[("rs2", 2)])];
        config
    }

    fn service(name: &str, port: u16, reals: &[(&str, u8)]) -> Service {
        Service {
            name: name.to_owned(),
            key: ServiceKey::new(IPPROTO_TCP, [192, 0, 2, 10], port),
            scheduler: Scheduler::RoundRobin,
            check: None,
            reals: reals
                .iter()
                .map(|(name, last)| Real {
                    name: (*name).to_owned(),
                    address: Ipv4Addr::new(10, 0, 0, *last),
                    port,
                    weight: 1,
                    method: Method::Nat,
                })
                .collect(),
        }
    }
}
