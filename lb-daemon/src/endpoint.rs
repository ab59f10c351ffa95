//! The ends of the paths to the peer as the system knows them, and the sockets bound to them: those of heartbeats and of the copy of
//! connections.

use std::{
    io,
    net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener, UdpSocket},
};

use nix::{
    net::if_::if_nametoindex,
    sys::socket::{setsockopt, sockopt},
};
use socket2::{Domain, SockRef, Socket, Type};

use crate::config::HostAddress;

/// DSCP CS6, network control (RFC 4594 section 3.1), in the upper six bits of the TOS byte or the traffic class.
const CS6: u32 = 48 << 2;
/// Bytes of datagrams that may wait: some thousands. With the system's own limit of 208 KiB a burst of 180 forged ones would
/// crowd out the peer's.
const BACKLOG: usize = 4 << 20;
/// Connections that may wait to be accepted, as std has it.
const WAITING: i32 = 128;

/// Every IPv6 address of this thread's network namespace.
const ADDRESSES: &str = "/proc/thread-self/net/if_inet6";
/// `IFA_F_TENTATIVE` of `linux/if_addr.h`: the kernel still asks whether another host has the address.
const TENTATIVE: u32 = 0x40;

/// `address` with `port`; an interface becomes the number that it has now.
///
/// # Errors
/// When there is no such interface.
pub(crate) fn resolve(address: &HostAddress, port: u16) -> io::Result<SocketAddr> {
    let scope = match &address.interface {
        // The address cannot be there without its interface.
        Some(name) => if_nametoindex(name.as_str()).map_err(|_| io::ErrorKind::AddrNotAvailable)?,
        None => 0,
    };
    Ok(match address.ip {
        IpAddr::V4(ip) => (ip, port).into(),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, scope).into(),
    })
}

/// A socket for datagrams bound to `local` that does not block, whose packets are network control.
///
/// # Errors
/// What the system says.
pub(crate) fn udp(local: SocketAddr) -> io::Result<UdpSocket> {
    let socket = match UdpSocket::bind(local) {
        Err(error) if is_early(&error, local) => bind_early(local, Type::DGRAM)?.into(),
        other => other?,
    };
    socket.set_nonblocking(true)?;
    match local {
        SocketAddr::V4(_) => SockRef::from(&socket).set_tos_v4(CS6)?,
        SocketAddr::V6(_) => SockRef::from(&socket).set_tclass_v6(CS6)?,
    }
    // Beyond net.core.rmem_max only with CAP_NET_ADMIN; without it, up to that.
    setsockopt(&socket, sockopt::RcvBufForce, &BACKLOG)
        .or_else(|_| setsockopt(&socket, sockopt::RcvBuf, &BACKLOG))?;
    Ok(socket)
}

/// A socket that listens for streams on `local` and does not block.
///
/// # Errors
/// What the system says.
pub(crate) fn listen(local: SocketAddr) -> io::Result<TcpListener> {
    let listener = match TcpListener::bind(local) {
        Err(error) if is_early(&error, local) => {
            let socket = bind_early(local, Type::STREAM)?;
            socket.listen(WAITING)?;
            socket.into()
        }
        other => other?,
    };
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Whether binding to `local` failed because the address is there and cannot be used yet.
fn is_early(error: &io::Error, local: SocketAddr) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable && is_tentative(local.ip())
}

/// A socket on an address that is there, and is used once the kernel knows it to be nobody else's: at boot that takes a
/// second or two.
fn bind_early(local: SocketAddr, kind: Type) -> io::Result<Socket> {
    let socket = Socket::new(Domain::IPV6, kind, None)?;
    // As std has it: streams of the life before this one may still linger.
    socket.set_reuse_address(kind == Type::STREAM)?;
    socket.set_freebind_v6(true)?;
    socket.bind(&local.into())?;
    Ok(socket)
}

fn is_tentative(address: IpAddr) -> bool {
    let IpAddr::V6(address) = address else { return false };
    std::fs::read_to_string(ADDRESSES).is_ok_and(|table| is_tentative_in(&table, address))
}

/// Whether `table` has `address` as tentative. Its columns: address, interface, prefix, scope, flags, name.
fn is_tentative_in(table: &str, address: Ipv6Addr) -> bool {
    let wanted = format!("{:032x}", address.to_bits());
    let flags = |line: &str| u32::from_str_radix(line.split_whitespace().nth(4)?, 16).ok();
    let mut lines = table.lines().filter(|line| line.starts_with(&wanted));
    lines.any(|line| flags(line).is_some_and(|flags| flags & TENTATIVE != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tentative_address_is_told_from_others() {
        let table = "fe800000000000000000000000000002 02 40 20 c0   eth0\n\
                     20010db8000000000000000000000002 02 40 00 80   eth0\n";
        assert!(is_tentative_in(table, "fe80::2".parse().unwrap()));
        for other in ["2001:db8::2", "fe80::3", "::"] {
            assert!(!is_tentative_in(table, other.parse().unwrap()), "{other}");
        }
    }

    #[test]
    fn an_interface_that_is_not_there_has_no_address() {
        let address = HostAddress { ip: "fe80::1".parse().unwrap(), interface: Some("none0".to_owned()) };
        assert_eq!(resolve(&address, 1).unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
    }
}
