//! Hears who claims addresses on an interface.

use std::{collections::BTreeSet, io, net::Ipv4Addr, time::Duration};

use socket2::{Domain, Socket, Type};
use tokio::{net::UdpSocket, sync::mpsc, time::sleep};

use super::{engine::Claim, filter};
use crate::{
    announce::{arp, socket::link_address},
    netlink::socket::Task,
};

/// Pause after what was there has been read, and frames that are read before one: a flood costs no more than that.
const PAUSE: Duration = Duration::from_millis(50);
const BATCH: usize = 64;

/// Pause after an error. The socket of an interface that is down has one, and hears again when it is up.
const PATIENCE: Duration = Duration::from_secs(1);

/// Listens until it is dropped.
#[derive(Debug)]
pub(super) struct Ear {
    pub(super) addresses: BTreeSet<Ipv4Addr>,
    _task: Task,
}

impl Ear {
    /// Listens for claims of these addresses on an interface.
    ///
    /// # Errors
    /// Without `CAP_NET_RAW`, and when the interface is gone.
    pub(super) fn open(
        ifindex: u32,
        addresses: BTreeSet<Ipv4Addr>,
        claims: mpsc::Sender<Claim>,
    ) -> io::Result<Self> {
        // Protocol 0 receives nothing: what comes before the filter stands must not be heard.
        let socket = Socket::new(Domain::PACKET, Type::RAW, None)?;
        socket.set_nonblocking(true)?;
        socket.attach_filter(&filter::claims_of(&addresses))?;
        socket.bind(&link_address(ifindex)?)?;
        // The runtime has a type for sockets of whole messages, which this is, and none for packet sockets.
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self { addresses, _task: Task::spawn(listen(ifindex, socket, claims)) })
    }
}

async fn listen(ifindex: u32, socket: UdpSocket, claims: mpsc::Sender<Claim>) {
    while socket.readable().await.is_ok() {
        let mut heard = BTreeSet::new();
        let mut pause = PAUSE;
        for _ in 0..BATCH {
            let mut frame = [0; arp::FRAME_LEN];
            match socket.try_recv(&mut frame) {
                Ok(length) => {
                    let sender = arp::sender(frame.get(..length).unwrap_or_default());
                    heard.extend(sender.map(|(address, mac)| Claim { ifindex, address, mac }));
                }
                Err(error) => {
                    if error.kind() != io::ErrorKind::WouldBlock {
                        pause = PATIENCE;
                    }
                    break;
                }
            }
        }
        for claim in heard {
            if claims.send(claim).await.is_err() {
                return;
            }
        }
        sleep(pause).await;
    }
}
