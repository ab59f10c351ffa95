//! From the roles of the groups to what the data plane is told. Pure.

use std::{collections::BTreeSet, net::Ipv4Addr};

use lb_common::RouterRole;

use crate::{config::Config, ha::Role, tables::Tables};

/// The role of the router, and the virtual addresses whose services are closed all the same. What is not decided stays as it is
/// `installed`. A router without groups closes nothing but itself.
pub(super) fn standing(
    roles: &[Role],
    config: &Config,
    installed: &Tables,
) -> (RouterRole, BTreeSet<Ipv4Addr>) {
    let role = if roles.iter().any(|role| role.forwards()) {
        RouterRole::Active
    } else if roles.contains(&Role::Starting) {
        installed.role
    } else {
        RouterRole::Standby
    };
    (role, closed(roles, config, installed))
}

/// Whether the services of a group open connections, as they are `installed`.
#[must_use]
pub fn is_open(group: usize, config: &Config, installed: &Tables) -> bool {
    let mut services = installed.services.iter();
    let is_open = config.groups.is_empty()
        || services.any(|(key, service)| !service.closed && config.group_of_service(key) == group);
    installed.role == RouterRole::Active && is_open
}

fn closed(roles: &[Role], config: &Config, installed: &Tables) -> BTreeSet<Ipv4Addr> {
    if config.groups.is_empty() {
        return BTreeSet::new();
    }
    let vips = config.vips.iter().map(|vip| vip.address.addr());
    let is_closed = |address: &Ipv4Addr| {
        let group = config.group_of(*address);
        match roles.get(group) {
            Some(Role::Active | Role::Leaving) => false,
            Some(Role::Starting) => !is_open(group, config, installed),
            Some(Role::Standby) | None => true,
        }
    };
    vips.filter(is_closed).collect()
}

#[cfg(test)]
mod tests {
    use lb_common::{IPPROTO_TCP, Scheduler, ServiceKey};

    use super::*;
    use crate::{
        config::{Group, Vip},
        director::test_config,
        tables::ServiceTable,
    };

    const EAST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
    const WEST: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

    #[test]
    fn a_router_is_active_where_one_of_its_groups_is_and_closed_for_the_others() {
        let (config, installed) = (config(), Tables::default());
        let standing = |roles: [Role; 2]| standing(&roles, &config, &installed);
        assert_eq!(standing([Role::Active, Role::Standby]), (RouterRole::Active, [WEST].into()));
        assert_eq!(standing([Role::Leaving, Role::Active]), (RouterRole::Active, [].into()));
        assert_eq!(standing([Role::Standby, Role::Standby]), (RouterRole::Standby, [EAST, WEST].into()));
    }

    #[test]
    fn what_is_not_decided_stays_as_it_is() {
        let config = config();
        let service =
            |closed| ServiceTable { id: 0, scheduler: Scheduler::RoundRobin, ring: vec![], start: 0, closed };
        let key = |vip: Ipv4Addr| ServiceKey::new(IPPROTO_TCP, vip.octets(), 80);
        let installed = Tables {
            role: RouterRole::Active,
            services: [(key(EAST), service(false)), (key(WEST), service(true))].into(),
            ..Tables::default()
        };
        assert_eq!([0, 1].map(|group| is_open(group, &config, &installed)), [true, false]);
        let standing = |roles: [Role; 2]| standing(&roles, &config, &installed);
        assert_eq!(standing([Role::Starting, Role::Starting]), (RouterRole::Active, [WEST].into()));
        assert_eq!(standing([Role::Starting, Role::Standby]), (RouterRole::Active, [WEST].into()));
        assert_eq!(standing([Role::Starting, Role::Active]), (RouterRole::Active, [].into()));
    }

    #[test]
    fn without_groups_the_role_alone_decides() {
        for role in [RouterRole::Standby, RouterRole::Active] {
            let installed = Tables { role, ..Tables::default() };
            assert_eq!(standing(&[Role::Starting], &test_config(), &installed), (role, [].into()));
            assert_eq!(is_open(0, &test_config(), &installed), role == RouterRole::Active);
        }
        assert_eq!(standing(&[Role::Standby], &test_config(), &Tables::default()).1, [].into());
    }

    fn config() -> Config {
        let mut config = test_config();
        for (name, vip) in [("east", EAST), ("west", WEST)] {
            config.vips.push(Vip { address: vip.into(), interface: "eth0".to_owned() });
            config.groups.push(Group::of_one(name, vip));
        }
        config
    }
}
