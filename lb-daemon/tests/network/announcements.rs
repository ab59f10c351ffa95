//! Gratuitous ARP as the other end of the wire sees it.

use std::{
    io::Read,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use lb_daemon::{
    announce::{
        self, Floating,
        arp::{Announcement, Form},
    },
    config::{Announce, AnnounceForm, Vip},
    datapath::{Datapath as _, memory::MemoryDatapath},
};
use nix::{
    net::if_::if_nametoindex,
    sys::socket::{setsockopt, sockopt::RcvBufForce},
};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::time::sleep;

use crate::lab::{self, Namespace};

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// Bytes that the ear can hold: a thousand frames with the kernel's own overhead.
const EAR_BUFFER: usize = 4 << 20;

/// Rounds before the refreshes, by default.
const BURSTS: usize = 12;

#[test]
fn a_burst_in_both_forms_then_refreshes_then_silence() {
    lab::with_peer_and_paused_clock(async |peer| {
        let mut ear = Ear::new(&peer);
        let announcer = announce::start(None);
        let address = Ipv4Addr::new(10, 77, 0, 100);
        announcer.active(Announce::default(), orders(&[address]));

        sleep(Duration::from_secs(8)).await;
        assert_eq!(ear.heard(address), (BURSTS, BURSTS), "the bursts");
        sleep(Duration::from_secs(60)).await;
        assert_eq!(ear.heard(address), (1, 1), "a refresh");
        announcer.active(Announce::default(), orders(&[address]));
        sleep(Duration::from_secs(8)).await;
        assert_eq!(ear.heard(address), (BURSTS, BURSTS), "the bursts again");
        announcer.standby();
        sleep(Duration::from_secs(600)).await;
        assert_eq!(ear.heard(address), (0, 0), "silence");
    });
}

#[test]
fn form_bursts_and_refreshes_are_as_they_are_set() {
    lab::with_peer_and_paused_clock(async |peer| {
        let mut ear = Ear::new(&peer);
        let announcer = announce::start(None);
        let address = Ipv4Addr::new(10, 77, 0, 100);
        let request = Announce { form: AnnounceForm::Request, repeats: 0, ..Announce::default() };
        announcer.active(request, orders(&[address]));
        sleep(Duration::from_secs(30)).await;
        assert_eq!(ear.heard(address), (3, 0), "one burst of requests");
        sleep(Duration::from_secs(60)).await;
        assert_eq!(ear.heard(address), (1, 0), "a refresh");
        let reply = Announce { form: AnnounceForm::Reply, burst: 5, refresh: None, ..Announce::default() };
        announcer.active(reply, orders(&[address]));
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(ear.heard(address), (0, 20), "four bursts of replies, and no refresh");
    });
}

#[test]
fn many_addresses_all_leave() {
    lab::with_peer_and_paused_clock(async |peer| {
        let mut ear = Ear::new(&peer);
        let announcer = announce::start(None);
        let addresses: Vec<Ipv4Addr> = (0..250).map(|host| Ipv4Addr::new(10, 78, 0, host)).collect();
        announcer.active(Announce::default(), orders(&addresses));
        sleep(Duration::from_millis(150)).await;
        announcer.standby();
        let frames = ear.frames();
        for address in addresses {
            assert_eq!(count(&frames, address), (1, 1), "{address}");
        }
    });
}

#[test]
fn an_interface_that_is_gone_silences_no_other() {
    lab::with_peer_and_paused_clock(async |peer| {
        let mut ear = Ear::new(&peer);
        let announcer = announce::start(None);
        let address = Ipv4Addr::new(10, 77, 0, 100);
        let gone = Vip { address: "10.79.0.1/32".parse().unwrap(), interface: "gone".to_owned() };
        let mut all = vec![Floating { vip: gone, ifindex: 9999, mac: MAC, lease: 0 }];
        all.extend(orders(&[address]));
        announcer.active(Announce::default(), all);
        sleep(Duration::from_secs(8)).await;
        assert_eq!(ear.heard(address), (BURSTS, BURSTS));
        let warnings = announcer.warnings();
        assert_eq!(warnings, ["gone: addresses are not announced: No such device or address (os error 6)"]);
        announcer.active(Announce::default(), orders(&[address]));
        assert_eq!(announcer.warnings(), [""; 0]);
    });
}

#[test]
fn nothing_leaves_after_the_announcer_is_dropped() {
    lab::with_peer_and_paused_clock(async |peer| {
        let mut ear = Ear::new(&peer);
        let announcer = announce::start(None);
        let address = Ipv4Addr::new(10, 77, 0, 100);
        announcer.active(Announce::default(), orders(&[address]));
        sleep(Duration::from_millis(50)).await;
        drop(announcer);
        sleep(Duration::from_secs(600)).await;
        assert_eq!(ear.heard(address), (1, 1));
    });
}

#[test]
fn without_a_lease_nothing_is_announced() {
    lab::with_peer_and_paused_clock(async |peer| {
        let mut ear = Ear::new(&peer);
        let datapath = MemoryDatapath::default();
        let announcer = announce::start(Some(datapath.lease()));
        let address = Ipv4Addr::new(10, 77, 0, 100);
        announcer.active(Announce::default(), orders(&[address]));
        sleep(Duration::from_secs(8)).await;
        assert_eq!(ear.heard(address), (0, 0));
        datapath.lease().set(0, Instant::now() + Duration::from_secs(3600));
        sleep(Duration::from_secs(8)).await;
        assert_eq!(ear.heard(address), (BURSTS, BURSTS), "all bursts, late");
        datapath.lease().release(0);
        sleep(Duration::from_secs(600)).await;
        assert_eq!(ear.heard(address), (0, 0), "a frozen router wakes up to a refresh");
    });
}

/// These addresses on `lan`, ready to announce.
fn orders(addresses: &[Ipv4Addr]) -> Vec<Floating> {
    let ifindex = if_nametoindex("lan").unwrap();
    let vip = |address: &Ipv4Addr| Vip { address: (*address).into(), interface: "lan".to_owned() };
    let here = |address| Floating { vip: vip(address), ifindex, mac: MAC, lease: 0 };
    addresses.iter().map(here).collect()
}

/// Hears ARP at the other end.
struct Ear(Socket);

impl Ear {
    fn new(peer: &Namespace) -> Self {
        // packet(7): the protocol is an EtherType in network order.
        let protocol = Protocol::from(i32::from(announce::arp::ETHERTYPE_ARP.to_be()));
        let socket = peer.run(move || Socket::new(Domain::PACKET, Type::RAW, Some(protocol)).unwrap());
        socket.set_nonblocking(true).unwrap();
        setsockopt(&socket, RcvBufForce, &EAR_BUFFER).unwrap();
        Self(socket)
    }

    /// All frames since the last call. A veth pair delivers within the sender's system call or in the soft interrupt
    /// that follows it; a short real pause covers the latter.
    fn frames(&mut self) -> Vec<Vec<u8>> {
        std::thread::sleep(Duration::from_millis(200));
        let mut frames = Vec::new();
        let mut buffer = [0; 2048];
        while let Ok(length) = self.0.read(&mut buffer) {
            frames.push(buffer[..length].to_vec());
        }
        frames
    }

    /// How often an address was announced since the last call, as a request and as a reply.
    fn heard(&mut self, address: Ipv4Addr) -> (usize, usize) {
        count(&self.frames(), address)
    }
}

fn count(frames: &[Vec<u8>], address: Ipv4Addr) -> (usize, usize) {
    let announcement = Announcement { address, mac: MAC };
    let of = |form| frames.iter().filter(|frame| frame.starts_with(&announcement.frame(form))).count();
    (of(Form::Request), of(Form::Reply))
}
