//! Frames as somebody hostile would send them, and as they pass: a packet socket on one interface.

use std::{
    os::fd::{AsRawFd, OwnedFd},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};
use nix::{
    net::if_::if_nametoindex,
    sys::{
        socket::{
            AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrLike, bind, recv,
            send, setsockopt, socket, sockopt,
        },
        time::{TimeVal, TimeValLike},
    },
};

use super::netns::Namespace;

/// Frames sent in one go. A veth queues 256 (`VETH_RING_SIZE` in drivers/net/veth.c) and loses the rest.
const BURST: usize = 32;
/// Time between two goes.
const GAP: Duration = Duration::from_millis(1);
/// Longest frame that is received.
const LONGEST: usize = 2048;

/// An interface, for reading and writing whole frames.
#[derive(Debug)]
pub struct Frames {
    socket: OwnedFd,
}

impl Frames {
    /// Opens `interface` of `namespace`.
    ///
    /// # Errors
    /// When there is no such interface, or without the right to.
    pub fn open(namespace: &Namespace, interface: &str) -> Result<Self> {
        namespace.enter(|| {
            let index = if_nametoindex(interface).with_context(|| format!("no interface {interface}"))?;
            let socket =
                socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
                    .context("cannot open a packet socket")?;
            setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(50))?;
            bind(socket.as_raw_fd(), &link(index)?).with_context(|| format!("cannot bind to {interface}"))?;
            Ok(Self { socket })
        })?
    }

    /// Sends every one of `frames`, at a rate that the queues on their way can take; fewer bytes than an Ethernet header
    /// are no frame.
    ///
    /// # Errors
    /// When the kernel refuses one.
    pub fn send<B: AsRef<[u8]>>(&self, frames: impl IntoIterator<Item = B>) -> Result<()> {
        for (number, frame) in (1..).zip(frames) {
            let frame = frame.as_ref();
            send(self.socket.as_raw_fd(), frame, MsgFlags::empty())
                .with_context(|| format!("cannot send a frame of {} bytes", frame.len()))?;
            if number % BURST == 0 {
                thread::sleep(GAP);
            }
        }
        Ok(())
    }

    /// The next `count` frames that `choose` makes something of.
    ///
    /// # Errors
    /// When they have not passed within `timeout`.
    pub fn receive<T>(
        &self,
        count: usize,
        timeout: Duration,
        choose: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Vec<T>> {
        let deadline = Instant::now() + timeout;
        let mut frame = [0; LONGEST];
        let mut chosen = Vec::new();
        while chosen.len() < count {
            if Instant::now() >= deadline {
                bail!("waited {timeout:?} in vain for {count} frames, {} have passed", chosen.len());
            }
            // No frame within the time-out is no error.
            let length = recv(self.socket.as_raw_fd(), &mut frame, MsgFlags::empty()).unwrap_or(0);
            chosen.extend(choose(&frame[..length]));
        }
        Ok(chosen)
    }
}

/// The address of an interface, for every protocol.
pub(super) fn link(index: u32) -> Result<LinkAddr> {
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        sll_protocol: (libc::ETH_P_ALL as u16).to_be(),
        sll_ifindex: index.cast_signed(),
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    let length = size_of_val(&address) as libc::socklen_t;
    // SAFETY: `address` is a whole `sockaddr_ll` of the length and the family that are given, and is copied.
    let link = unsafe { LinkAddr::from_raw((&raw const address).cast(), Some(length)) };
    link.context("a packet socket's address")
}
