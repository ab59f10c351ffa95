//! A number that is the same on both routers of a pair as long as they balance the same.

use lb_common::Method;
use sha2::{Digest, Sha256};

use super::{Check, Config, Expect, Group, Probe, Real, Service};

impl Config {
    /// A fingerprint of what both routers of a pair must agree on: virtual addresses and MAC addresses, the NAT router address, services
    /// with their checks and real servers. Names, interfaces, priorities, paths and limits are each router's own. The
    /// order of services and VIPs does not matter; that of real servers does, since schedules follow it. Stable across
    /// builds and versions: it is the start of a SHA-256, big endian.
    pub fn hash(&self) -> u64 {
        let mut lines: Vec<String> = Vec::new();
        lines.extend(self.router.nat_router.iter().map(|vip| format!("nat_router {}", vip.address)));
        lines.extend(self.router.virtual_mac.iter().map(|mac| format!("virtual_mac {mac}")));
        lines.extend(self.vips.iter().map(|vip| format!("vip {}", vip.address)));
        lines.extend(self.services.iter().map(service));
        lines.extend(self.groups.iter().map(group));
        lines.sort_unstable();
        let mut digest = Sha256::new();
        for line in lines {
            digest.update(line);
            digest.update("\n");
        }
        digest.finalize().iter().take(8).fold(0, |hash, byte| hash << 8 | u64::from(*byte))
    }
}

/// A group likewise. Its priority is each router's own.
fn group(group: &Group) -> String {
    let mut line = format!("group {}", hex(group.name.as_bytes()));
    group.vips.iter().for_each(|vip| line += &format!(" {vip}"));
    group.nat_router.iter().for_each(|vip| line += &format!(" nat_router {}", vip.address));
    group.virtual_mac.iter().for_each(|mac| line += &format!(" virtual_mac {mac}"));
    line
}

/// A service in words that differ whenever the service does.
fn service(service: &Service) -> String {
    let [a, b, c, d] = service.key.address;
    let mut line = format!("service {} {a}.{b}.{c}.{d}:{}", service.key.protocol, service.key.port);
    line += &format!(" {} {}", service.scheduler.name(), check(service.check.as_ref()));
    for real in &service.reals {
        line += &self::real(real);
    }
    line
}

/// A real server likewise.
fn real(real: &Real) -> String {
    let method = match real.method {
        Method::Nat => "nat",
        Method::Direct => "direct",
    };
    format!(" real {}:{} {} {method}", real.address, real.port, real.weight)
}

/// A check likewise.
fn check(check: Option<&Check>) -> String {
    let Some(Check { probe, port, interval, timeout, rise, fall }) = check else { return "unchecked".into() };
    let probe = match probe {
        Probe::Connect => "connect".to_owned(),
        Probe::SendExpect { send, expect: Expect::Prefix(prefix) } => {
            format!("send {} expect {}", hex(send), hex(prefix))
        }
        Probe::SendExpect { send, expect: Expect::Regex(regex) } => {
            format!("send {} expect_regex {}", hex(send), hex(regex.as_str().as_bytes()))
        }
        Probe::Http { path, host, status, body } => {
            let (first, last) = (status.start(), status.end());
            let host = host.as_ref().map(|host| hex(host.as_bytes()));
            let body = body.as_ref().map(|body| hex(body.as_bytes()));
            let [host, body] = [host, body].map(|text| text.unwrap_or_else(|| "-".into()));
            format!("http {} {host} {first}-{last} {body}", hex(path.as_bytes()))
        }
    };
    let port = port.unwrap_or_default();
    format!("check {probe} {port} {} {} {rise} {fall}", interval.as_nanos(), timeout.as_nanos())
}

/// Free text as hexadecimal digits, so that none of it can be taken for something else.
fn hex(text: &[u8]) -> String {
    text.iter().map(|byte| format!("{byte:02x}")).collect()
}
