//! Who stands where: every address of the lab, and the `ip` lines that put it there.
//!
//! ```text
//!                     pub  192.0.2.0/24                priv  10.11.12.0/24
//!   client .100 ───────┤                                 ├─── n1 .21   NAT real servers,
//!   r1  eth0 .2 ───────┤                                 │    n2 .22   default gateway
//!                      │                  r1 eth1 .2 ────┤    n3 .23   10.11.12.10
//!   r2  eth0 .3 ───────┤                  r2 eth1 .3 ────┤
//!   d1 … d3 .21-.23 ───┤    direct routing real servers, 192.0.2.11 on lo
//! ```

use std::{fmt::Write, net::Ipv4Addr};

/// The client.
pub const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 100);
/// Virtual address of the services with NAT.
pub const NAT_VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
/// Virtual address of the services with direct routing.
pub const DIRECT_VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);
/// Gateway of the NAT real servers, held by the active router.
pub const NAT_ROUTER: Ipv4Addr = Ipv4Addr::new(10, 11, 12, 10);
/// HTTP port of the virtual services and of the direct routing real servers.
pub const HTTP_PORT: u16 = 80;
/// HTTP port of the NAT real servers: not the service's, so that port mapping is part of every test.
pub const NAT_HTTP_PORT: u16 = 8080;
/// UDP echo port everywhere.
pub const UDP_PORT: u16 = 5000;
/// iperf3's own port everywhere.
pub const IPERF_PORT: u16 = 5201;

/// The two LANs, as bridges in the switch.
pub const BRIDGES: [&str; 2] = ["pub", "priv"];

/// What a host is there for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Asks.
    Client,
    /// Runs `lbd`.
    Router,
    /// Answers, through the NAT router.
    NatServer,
    /// Answers clients directly.
    DirectServer,
}

impl Part {
    /// Port of the HTTP server, where there is one.
    pub const fn http_port(self) -> u16 {
        match self {
            Self::NatServer => NAT_HTTP_PORT,
            Self::Client | Self::Router | Self::DirectServer => HTTP_PORT,
        }
    }
}

/// A host.
#[derive(Clone, Copy, Debug)]
pub struct Host {
    /// Name; its namespace is `<lab>-<name>`.
    pub name: &'static str,
    /// What it is there for.
    pub part: Part,
    /// Its interfaces.
    pub ports: &'static [Port],
}

/// An interface of a host and the switch port it leads to.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    /// Name on the host.
    pub interface: &'static str,
    /// Name on the switch.
    pub switch: &'static str,
    /// Bridge of that switch port.
    pub bridge: &'static str,
    /// Address on the host.
    pub address: Ipv4Addr,
}

const fn port(interface: &'static str, switch: &'static str, bridge: &'static str, address: [u8; 4]) -> Port {
    let [a, b, c, d] = address;
    Port { interface, switch, bridge, address: Ipv4Addr::new(a, b, c, d) }
}

/// Every host.
pub const HOSTS: [Host; 9] = [
    Host { name: "client", part: Part::Client, ports: &[port("eth0", "client", "pub", [192, 0, 2, 100])] },
    Host {
        name: "r1",
        part: Part::Router,
        ports: &[
            port("eth0", "r1-pub", "pub", [192, 0, 2, 2]),
            port("eth1", "r1-priv", "priv", [10, 11, 12, 2]),
        ],
    },
    Host {
        name: "r2",
        part: Part::Router,
        ports: &[
            port("eth0", "r2-pub", "pub", [192, 0, 2, 3]),
            port("eth1", "r2-priv", "priv", [10, 11, 12, 3]),
        ],
    },
    Host { name: "n1", part: Part::NatServer, ports: &[port("eth0", "n1", "priv", [10, 11, 12, 21])] },
    Host { name: "n2", part: Part::NatServer, ports: &[port("eth0", "n2", "priv", [10, 11, 12, 22])] },
    Host { name: "n3", part: Part::NatServer, ports: &[port("eth0", "n3", "priv", [10, 11, 12, 23])] },
    Host { name: "d1", part: Part::DirectServer, ports: &[port("eth0", "d1", "pub", [192, 0, 2, 21])] },
    Host { name: "d2", part: Part::DirectServer, ports: &[port("eth0", "d2", "pub", [192, 0, 2, 22])] },
    Host { name: "d3", part: Part::DirectServer, ports: &[port("eth0", "d3", "pub", [192, 0, 2, 23])] },
];

impl Port {
    /// Its MAC address: locally administered, and made of the IPv4 address, so that a dump of frames can be read.
    pub const fn mac(&self) -> [u8; 6] {
        let [a, b, c, d] = self.address.octets();
        [2, 0, a, b, c, d]
    }
}

