//! The door: who may speak to the active router.

use std::{net::Ipv4Addr, sync::Arc, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{GREETING, Shared, link::Link, status::Rejected};
use crate::sync::{
    secure::{Error, Psk, Psks, respond},
    wire::{Message, Place},
};

/// Handshakes under way on one path at most.
const HANDSHAKES: usize = 4;
/// Pause after a failure to accept, which is one of this machine: too many open files.
const PAUSE: Duration = Duration::from_millis(200);

/// What the door of a path needs.
#[derive(Clone)]
pub(super) struct Entrance {
    /// The only address that is let in.
    pub(super) remote: Ipv4Addr,
    pub(super) keys: watch::Receiver<Psks>,
    pub(super) shared: Arc<Shared>,
}

/// The peer, proven and alive, and what it has.
pub(super) struct Caller {
    pub(super) link: Link,
    pub(super) hello: Place,
}

/// Lets callers in.
pub(super) async fn run(listener: TcpListener, entrance: Entrance, callers: mpsc::Sender<Caller>) {
    let permits = Arc::new(Semaphore::new(HANDSHAKES));
    // Ends the handshakes with this task.
    let mut handshakes = JoinSet::new();
    loop {
        while handshakes.try_join_next().is_some() {}
        let Ok((stream, from)) = listener.accept().await else {
            sleep(PAUSE).await;
            continue;
        };
        if from.ip() != entrance.remote {
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
        tracing::warn!(from = %entrance.remote, cause = cause.name(), total, "connection sync: a stream was refused");
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
