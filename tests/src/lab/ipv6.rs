//! Heartbeat paths over IPv6 alone. The rest of the laboratory has no IPv6 at all.

use anyhow::{Context, Result};

use super::{
    Lab,
    config::{Config, HeartbeatPath},
    topology::{HOSTS, Host},
};

/// What the addresses of a router's interfaces begin with: a link-local one, and one of a unique local prefix.
const PREFIXES: [&str; 2] = ["fe80::", "fd00:11:12::"];

impl Lab {
    /// Gives the routers the addresses that [`Config::over_ipv6`] names.
    ///
    /// # Errors
    /// When the kernel has no IPv6, or refuses an address.
    pub fn enable_ipv6(&self) -> Result<()> {
        for router in &self.routers {
            let host = host(router.name())?;
            for (port, prefix) in host.ports.iter().zip(PREFIXES) {
                let (interface, number) = (port.interface, number(host));
                router.namespace().sysctl(&format!("ipv6.conf.{interface}.disable_ipv6"), "0")?;
                router.namespace().ip(&format!("address add {prefix}{number}/64 dev {interface} nodad\n"))?;
            }
        }
        Ok(())
    }
}

impl Config {
    /// Puts paths over IPv6 in the place of all others: over link-local addresses first.
    ///
    /// # Errors
    /// When it is of no router of the lab, or of one without a peer.
    pub fn over_ipv6(&mut self) -> Result<()> {
        let own = host(&self.router.name)?;
        let other = host(if own.name == "r1" { "r2" } else { "r1" })?;
        let paths = own.ports.iter().zip(PREFIXES).map(|(port, prefix)| {
            let scope = if prefix == PREFIXES[0] { format!("%{}", port.interface) } else { String::new() };
            let [local, remote] = [own, other].map(|host| format!("{prefix}{}{scope}", number(host)));
            HeartbeatPath { local, remote }
        });
        self.peer.as_mut().context("a peer")?.paths = paths.collect();
        Ok(())
    }
}

fn host(name: &str) -> Result<&'static Host> {
    HOSTS.iter().find(|host| host.name == name).context("every router is a host")
}

/// The last number of its addresses.
const fn number(host: &Host) -> u8 {
    host.address().octets()[3]
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_two_routers_look_at_each_other_over_ipv6() {
        let paths = |name| {
            let mut config = Config::standard(name, Path::new("/x"));
            config.over_ipv6().unwrap();
            config.peer.unwrap().paths
        };
        let (one, other) = (paths("r1"), paths("r2"));
        assert_eq!((one[0].local.as_str(), one[0].remote.as_str()), ("fe80::2%eth0", "fe80::3%eth0"));
        assert_eq!((one[1].local.as_str(), one[1].remote.as_str()), ("fd00:11:12::2", "fd00:11:12::3"));
        assert!(
            one.iter().zip(&other).all(|(one, other)| one.local == other.remote && one.remote == other.local)
        );
    }
}
