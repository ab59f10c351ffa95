//! The `lbd.toml` of the lab's routers, as typed values.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use anyhow::Result;
use serde::Serialize;

use super::topology::{DIRECT_VIP, HOSTS, HTTP_PORT, NAT_ROUTER, NAT_VIP, Part, UDP_PORT};

/// A whole file.
#[derive(Clone, Debug, Serialize)]
pub struct Config {
    /// `[router]`
    pub router: Router,
    /// `[peer]`
    pub peer: Option<Peer>,
    /// `[[group]]`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub group: Vec<Group>,
    /// `[[track]]`
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub track: Vec<Track>,
    /// `[[vip]]`
    pub vip: Vec<Vip>,
    /// `[[service]]`
    pub service: Vec<Service>,
    /// `[limits]`, where they are not the defaults.
    pub limits: BTreeMap<&'static str, u64>,
    /// `[daemon]`
    pub daemon: Daemon,
}

/// This router.
#[derive(Clone, Debug, Serialize)]
pub struct Router {
    /// Name.
    pub name: String,
    /// Interfaces with the XDP program.
    pub interfaces: Vec<String>,
    /// Gateway of the NAT real servers, where there are no groups.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nat_router: Option<Vip>,
    /// Virtual router whose MAC address the floating addresses have, where they have one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub virtual_mac: Option<u8>,
}

/// A group with a role of its own.
#[derive(Clone, Debug, Serialize)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Higher becomes active.
    pub priority: u8,
    /// `"auto"` or `"manual"`, where it is not that of the pair.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failback: Option<String>,
    /// Gateway of its NAT real servers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nat_router: Option<Vip>,
}

/// An address that moves with the role.
#[derive(Clone, Debug, Serialize)]
pub struct Vip {
    /// `address/prefix`.
    pub address: String,
    /// Interface.
    pub interface: String,
    /// Group, where there are any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

/// The pair. The bounds of the demo rest on the timers that are left at their defaults.
#[derive(Clone, Debug, Serialize)]
pub struct Peer {
    /// Higher becomes active.
    pub priority: u8,
    /// Time between two heartbeats, where it is not the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval: Option<String>,
    /// Silence that means death, where it is not the default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_after: Option<String>,
    /// `"auto"` or `"manual"`.
    pub failback: String,
    /// Time a returning router waits.
    pub failback_delay: String,
    /// Shared key.
    pub key: String,
    /// Heartbeat paths.
    pub paths: Vec<HeartbeatPath>,
}

/// Something that a router watches about itself: always a link, whose loss is a fault.
#[derive(Clone, Debug, Serialize)]
pub struct Track {
    /// Name.
    pub name: String,
    /// `"link"`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Interface.
    pub interface: String,
    /// Whether it makes the router unfit.
    pub fault: bool,
}

/// One way between the routers.
#[derive(Clone, Debug, Serialize)]
pub struct HeartbeatPath {
    /// Own address.
    pub local: String,
    /// The peer's address.
    pub remote: String,
}

/// A virtual service.
#[derive(Clone, Debug, Serialize)]
pub struct Service {
    /// Name.
    pub name: String,
    /// `"tcp"` or `"udp"`.
    pub protocol: String,
    /// Virtual address.
    pub address: String,
    /// Virtual port.
    pub port: u16,
    /// `"rr"`, `"wrr"`, `"sh"` or `"mh"`.
    pub scheduler: String,
    /// Health check.
    pub check: Check,
    /// Real servers.
    pub real: Vec<Real>,
}

/// A health check of the lab: always HTTP, on the server's HTTP port.
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    /// `"http"`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Request path.
    pub path: String,
    /// Port, where it is not the real server's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// Time between two checks.
    pub interval: String,
    /// Time one may take.
    pub timeout: String,
    /// Successes that bring a server back.
    pub rise: u32,
    /// Failures that take it out.
    pub fall: u32,
}

