//! How long virtual services were silent towards a client that asks all the time, by the kernel's own clock: what a user
//! would feel of an outage.
//!
//! Both directions of the client's interface are watched, for two kinds of questions. On **established** connections it is a
//! segment with bytes, and the answer one that acknowledges bytes which nobody has acknowledged yet: it could not come unless
//! both directions worked. On **new** ones it is a SYN, and the answer a SYN-ACK. Servers' kernels give both, so that a
//! server's process may be late. **Silence** is the time from the first question after an answer to the next answer, whoever
//! gets it: a client that asks nothing for a while is no outage. Its resolution is the time between two questions.

use std::{
    collections::BTreeMap,
    io::IoSliceMut,
    net::Ipv4Addr,
    os::fd::{AsRawFd, OwnedFd},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use anyhow::{Context, Result};
use etherparse::{LaxNetSlice, LaxSlicedPacket, TransportSlice};
use nix::{
    cmsg_space,
    net::if_::if_nametoindex,
    sys::{
        socket::{
            AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockProtocol, SockType, bind, recvmsg,
            setsockopt, socket, sockopt,
        },
        time::{TimeSpec, TimeVal, TimeValLike},
    },
};

use super::{frames, netns::Namespace};

/// Bytes kept of a frame: every header that is looked at.
const SNAP: usize = 96;
/// Bytes of frames that may wait to be read.
const BACKLOG: usize = 16 << 20;

/// On what kind of connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// On one that stood before.
    Established,
    /// On one that begins.
    New,
}

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Question,
    Answer,
}

/// What was seen: when, and with which virtual address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sight {
    at: SystemTime,
    kind: Kind,
    address: Ipv4Addr,
    way: Way,
}

/// A running watch. Dropping it ends it.
#[derive(Debug)]
pub struct Silences {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    seen: Mutex<Vec<Sight>>,
    stop: AtomicBool,
}

impl Silences {
    /// Watches `interface` of the client. The connections of the service at port `asked` are those that stand, and any
    /// other may begin.
    ///
    /// # Errors
    /// When there is no such interface, or without the right to watch it.
    pub fn watch(client: &Namespace, interface: &str, asked: u16) -> Result<Self> {
        let socket = client.enter(|| open(interface))??;
        let shared = Arc::new(Shared::default());
        let inside = Arc::clone(&shared);
        let thread = thread::Builder::new().name("silences".into()).spawn(move || {
            watch(&socket, asked, &inside);
        })?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The longest silence of `address` that lay between `from` and `to`, in part at least.
    pub fn longest(&self, kind: Kind, address: Ipv4Addr, from: SystemTime, to: SystemTime) -> Duration {
        let seen = self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let ours = seen.iter().filter(|sight| (sight.kind, sight.address) == (kind, address));
        longest(ours.map(|sight| (sight.at, sight.way)), from, to)
    }
}

impl Drop for Silences {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            eprintln!("the watch of arrivals panicked");
        }
    }
}

/// A packet socket on the interface whose frames come with the time at which the kernel had them.
fn open(interface: &str) -> Result<OwnedFd> {
    let index = if_nametoindex(interface).with_context(|| format!("no interface {interface}"))?;
    let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::EthAll)
        .context("cannot open a packet socket")?;
    setsockopt(&socket, sockopt::RcvBufForce, &BACKLOG)?;
    setsockopt(&socket, sockopt::ReceiveTimestampns, &true)?;
    setsockopt(&socket, sockopt::ReceiveTimeout, &TimeVal::milliseconds(50))?;
    bind(socket.as_raw_fd(), &frames::link(index)?).with_context(|| format!("cannot bind to {interface}"))?;
    Ok(socket)
}

fn watch(socket: &OwnedFd, asked: u16, shared: &Shared) {
    let (mut frame, mut control) = ([0; SNAP], cmsg_space!(TimeSpec));
    let mut looker = Looker { asked, acknowledged: BTreeMap::new() };
    while !shared.stop.load(Ordering::Relaxed) {
        let mut parts = [IoSliceMut::new(&mut frame)];
        // No frame within the time-out is no error.
        let received = recvmsg::<()>(socket.as_raw_fd(), &mut parts, Some(&mut control), MsgFlags::empty());
        let Some((length, at)) = received.ok().and_then(|message| {
            let stamp = message.cmsgs().ok()?.find_map(|one| match one {
                ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
                _ => None,
            });
            Some((message.bytes, SystemTime::UNIX_EPOCH + Duration::from(stamp?)))
        }) else {
            continue;
        };
        if let Some((kind, address, way)) = looker.look(&frame[..length]) {
            let sight = Sight { at, kind, address, way };
            shared.seen.lock().unwrap_or_else(PoisonError::into_inner).push(sight);
        }
    }
}

/// Tells what is worth noting.
struct Looker {
    asked: u16,
    /// The acknowledgement that came last, by virtual address and the client's port.
    acknowledged: BTreeMap<(Ipv4Addr, u16), u32>,
}

