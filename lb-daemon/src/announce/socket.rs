//! A packet socket that sends whole frames, packet(7).

use std::io;

use socket2::{Domain, SockAddr, SockAddrStorage, Socket, Type};

use super::arp::{BROADCAST, ETHERTYPE_ARP};

/// Sends frames through any interface; receives none.
pub(crate) struct FrameSocket(Socket);

impl FrameSocket {
    /// Opens a socket in the network namespace of the calling thread.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`.
    pub(crate) fn open() -> io::Result<Self> {
        // Protocol 0: nothing is received, so nothing has to be read.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        Ok(Self(socket))
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When the interface is gone or down, or its queue is full.
    pub(crate) fn send(&self, ifindex: u32, frame: &[u8]) -> io::Result<()> {
        self.0.send_to(frame, &link_address(ifindex)?).map(drop)
    }
}

/// The `sockaddr_ll` of ARP with everyone behind an interface.
pub(crate) fn link_address(ifindex: u32) -> io::Result<SockAddr> {
    let mut storage = SockAddrStorage::zeroed();
    // SAFETY: `sockaddr_ll` is a socket address, plain integers, and no larger than the storage; all of its bytes have
    // been initialised.
    let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
    address.sll_family = libc::AF_PACKET as libc::sa_family_t;
    address.sll_protocol = ETHERTYPE_ARP.to_be();
    address.sll_ifindex = i32::try_from(ifindex).map_err(io::Error::other)?;
    address.sll_halen = BROADCAST.len() as u8;
    for (to, from) in address.sll_addr.iter_mut().zip(BROADCAST) {
        *to = from;
    }
    // SAFETY: the storage holds a `sockaddr_ll`, written above, and this is its length.
    Ok(unsafe { SockAddr::new(storage, size_of::<libc::sockaddr_ll>() as libc::socklen_t) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_becomes_an_address() {
        let address = link_address(7).unwrap();
        assert_eq!(i32::from(address.family()), libc::AF_PACKET);
        assert_eq!(address.len() as usize, size_of::<libc::sockaddr_ll>());
    }

    #[test]
    fn an_impossible_interface_is_refused() {
        assert!(link_address(u32::MAX).is_err());
    }
}