/// A real server.
#[derive(Clone, Debug, Serialize)]
pub struct Real {
    /// Name.
    pub name: String,
    /// Address.
    pub address: String,
    /// Port.
    pub port: u16,
    /// Weight.
    pub weight: u32,
    /// `"nat"` or `"direct"`.
    pub method: String,
}

/// Paths.
#[derive(Clone, Debug, Serialize)]
pub struct Daemon {
    /// bpffs directory.
    pub pin_dir: PathBuf,
    /// API socket.
    pub socket: PathBuf,
}

/// Group of the NAT servers, where there are groups.
pub const NAT_GROUP: &str = "nat";
/// Group of the direct routing servers.
pub const DIRECT_GROUP: &str = "direct";

/// Service of the NAT servers.
pub const WEB_NAT: &str = "web-nat";
/// Service of the direct routing servers.
pub const WEB_DIRECT: &str = "web-direct";
/// UDP echo of the NAT servers.
pub const ECHO_NAT: &str = "echo-nat";
/// UDP echo of the direct routing servers.
pub const ECHO_DIRECT: &str = "echo-direct";

/// Weights of the NAT servers in [`Config::standard`].
pub const NAT_WEIGHTS: [u32; 3] = [1, 2, 3];
/// Weights of the direct routing servers in [`Config::standard`].
pub const DIRECT_WEIGHTS: [u32; 3] = [3, 2, 1];

impl Config {
    /// The lab's standard: four services over all real servers, r1 before r2. `name` is `"r1"` or `"r2"`, and `folder`
    /// that router's own.
    pub fn standard(name: &str, folder: &Path) -> Self {
        let vip = |address, prefix, interface: &str| Vip {
            address: format!("{address}/{prefix}"),
            interface: interface.to_owned(),
            group: None,
        };
        Self {
            router: Router {
                name: name.to_owned(),
                interfaces: vec!["eth0".to_owned(), "eth1".to_owned()],
                nat_router: Some(vip(NAT_ROUTER, 24, "eth1")),
                virtual_mac: None,
            },
            peer: Some(Peer::standard(name)),
            group: Vec::new(),
            track: Vec::new(),
            vip: vec![vip(NAT_VIP, 32, "eth0"), vip(DIRECT_VIP, 32, "eth0")],
            service: vec![
                Service::web(Part::NatServer),
                Service::web(Part::DirectServer),
                Service::echo(Part::NatServer),
                Service::echo(Part::DirectServer),
            ],
            limits: BTreeMap::new(),
            daemon: Daemon { pin_dir: folder.join("bpf"), socket: folder.join("lbd.sock") },
        }
    }

    /// Splits it into two groups: NAT, for which r1 is preferred, and direct routing, for which r2 is.
    pub fn split(&mut self) {
        let first = self.router.name == "r1";
        let group = |name: &str, preferred: bool, nat_router| Group {
            name: name.to_owned(),
            priority: if preferred { 150 } else { 100 },
            failback: None,
            nat_router,
        };
        self.group =
            vec![group(NAT_GROUP, first, self.router.nat_router.take()), group(DIRECT_GROUP, !first, None)];
        for (vip, group) in self.vip.iter_mut().zip([NAT_GROUP, DIRECT_GROUP]) {
            vip.group = Some(group.to_owned());
        }
    }

    /// The service of this name.
    pub fn service(&mut self, name: &str) -> Option<&mut Service> {
        self.service.iter_mut().find(|service| service.name == name)
    }

    /// The text of the file.
    ///
    /// # Errors
    /// Never with the types as they are.
    pub fn text(&self) -> Result<String> {
        Ok(toml::to_string(self)?)
    }
}

impl Peer {
    fn standard(name: &str) -> Self {
        let path = |first: &str, second: &str| match name {
            "r1" => HeartbeatPath { local: first.to_owned(), remote: second.to_owned() },
            _ => HeartbeatPath { local: second.to_owned(), remote: first.to_owned() },
        };
        Self {
            priority: if name == "r1" { 150 } else { 100 },
            interval: None,
            dead_after: None,
            failback: "auto".to_owned(),
            failback_delay: "2s".to_owned(),
            key: "a-shared-secret-of-the-lab".to_owned(),
            paths: vec![path("192.0.2.2", "192.0.2.3"), path("10.11.12.2", "10.11.12.3")],
        }
    }
}

