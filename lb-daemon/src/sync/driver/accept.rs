//! The door: who may speak to the active router.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{GREETING, Shared, link::Link, status::Rejected};
use crate::{
    config::HeartbeatPath,
    endpoint,
    sync::{
        secure::{Error, Psk, Psks, respond},
        wire::{Message, Place},
    },
};

/// Handshakes under way on one path at most.
const HANDSHAKES: usize = 4;
/// Pause after a failure to accept, which is one of this machine: too many open files.
const PAUSE: Duration = Duration::from_millis(200);
/// Time between two looks at the interface of a link-local path.
const LOOK: Duration = Duration::from_secs(1);

/// What the door of a path needs.
#[derive(Clone)]
pub(super) struct Entrance {
    /// Its remote end is the only address that is let in.
    pub(super) path: HeartbeatPath,
    pub(super) keys: watch::Receiver<Psks>,
    pub(super) shared: Arc<Shared>,
}

/// The peer, proven and alive, and what it has.
pub(super) struct Caller {
    pub(super) link: Link,
    pub(super) hello: Place,
}

/// Lets callers in.
pub(super) async fn run(mut listener: TcpListener, entrance: Entrance, callers: mpsc::Sender<Caller>) {
    let permits = Arc::new(Semaphore::new(HANDSHAKES));
    // Ends the handshakes with this task.
    let mut handshakes = JoinSet::new();
    loop {
        while handshakes.try_join_next().is_some() {}
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = sleep(LOOK), if entrance.path.local.interface.is_some() => {
                follow_interface(&mut listener, &entrance.path);
                continue;
            }
        };
        let Ok((stream, from)) = accepted else {
            sleep(PAUSE).await;
            continue;
        };
        if !entrance.is_for(from) {
            entrance.shared.lock().reject(Rejected::Stranger);
            continue;
        }
        match Arc::clone(&permits).try_acquire_owned() {
            Ok(permit) => {
                handshakes.spawn(greet(stream, entrance.clone(), callers.clone(), permit));
            }
            Err(_) => drop(entrance.shared.lock().reject(Rejected::Busy)),
        }
    }
}

/// Listens anew when the interface of a link-local path was made anew: the old listener stays bound to a number that is gone.
fn follow_interface(listener: &mut TcpListener, path: &HeartbeatPath) {
    let Ok(before) = listener.local_addr() else { return };
    let now = endpoint::resolve(&path.local, before.port()).ok().filter(|now| *now != before);
    // Where the address is not there yet, the next look will do.
    if let Some(Ok(anew)) = now.map(|now| endpoint::listen(now).and_then(TcpListener::from_std)) {
        *listener = anew;
    }
}

impl Entrance {
    /// Whether a stream is from the other end of this path, and of the interface where that is link-local.
    fn is_for(&self, from: SocketAddr) -> bool {
        endpoint::resolve(&self.path.remote, from.port()).is_ok_and(|remote| remote == from)
    }
}

async fn greet(
    stream: TcpStream,
    entrance: Entrance,
    callers: mpsc::Sender<Caller>,
    _permit: OwnedSemaphorePermit,
) {
    let accepted = entrance.keys.borrow().accepted.clone();
    let cause = match timeout(GREETING, meet(stream, &accepted)).await {
        Ok(Ok(caller)) => {
            // Where a caller is waiting already, the next attempt will do.
            drop(callers.try_send(caller));
            return;
        }
        Ok(Err(error)) => Rejected::of(&error),
        Err(_) => Rejected::Timeout,
    };
    let total = entrance.shared.lock().reject(cause);
    if total.is_power_of_two() {
        tracing::warn!(from = %entrance.path.remote, cause = cause.name(), total, "connection sync: a stream was refused");
    }
}

/// The handshake and the greeting that proves the caller to be alive.
async fn meet(mut stream: TcpStream, accepted: &[Psk]) -> Result<Caller, Error> {
    stream.set_nodelay(true)?;
    let (sealer, mut opener) = respond(&mut stream, accepted).await?;
    let Message::Hello(hello) = opener.read(&mut stream).await? else {
        return Err(Error::Malformed(crate::sync::wire::Malformed));
    };
    Ok(Caller { link: Link::start(stream, sealer, opener), hello })
}
