//! Addresses of hosts of either family, with the interface where the address alone does not say which one.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use toml::de::DeValue;

use super::{
    decode::Scalar,
    values::{Interface, is_unicast},
};

/// The address of a host. Shows as `192.0.2.2`, `2001:db8::2` or `fe80::2%eth1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostAddress {
    /// A unicast address.
    pub ip: IpAddr,
    /// The interface of a link-local IPv6 address (RFC 4007 section 11); `None` for all others.
    pub interface: Option<String>,
}

impl HostAddress {
    /// The address, if it is IPv4.
    #[must_use]
    pub const fn ipv4(&self) -> Option<Ipv4Addr> {
        match self.ip {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        }
    }

    /// The address in `text`.
    fn parse(text: &str) -> Option<Self> {
        let (address, interface) = match text.split_once('%') {
            Some((address, interface)) => (address, Some(Interface::new(interface)?.0)),
            None => (text, None),
        };
        let ip: IpAddr = address.parse().ok()?;
        let usable = match ip {
            IpAddr::V4(ip) => is_unicast(ip) && interface.is_none(),
            IpAddr::V6(ip) => is_host(ip) && ip.is_unicast_link_local() == interface.is_some(),
        };
        usable.then_some(Self { ip, interface })
    }
}

/// Whether packets can be sent to `address` as to one IPv6 host.
fn is_host(address: Ipv6Addr) -> bool {
    !address.is_unspecified() && !address.is_multicast() && address.to_ipv4_mapped().is_none()
}

impl From<Ipv4Addr> for HostAddress {
    fn from(ip: Ipv4Addr) -> Self {
        Self { ip: ip.into(), interface: None }
    }
}

impl From<[u8; 4]> for HostAddress {
    fn from(octets: [u8; 4]) -> Self {
        Ipv4Addr::from(octets).into()
    }
}

impl fmt::Display for HostAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.interface {
            None => self.ip.fmt(f),
            Some(interface) => write!(f, "{}%{interface}", self.ip),
        }
    }
}

impl Scalar for HostAddress {
    fn expected() -> String {
        "a unicast address such as \"192.0.2.2\", \"2001:db8::2\" or, link-local, \"fe80::2%eth1\"".to_owned()
    }

    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        Self::parse(value.as_str()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_hosts_are_read_and_shown_alike() {
        for text in ["192.0.2.2", "2001:db8::2", "fd00::1", "::1", "fe80::2%eth1"] {
            assert_eq!(HostAddress::parse(text).map(|address| address.to_string()).as_deref(), Some(text));
        }
    }

    #[test]
    fn what_is_no_address_of_one_host_on_one_interface_is_refused() {
        for text in [
            "",
            "0.0.0.0",
            "239.0.0.1",
            "192.0.2.2%eth0",
            "::",
            "ff02::1%eth0",
            "::ffff:192.0.2.2",
            "fe80::2",
            "fe80::2%",
            "fe80::2%a/b",
            "2001:db8::2%eth0",
        ] {
            assert_eq!(HostAddress::parse(text), None, "{text}");
        }
    }
}
