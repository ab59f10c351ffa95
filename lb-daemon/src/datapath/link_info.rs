//! What XDP program an interface runs, asked by routing netlink (`IFLA_XDP` of `include/uapi/linux/if_link.h`).
//!
//! A request and its one answer, without a runtime: the interface must be looked up in the network namespace of the
//! calling thread, in which the program is attached too.

use std::{io, os::fd::AsRawFd as _};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};

// include/uapi/linux/netlink.h and rtnetlink.h.
const NLM_F_REQUEST: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const NLMSG_HEADER: usize = 16;
const IFINFOMSG: usize = 16;
const NLA_TYPE_MASK: u16 = 0x3fff;
// include/uapi/linux/if_link.h.
const IFLA_XDP: u16 = 43;
const IFLA_XDP_ATTACHED: u16 = 2;
const IFLA_XDP_PROG_ID: u16 = 4;
const XDP_ATTACHED_DRV: u8 = 1;
const XDP_ATTACHED_SKB: u8 = 2;

/// The XDP program of an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attached {
    /// `"native"` or `"generic"`; `None` without a program, and for the modes that this daemon never uses.
    pub(super) mode: Option<&'static str>,
    /// Its id; `None` without a program.
    pub(super) program: Option<u32>,
}

/// What the interface `ifindex` runs.
///
/// # Errors
/// What the kernel says: `ENODEV` when there is no such interface.
pub(super) fn attached(ifindex: u32) -> io::Result<Attached> {
    let socket =
        socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute)?;
    send(socket.as_raw_fd(), &request(ifindex), MsgFlags::empty())?;
    // A link's description takes some two kilobytes, more with many virtual functions.
    let mut buffer = vec![0; 1 << 16];
    let length = recv(socket.as_raw_fd(), &mut buffer, MsgFlags::empty())?;
    answer(buffer.get(..length).unwrap_or_default())
}

/// `RTM_GETLINK` for one interface.
fn request(ifindex: u32) -> Vec<u8> {
    let mut message = Vec::with_capacity(NLMSG_HEADER + IFINFOMSG);
    message.extend((NLMSG_HEADER as u32 + IFINFOMSG as u32).to_ne_bytes());
    message.extend(RTM_GETLINK.to_ne_bytes());
    message.extend(NLM_F_REQUEST.to_ne_bytes());
    // Sequence number and port.
    message.extend([0; 8]);
    // Family and type of `struct ifinfomsg`.
    message.extend([0; 4]);
    message.extend(ifindex.to_ne_bytes());
    // Its flags and change mask.
    message.extend([0; 8]);
    message
}

/// The program in the kernel's answer.
fn answer(message: &[u8]) -> io::Result<Attached> {
    let malformed = || io::Error::from(io::ErrorKind::InvalidData);
    let kind = field::<2>(message, 4).map(u16::from_ne_bytes).ok_or_else(malformed)?;
    match kind {
        RTM_NEWLINK => Ok(program(message.get(NLMSG_HEADER + IFINFOMSG..).ok_or_else(malformed)?)),
        NLMSG_ERROR => {
            let code = field::<4>(message, NLMSG_HEADER).map(i32::from_ne_bytes).ok_or_else(malformed)?;
            Err(io::Error::from_raw_os_error(code.saturating_neg()))
        }
        _ => Err(malformed()),
    }
}

/// The program in the attributes of a link.
fn program(link: &[u8]) -> Attached {
    let mut found = Attached::default();
    let Some((_, xdp)) = Attributes(link).find(|(kind, _)| *kind == IFLA_XDP) else { return found };
    for (kind, value) in Attributes(xdp) {
        match kind {
            IFLA_XDP_ATTACHED => {
                found.mode = match value.first() {
                    Some(&XDP_ATTACHED_DRV) => Some("native"),
                    Some(&XDP_ATTACHED_SKB) => Some("generic"),
                    _ => None,
                }
            }
            IFLA_XDP_PROG_ID => found.program = field::<4>(value, 0).map(u32::from_ne_bytes),
            _ => {}
        }
    }
    found
}

/// `N` bytes of a message from `offset` on; `None` past its end.
fn field<const N: usize>(message: &[u8], offset: usize) -> Option<[u8; N]> {
    message.get(offset..)?.first_chunk().copied()
}

/// The attributes in a message: type and value. It ends at the first one that makes no sense.
struct Attributes<'a>(&'a [u8]);

impl<'a> Iterator for Attributes<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let length = usize::from(u16::from_ne_bytes(field(self.0, 0)?));
        let kind = u16::from_ne_bytes(field(self.0, 2)?) & NLA_TYPE_MASK;
        let value = self.0.get(4..length)?;
        self.0 = self.0.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, value))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_native_program() {
        let inner = [attribute(IFLA_XDP_ATTACHED, &[1]), attribute(IFLA_XDP_PROG_ID, &42_u32.to_ne_bytes())];
        let link = [attribute(3, b"eth0\0"), attribute(IFLA_XDP | 0x8000, &inner.concat())].concat();
        let found = answer(&message(RTM_NEWLINK, &[&[0; IFINFOMSG], &link[..]].concat())).unwrap();
        assert_eq!(found, Attached { mode: Some("native"), program: Some(42) });
    }

    #[test]
    fn no_program() {
        let inner = attribute(IFLA_XDP_ATTACHED, &[0]);
        let link = [&[0; IFINFOMSG][..], &attribute(IFLA_XDP, &inner)].concat();
        assert_eq!(answer(&message(RTM_NEWLINK, &link)).unwrap(), Attached::default());
    }

    #[test]
    fn an_error_is_its_number() {
        let error = answer(&message(NLMSG_ERROR, &(-libc::ENODEV).to_ne_bytes())).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }

    #[test]
    fn the_loopback_interface_runs_nothing_and_no_interface_is_an_error() {
        assert_eq!(attached(1).unwrap(), Attached::default());
        assert_eq!(attached(i32::MAX as u32).unwrap_err().raw_os_error(), Some(libc::ENODEV));
    }

    proptest! {
        #[test]
        fn any_answer_is_read_without_a_panic(message in prop::collection::vec(any::<u8>(), 0..128)) {
            let _any_result = answer(&message);
            prop_assert!(Attributes(&message).count() <= message.len() / 4);
        }
    }

    fn message(kind: u16, body: &[u8]) -> Vec<u8> {
        let mut message = (NLMSG_HEADER as u32 + body.len() as u32).to_ne_bytes().to_vec();
        message.extend(kind.to_ne_bytes());
        message.extend([0; 10]);
        message.extend(body);
        message
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut attribute = (4 + value.len() as u16).to_ne_bytes().to_vec();
        attribute.extend(kind.to_ne_bytes());
        attribute.extend(value);
        attribute.resize(attribute.len().next_multiple_of(4), 0);
        attribute
    }
}
