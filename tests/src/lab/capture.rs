//! What passes a port of the switch: new connections and ARP, each with its time.
//!
//! The product's XDP program takes packets before anything on the router could see them; the switch sees them all.

use std::{
    net::{Ipv4Addr, SocketAddrV4},
    os::fd::{AsRawFd, OwnedFd},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::Instant,
};

use anyhow::{Context, Result};
use etherparse::{ArpOperation, LaxNetSlice, LaxSlicedPacket, TransportSlice};
use nix::{
    net::if_::if_nametoindex,
    sys::{
        socket::{
            AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, recvfrom, setsockopt, socket, sockopt,
        },
        time::{TimeVal, TimeValLike},
    },
};

use super::netns::Namespace;

/// Bytes kept of a frame: every header that is looked at.
const SNAP: usize = 128;
/// Bytes of frames that may wait to be read.
const BACKLOG: usize = 8 << 20;

/// Something seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// The first packet of a connection.
    Syn {
        /// Client.
        source: SocketAddrV4,
        /// Service or server.
        destination: SocketAddrV4,
        /// The station that it was sent to.
        to: [u8; 6],
    },
    /// An ARP packet that announces its sender: sender and target address are the same (RFC 5227 section 3).
    Announcement {
        /// The address announced.
        address: Ipv4Addr,
        /// Where it is now.
        mac: [u8; 6],
    },
    /// An ARP packet that answers a question for its sender's address.
    Answer {
        /// The address asked for.
        address: Ipv4Addr,
        /// Where it is said to be.
        mac: [u8; 6],
    },
}

/// A running capture. Dropping it ends it.
#[derive(Debug)]
pub struct Capture {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Vec<(Instant, Sight)>>,
    stop: AtomicBool,
}

impl Capture {
    /// Watches `interface` of `namespace`, both directions. When this returns, it is watching.
    ///
    /// # Errors
    /// When there is no such interface, or without the right to watch it.
    pub fn start(namespace: &Namespace, interface: &str) -> Result<Self> {
        let shared = Arc::new(Shared::default());
        let (socket, index) = namespace.enter(|| open(interface))??;
        let inside = Arc::clone(&shared);
        let (ready, started) = mpsc::channel();
        let thread = thread::Builder::new().name("capture".into()).spawn(move || {
            // The receiver waits for this and nothing else.
            let _ = ready.send(());
            watch(&socket, index, &inside);
        })?;
        started.recv().context("the capture ended at once")?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// Everything seen so far, in order.
    pub fn seen(&self) -> Vec<(Instant, Sight)> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Connections to `destination` that the station `mac` was given so far: when, and from which port of the client.
    /// A repeated SYN counts again.
    pub fn connections(&self, destination: SocketAddrV4, mac: [u8; 6]) -> Vec<(Instant, u16)> {
        let ports = self.seen().into_iter().filter_map(|(at, sight)| match sight {
            Sight::Syn { source, destination: meant, to } if (meant, to) == (destination, mac) => {
                Some((at, source.port()))
            }
            Sight::Syn { .. } | Sight::Announcement { .. } | Sight::Answer { .. } => None,
        });
        ports.collect()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("the capture panicked");
        }
    }
}

/// A packet socket for every frame of the namespace, and the index of the interface that is meant: a socket bound to
/// one protocol would not see what leaves.
fn open(interface: &str) -> Result<(OwnedFd, usize)> {
    let index = if_nametoindex(interface).with_context(|| format!("no interface {interface}"))?;
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
        .context("cannot open a packet socket")?;
    setsockopt(&socket, sockopt::RcvBufForce, &BACKLOG)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(50))?;
    Ok((socket, index as usize))
}

fn watch(socket: &OwnedFd, index: usize, shared: &Shared) {
    let mut frame = [0; SNAP];
    while !shared.stop.load(Ordering::Relaxed) {
        // No frame within the time-out is no error, and neither is an interface that went down.
        let Ok((length, Some(from))) = recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut frame) else { continue };
        if from.ifindex() == index
            && let Some(sight) = look(&frame[..length])
        {
            shared.seen.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), sight));
        }
    }
}

/// What a frame, cut or whole, is worth noting for.
fn look(frame: &[u8]) -> Option<Sight> {
    let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
    let to = *frame.first_chunk()?;
    match (packet.net?, packet.transport) {
        (LaxNetSlice::Arp(arp), _) => {
            let about_itself = arp.sender_protocol_addr() == arp.target_protocol_addr();
            let address = <[u8; 4]>::try_from(arp.sender_protocol_addr()).ok()?.into();
            let mac = arp.sender_hw_addr().try_into().ok()?;
            match arp.operation() {
                ArpOperation::REQUEST | ArpOperation::REPLY if about_itself => {
                    Some(Sight::Announcement { address, mac })
                }
                ArpOperation::REPLY => Some(Sight::Answer { address, mac }),
                _ => None,
            }
        }
        (LaxNetSlice::Ipv4(ip), Some(TransportSlice::Tcp(tcp))) if tcp.syn() && !tcp.ack() => {
            Some(Sight::Syn {
                source: SocketAddrV4::new(ip.header().source_addr(), tcp.source_port()),
                destination: SocketAddrV4::new(ip.header().destination_addr(), tcp.destination_port()),
                to,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use etherparse::PacketBuilder;

    use super::*;

    #[test]
    fn a_syn_is_seen_and_other_segments_are_not() {
        let source = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 100), 40000);
        let destination = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 10), 80);
        assert_eq!(
            look(&segment(|tcp| tcp.syn())),
            Some(Sight::Syn { source, destination, to: [2, 0, 0, 0, 0, 2] })
        );
        assert_eq!(look(&segment(|tcp| tcp.syn().ack(1))), None);
        assert_eq!(look(&segment(|tcp| tcp.ack(1))), None);
    }

    #[test]
    fn announcements_and_answers_are_seen_and_questions_are_not() {
        let address = Ipv4Addr::new(192, 0, 2, 10);
        let (mac, asker) = ([2, 0, 0, 0, 0, 1], Ipv4Addr::new(192, 0, 2, 1));
        for operation in [ArpOperation::REQUEST, ArpOperation::REPLY] {
            assert_eq!(look(&arp(operation, address, address)), Some(Sight::Announcement { address, mac }));
        }
        assert_eq!(look(&arp(ArpOperation::REQUEST, address, asker)), None);
        assert_eq!(look(&arp(ArpOperation::REPLY, address, asker)), Some(Sight::Answer { address, mac }));
    }

    #[test]
    fn noise_is_nothing() {
        for length in 0..60 {
            assert_eq!(look(&vec![0xff; length]), None);
        }
    }

    type Tcp = etherparse::PacketBuilderStep<etherparse::TcpHeader>;

    fn segment(flags: impl FnOnce(Tcp) -> Tcp) -> Vec<u8> {
        let tcp = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4([192, 0, 2, 100], [192, 0, 2, 10], 64)
            .tcp(40000, 80, 1, 65535);
        let mut frame = Vec::new();
        flags(tcp).write(&mut frame, &[]).unwrap();
        frame
    }

    fn arp(operation: ArpOperation, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
        let packet = etherparse::ArpEthIpv4Packet {
            operation,
            sender_mac: [2, 0, 0, 0, 0, 1],
            sender_ipv4: sender.octets(),
            target_mac: [0; 6],
            target_ipv4: target.octets(),
        };
        let mut frame = Vec::new();
        PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [0xff; 6]).arp(packet.into()).write(&mut frame).unwrap();
        frame
    }
}