impl Track {
    /// The loss of an interface is a fault.
    pub fn link(interface: &str) -> Self {
        Self {
            name: interface.to_owned(),
            kind: "link".to_owned(),
            interface: interface.to_owned(),
            fault: true,
        }
    }
}

impl Service {
    /// HTTP on port 80 of the virtual address of `part`.
    fn web(part: Part) -> Self {
        let name = if part == Part::DirectServer { WEB_DIRECT } else { WEB_NAT };
        Self::of(name, "tcp", HTTP_PORT, part, Check::http(None))
    }

    /// UDP echo of `part`, checked by way of the HTTP server beside it.
    fn echo(part: Part) -> Self {
        let name = if part == Part::DirectServer { ECHO_DIRECT } else { ECHO_NAT };
        Self::of(name, "udp", UDP_PORT, part, Check::http(Some(part.http_port())))
    }

    /// TCP on `port` of every server of `part`, the same port behind, checked by way of the HTTP server.
    pub fn tcp(name: &str, port: u16, part: Part) -> Self {
        let mut service = Self::of(name, "tcp", port, part, Check::http(Some(part.http_port())));
        for real in &mut service.real {
            real.port = port;
        }
        service
    }

    fn of(name: &str, protocol: &str, port: u16, part: Part, check: Check) -> Self {
        let direct = part == Part::DirectServer;
        let weights = if direct { DIRECT_WEIGHTS } else { NAT_WEIGHTS };
        let hosts = HOSTS.iter().filter(|host| host.part == part);
        let real = hosts.zip(weights).map(|(host, weight)| Real {
            name: host.name.to_owned(),
            address: host.address().to_string(),
            port: if protocol == "udp" { port } else { part.http_port() },
            weight,
            method: if direct { "direct" } else { "nat" }.to_owned(),
        });
        Self {
            name: name.to_owned(),
            protocol: protocol.to_owned(),
            address: if direct { DIRECT_VIP } else { NAT_VIP }.to_string(),
            port,
            scheduler: "wrr".to_owned(),
            check,
            real: real.collect(),
        }
    }

    /// Sets the weights of the real servers, in their order.
    pub fn weights(&mut self, weights: [u32; 3]) {
        for (real, weight) in self.real.iter_mut().zip(weights) {
            real.weight = weight;
        }
    }
}

impl Check {
    fn http(port: Option<u16>) -> Self {
        Self {
            kind: "http".to_owned(),
            path: "/".to_owned(),
            port,
            interval: "1s".to_owned(),
            timeout: "500ms".to_owned(),
            rise: 2,
            fall: 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_routers_look_at_each_other() {
        let paths = |name| Config::standard(name, Path::new("/x")).peer.unwrap().paths;
        for (one, other) in paths("r1").iter().zip(paths("r2")) {
            assert_eq!((&one.local, &one.remote), (&other.remote, &other.local));
        }
    }

    #[test]
    fn the_text_is_toml_with_the_agreed_keys() {
        let text = Config::standard("r1", Path::new("/x/r1")).text().unwrap();
        let table: toml::Table = text.parse().unwrap();
        assert_eq!(table["daemon"]["socket"].as_str(), Some("/x/r1/lbd.sock"));
        assert_eq!(table["peer"]["priority"].as_integer(), Some(150));
        let service = &table["service"].as_array().unwrap()[0];
        assert_eq!(service["check"]["type"].as_str(), Some("http"));
        assert_eq!(service["real"].as_array().unwrap()[2]["weight"].as_integer(), Some(3));
    }

    #[test]
    fn direct_routing_keeps_the_port() {
        let config = Config::standard("r1", Path::new("/x"));
        for service in &config.service {
            let kept = service.real.iter().all(|real| real.port == service.port);
            assert_eq!(kept, service.name != WEB_NAT, "{}", service.name);
        }
    }
}
