//! Who else claims an address, as ARP on a real interface tells.

use std::{io::Write as _, net::Ipv4Addr, time::Duration};

use lb_daemon::{
    announce::arp::{self, Announcement, Form},
    conflict::{
        self, Conflict, Report, Watch, Who,
        watched::{Holder, Watched},
    },
    mac::Mac,
};
use nix::net::if_::if_nametoindex;
use socket2::{Domain, SockAddrStorage, Socket, Type};
use tokio::time::timeout;

use crate::lab::{self, Namespace};

const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 100);
const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];
const STRANGER: [u8; 6] = [2, 0, 0, 0, 0, 9];

/// Far more than any step takes.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_claim_is_heard_and_nothing_else_is() {
    lab::with_peer(async |peer| {
        let mut watch = watch(None);
        // Its socket is open once the order has been taken.
        tokio::time::sleep(Duration::from_millis(200)).await;
        let claim = |address, mac| Announcement { address, mac }.frame(Form::Reply);
        let other = Ipv4Addr::new(10, 77, 0, 99);
        let mut elsewhere = claim(VIP, [2, 0, 0, 0, 0, 8]);
        // A host's answer to another host, flooded by the switch.
        elsewhere[..6].copy_from_slice(&[2, 0, 0, 0, 0, 77]);
        for frame in [
            claim(other, STRANGER),
            arp::probe(VIP, STRANGER, arp::BROADCAST),
            elsewhere,
            claim(VIP, OWN),
            claim(VIP, STRANGER),
        ] {
            say(&peer, frame);
        }
        assert_eq!(next(&mut watch).await, Report::Found(conflict(STRANGER)));
        assert!(watch.reports.try_recv().is_err(), "the others were none");
        assert_eq!(watch.warnings(), [""; 0]);
    });
}

#[test]
fn who_answers_stays_and_who_does_not_is_gone() {
    lab::with_peer(async |peer| {
        peer.ip("address add 10.77.0.100/24 dev wire");
        let mac = peer.ip("-o link show dev wire");
        let mac = mac.split_once("link/ether ").unwrap().1.split(' ').next().unwrap().to_owned();
        let mut watch = watch(Some(Duration::from_secs(1)));
        let Report::Found(found) = next(&mut watch).await else { panic!("nothing was there before") };
        assert_eq!((found.address, found.mac.to_string(), &found.who), (VIP, mac, &Who::Stranger));
        assert!(timeout(Duration::from_secs(12), watch.reports.recv()).await.is_err(), "it answers");
        peer.ip("address flush dev wire");
        assert_eq!(next(&mut watch).await, Report::Over(found));
    });
}

#[test]
fn an_interface_that_cannot_be_listened_to_is_told_of() {
    lab::with_peer(async |_peer| {
        let watch = conflict::start(1);
        watch.watched[0].send_replace(Watched {
            addresses: [((9999, VIP), "gone".to_owned())].into(),
            ..Watched::default()
        });
        timeout(LONG, async {
            while watch.warnings().is_empty() {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .unwrap();
        let expected = "gone: address conflicts are not noticed: No such device (os error 19)";
        assert_eq!(watch.warnings(), [expected]);
    });
}

/// Watches the address on `lan` for an active router without a peer.
fn watch(probe: Option<Duration>) -> Watch {
    let watch = conflict::start(1);
    // Answers are sent there.
    lab::ip("link set dev lan address 02:00:00:00:00:01");
    let index = if_nametoindex("lan").unwrap();
    watch.watched[0].send_replace(Watched {
        addresses: [((index, VIP), "lan".to_owned())].into(),
        own: [(index, OWN)].into(),
        holder: Holder::Here,
        probe,
        ..Watched::default()
    });
    watch
}

async fn next(watch: &mut Watch) -> Report {
    timeout(LONG, watch.reports.recv()).await.expect("a report comes").unwrap()
}

fn conflict(mac: [u8; 6]) -> Conflict {
    Conflict { address: VIP, interface: "lan".to_owned(), mac: Mac(mac), who: Who::Stranger }
}

/// Sends a frame from the other end of the wire.
fn say(peer: &Namespace, frame: [u8; arp::FRAME_LEN]) {
    peer.run(move || {
        let mut socket = Socket::new(Domain::PACKET, Type::RAW, None).unwrap();
        let mut storage = SockAddrStorage::zeroed();
        // SAFETY: `sockaddr_ll` is a socket address, plain integers, and no larger than the storage.
        let address = unsafe { storage.view_as::<libc::sockaddr_ll>() };
        address.sll_family = u16::try_from(libc::AF_PACKET).unwrap();
        address.sll_ifindex = i32::try_from(if_nametoindex("wire").unwrap()).unwrap();
        // SAFETY: the storage holds a `sockaddr_ll`, written above, and this is its length.
        let address = unsafe {
            socket2::SockAddr::new(storage, u32::try_from(size_of::<libc::sockaddr_ll>()).unwrap())
        };
        socket.bind(&address).unwrap();
        socket.write_all(&frame).unwrap();
    });
}
