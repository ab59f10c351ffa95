//! Asks one host for an echo (RFC 792, RFC 4443 section 4).
//!
//! Over a raw socket: the daemon has CAP_NET_RAW for gratuitous ARP, while the kernel gives unprivileged echo sockets only to
//! groups in `net.ipv4.ping_group_range`, which outside of systemd's hands are none.

use std::{
    io,
    net::{IpAddr, SocketAddr, SocketAddrV6},
    time::Duration,
};

use etherparse::{
    IcmpEchoHeader, Icmpv4Header, Icmpv4Slice, Icmpv4Type, Icmpv6Header, Icmpv6Slice, Icmpv6Type,
    Ipv4HeaderSlice,
};
use humantime::format_duration;
use nix::net::if_::if_nametoindex;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::{
    net::UdpSocket,
    time::{Instant, timeout_at},
};

use crate::config::HostAddress;

/// Bytes of an answer that are looked at: far more than a header and what was sent.
const ANSWER_MAX: usize = 512;

/// Why there was no echo.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The host did not answer in time.
    #[error("no echo within {}", format_duration(*.0))]
    NoEcho(Duration),
    /// The question could not be sent.
    #[error("cannot ask for an echo: {0}")]
    Ask(#[from] io::Error),
    /// The system gave no random number.
    #[error("cannot get a random number for an echo: {0}")]
    Random(#[from] getrandom::Error),
}

impl Failure {
    /// Whether nothing was asked, for want of the router's own resources: then nothing has been measured.
    #[must_use]
    pub fn is_local(&self) -> bool {
        match self {
            Self::NoEcho(_) => false,
            Self::Random(_) => true,
            Self::Ask(error) => matches!(
                error.raw_os_error(),
                Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM)
            ),
        }
    }
}

/// Asks `address` for an echo, from `interface` where one is named, and waits for it. Returns how long it took. Must be
/// called within a tokio runtime.
///
/// # Errors
/// When there is no echo within `timeout`.
pub async fn ping(
    address: &HostAddress,
    interface: Option<&str>,
    timeout: Duration,
) -> Result<Duration, Failure> {
    let start = Instant::now();
    let question = Question::new(address.ip)?;
    // The runtime has a type for datagram sockets, which this is, and none for raw ones.
    let socket = UdpSocket::from_std(open(address, interface)?.into())?;
    socket.send(&question.packet).await?;
    let answer = async {
        loop {
            let mut buffer = [0; ANSWER_MAX];
            let received = socket.recv(&mut buffer).await;
            // An error is a host or network that is not there, as a router in between says: the echo may come all the same.
            if let Ok(len) = received
                && question.is_answered_by(buffer.get(..len).unwrap_or_default())
            {
                return Ok(start.elapsed());
            }
        }
    };
    timeout_at(start + timeout, answer).await.unwrap_or(Err(Failure::NoEcho(timeout)))
}

/// A socket that sends to `address`, and hears nobody else.
fn open(address: &HostAddress, interface: Option<&str>) -> io::Result<Socket> {
    let (domain, protocol) = match address.ip {
        IpAddr::V4(_) => (Domain::IPV4, Protocol::ICMPV4),
        IpAddr::V6(_) => (Domain::IPV6, Protocol::ICMPV6),
    };
    let socket = Socket::new(domain, Type::RAW, Some(protocol))?;
    socket.set_nonblocking(true)?;
    socket.bind_device(interface.map(str::as_bytes))?;
    let to: SocketAddr = match address.ip {
        IpAddr::V4(ip) => (ip, 0).into(),
        IpAddr::V6(ip) => {
            let scope = address.interface.as_deref().map(if_nametoindex).transpose()?;
            SocketAddrV6::new(ip, 0, 0, scope.unwrap_or(0)).into()
        }
    };
    socket.connect(&to.into())?;
    Ok(socket)
}

/// An echo that is asked for, which nobody can answer without having been asked.
#[derive(Debug)]
struct Question {
    packet: Vec<u8>,
    echo: IcmpEchoHeader,
    payload: [u8; 8],
    ipv6: bool,
}

impl Question {
    fn new(to: IpAddr) -> Result<Self, getrandom::Error> {
        let payload = getrandom::u64()?.to_be_bytes();
        let echo = IcmpEchoHeader { id: u16::from_be_bytes([payload[0], payload[1]]), seq: 1 };
        let mut packet = match to {
            IpAddr::V4(_) => {
                Icmpv4Header::with_checksum(Icmpv4Type::EchoRequest(echo), &payload).to_bytes().to_vec()
            }
            // The kernel fills in the checksum (RFC 3542 section 3.1).
            IpAddr::V6(_) => Icmpv6Header::new(Icmpv6Type::EchoRequest(echo)).to_bytes().to_vec(),
        };
        packet.extend_from_slice(&payload);
        Ok(Self { packet, echo, payload, ipv6: to.is_ipv6() })
    }

    /// Whether `packet`, as a raw socket delivers it, is the echo: with its IP header, if it is IPv4.
    fn is_answered_by(&self, packet: &[u8]) -> bool {
        let answer = if self.ipv6 { echo_of_ipv6(packet) } else { echo_of_ipv4(packet) };
        answer.is_some_and(|(echo, payload)| echo == self.echo && payload == self.payload)
    }
}

fn echo_of_ipv4(packet: &[u8]) -> Option<(IcmpEchoHeader, &[u8])> {
    let header = Ipv4HeaderSlice::from_slice(packet).ok()?;
    let icmp = Icmpv4Slice::from_slice(packet.get(header.slice().len()..)?).ok()?;
    match icmp.icmp_type() {
        Icmpv4Type::EchoReply(echo) => Some((echo, icmp.payload())),
        _ => None,
    }
}

fn echo_of_ipv6(packet: &[u8]) -> Option<(IcmpEchoHeader, &[u8])> {
    let icmp = Icmpv6Slice::from_slice(packet).ok()?;
    match icmp.icmp_type() {
        Icmpv6Type::EchoReply(echo) => Some((echo, icmp.payload())),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