impl Looker {
    fn look(&mut self, frame: &[u8]) -> Option<(Kind, Ipv4Addr, Way)> {
        let packet = LaxSlicedPacket::from_ethernet(frame).ok()?;
        let (Some(LaxNetSlice::Ipv4(ip)), Some(TransportSlice::Tcp(tcp))) = (packet.net, packet.transport)
        else {
            return None;
        };
        let ip = ip.header();
        let (from, to) = (ip.source_addr(), ip.destination_addr());
        if tcp.syn() {
            return Some(match tcp.ack() {
                true => (Kind::New, from, Way::Answer),
                false => (Kind::New, to, Way::Question),
            });
        }
        let headers = 4 * (u16::from(ip.ihl()) + u16::from(tcp.data_offset()));
        if tcp.destination_port() == self.asked && ip.total_len() > headers {
            return Some((Kind::Established, to, Way::Question));
        }
        if tcp.source_port() != self.asked || !tcp.ack() {
            return None;
        }
        let acknowledged = tcp.acknowledgment_number();
        let last = self.acknowledged.insert((from, tcp.destination_port()), acknowledged);
        // The space of sequence numbers is a circle (RFC 9293 section 3.4).
        let is_new = last.is_none_or(|last| acknowledged.wrapping_sub(last).cast_signed() > 0);
        is_new.then_some((Kind::Established, from, Way::Answer))
    }
}

/// The longest silence among `sights`, which are in order, that lies between `from` and `to` in part at least. One that has
/// not ended by `to` is taken to end then.
fn longest(sights: impl Iterator<Item = (SystemTime, Way)>, from: SystemTime, to: SystemTime) -> Duration {
    let (mut longest, mut asked) = (Duration::ZERO, None);
    // A clock that was set back meanwhile makes no silence.
    let since = |asked: Option<SystemTime>, at: SystemTime| {
        asked.map_or(Duration::ZERO, |asked| at.duration_since(asked).unwrap_or_default())
    };
    for (at, way) in sights.take_while(|(at, _)| *at <= to) {
        match way {
            Way::Question => asked = asked.or(Some(at)),
            Way::Answer if at < from => asked = None,
            Way::Answer => longest = longest.max(since(asked.take(), at)),
        }
    }
    longest.max(since(asked, to))
}

#[cfg(test)]
mod tests {
    use etherparse::{PacketBuilder, PacketBuilderStep, TcpHeader};

    use super::*;

    const ASKED: u16 = 7000;
    const VIP: [u8; 4] = [192, 0, 2, 10];
    const CLIENT: [u8; 4] = [192, 0, 2, 100];

    #[test]
    fn silence_begins_with_a_question_and_ends_with_an_answer() {
        let at = |ms| SystemTime::UNIX_EPOCH + Duration::from_millis(ms);
        let silence = |sights: &[(u64, Way)], from, to| {
            longest(sights.iter().map(|(ms, way)| (at(*ms), *way)), at(from), at(to)).as_millis()
        };
        let (q, a) = (Way::Question, Way::Answer);
        let sights = [(0, q), (90, a), (100, q), (101, a), (110, q), (120, q), (160, a), (400, a), (900, q)];
        assert_eq!(silence(&sights, 95, 800), 50, "the first question counts, and nobody asked after 160");
        assert_eq!(silence(&sights, 50, 105), 90, "one that had begun before");
        assert_eq!(silence(&sights, 300, 1500), 600, "one that has not ended");
        assert_eq!(silence(&[], 0, 500), 0);
    }

    #[test]
    fn questions_are_told_from_answers_and_both_from_what_says_nothing_new() {
        let mut looker = Looker { asked: ASKED, acknowledged: BTreeMap::new() };
        let mut look = |frame: &[u8]| {
            looker.look(frame).map(|(kind, address, way)| {
                assert_eq!(address, Ipv4Addr::from(VIP));
                (kind, way)
            })
        };
        let answer = Some((Kind::Established, Way::Answer));
        // Around the end of the space of sequence numbers.
        assert_eq!(look(&answered(ASKED, u32::MAX - 7)), answer);
        assert_eq!(look(&answered(ASKED, u32::MAX - 7)), None, "sent again");
        assert_eq!(look(&answered(ASKED, 8)), answer);
        assert_eq!(look(&answered(80, 16)), None, "another service");
        assert_eq!(look(&asking(ASKED, &[1], |tcp| tcp.ack(1))), Some((Kind::Established, Way::Question)));
        assert_eq!(look(&asking(ASKED, &[], |tcp| tcp.ack(1))), None, "an acknowledgement");
        assert_eq!(
            look(&asking(80, &[], PacketBuilderStep::<TcpHeader>::syn)),
            Some((Kind::New, Way::Question))
        );
        let accepted = segment(VIP, CLIENT, (80, 40000), &[], |tcp| tcp.syn().ack(1));
        assert_eq!(look(&accepted), Some((Kind::New, Way::Answer)));
        assert_eq!(look(&[0xff; 40]), None);
    }

    type Tcp = PacketBuilderStep<TcpHeader>;

    fn answered(port: u16, acknowledged: u32) -> Vec<u8> {
        segment(VIP, CLIENT, (port, 40000), &[], |tcp| tcp.ack(acknowledged))
    }

    fn asking(port: u16, bytes: &[u8], flags: impl FnOnce(Tcp) -> Tcp) -> Vec<u8> {
        segment(CLIENT, VIP, (40000, port), bytes, flags)
    }

    fn segment(
        from: [u8; 4],
        to: [u8; 4],
        ports: (u16, u16),
        bytes: &[u8],
        flags: impl FnOnce(Tcp) -> Tcp,
    ) -> Vec<u8> {
        let tcp = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4(from, to, 64)
            .tcp(ports.0, ports.1, 1, 65535);
        let mut frame = Vec::new();
        flags(tcp).write(&mut frame, bytes).unwrap();
        frame
    }
}