impl Host {
    /// Its address on its first interface.
    pub const fn address(&self) -> Ipv4Addr {
        self.ports[0].address
    }

    /// The `ip` lines, run on the host, that give it its addresses and bring it up.
    pub fn setup(&self) -> String {
        let mut lines = String::new();
        for Port { interface, address, .. } in self.ports {
            line(&mut lines, format_args!("address add {address}/24 dev {interface}"));
            line(&mut lines, format_args!("link set {interface} up"));
        }
        if self.part == Part::DirectServer {
            line(&mut lines, format_args!("address add {DIRECT_VIP}/32 dev lo"));
        }
        lines + &self.routes()
    }

    /// The `ip` lines for its routes, which the kernel forgets whenever the interface goes down.
    pub fn routes(&self) -> String {
        match self.part {
            Part::NatServer => format!("route replace default via {NAT_ROUTER}\n"),
            Part::Client | Part::Router | Part::DirectServer => String::new(),
        }
    }

    /// The number of the group that its cables belong to, so that they can vanish in one and the same moment.
    pub const fn cable_group(&self) -> u8 {
        self.address().octets()[3]
    }

    /// The settings below `net.` that its part needs.
    pub const fn sysctls(&self) -> &'static [(&'static str, &'static str)] {
        match self.part {
            // Thousands of connections to one address and port: every one needs a port of its own.
            Part::Client => &[("ipv4.ip_local_port_range", "10000 65535")],
            Part::Router => &[
                ("ipv4.ip_forward", "1"),
                ("ipv4.conf.all.rp_filter", "0"),
                ("ipv4.conf.default.rp_filter", "0"),
            ],
            Part::NatServer => &[],
            // The virtual address stands on lo, but the router alone may answer ARP for it, and no server may use it
            // as the source of its own ARP requests.
            Part::DirectServer => &[("ipv4.conf.all.arp_ignore", "1"), ("ipv4.conf.all.arp_announce", "2")],
        }
    }
}

/// The `ip` lines, run on the switch, that make both bridges and every cable; `namespace` names a host's namespace.
pub fn cables(namespace: impl Fn(&str) -> String) -> String {
    let mut lines = String::new();
    for bridge in BRIDGES {
        line(&mut lines, format_args!("link add {bridge} type bridge stp_state 0 mcast_snooping 0"));
        line(&mut lines, format_args!("link set {bridge} up"));
    }
    lines + &HOSTS.iter().map(|host| host_cables(host, &namespace(host.name))).collect::<String>()
}

/// The `ip` lines, run on the switch, that make the cables of one host, whose namespace is given.
pub fn host_cables(host: &Host, namespace: &str) -> String {
    let mut lines = String::new();
    for port @ Port { interface, switch, bridge, .. } in host.ports {
        let [a, b, c, d, e, f] = port.mac();
        let end = format!(
            "name {interface} address {a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x} netns {namespace}"
        );
        line(&mut lines, format_args!("link add {switch} type veth peer {end}"));
        line(&mut lines, format_args!("link set {switch} master {bridge} up"));
        if host.part == Part::Router {
            // A network card takes frames that are meant for it. XDP on a veth would see those as well that a switch sends
            // everywhere because nobody is there any more.
            line(&mut lines, format_args!("link set {switch} type bridge_slave flood off"));
            line(&mut lines, format_args!("link set {switch} group {}", host.cable_group()));
        }
    }
    lines
}

fn line(lines: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(lines, "{text}");
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_address_and_every_switch_port_is_used_once() {
        let ports = || HOSTS.iter().flat_map(|host| host.ports);
        let addresses: BTreeSet<_> = ports().map(|port| port.address).collect();
        let switch: BTreeSet<_> = ports().map(|port| port.switch).collect();
        assert_eq!((addresses.len(), switch.len()), (ports().count(), ports().count()));
        for taken in [NAT_VIP, DIRECT_VIP, NAT_ROUTER] {
            assert!(!addresses.contains(&taken), "{taken} belongs to the active router");
        }
    }

    #[test]
    fn interface_names_fit_the_kernel() {
        // IFNAMSIZ in include/uapi/linux/if.h: 15 characters and a zero.
        assert!(HOSTS.iter().flat_map(|host| host.ports).all(|port| port.switch.len() <= 15));
    }

    #[test]
    fn nat_servers_get_their_gateway_with_their_routes() {
        assert_eq!(HOSTS[3].routes(), "route replace default via 10.11.12.10\n");
        assert!(HOSTS[3].setup().ends_with(&HOSTS[3].routes()));
    }
}
