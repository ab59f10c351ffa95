//! The standby router: it connects to the active one, and applies what it tells.

use std::{convert::Infallible, io, time::Duration};

use lb_common::ServiceKey;
use tokio::{
    net::{TcpSocket, TcpStream},
    task::yield_now,
    time::{Instant, MissedTickBehavior, interval, sleep, sleep_until, timeout},
};

use super::{
    GREETING, Roles, Router, SILENCE,
    link::{Link, Lost},
    serve::LAST_WORDS,
    status::{Phase, Side},
};
use crate::{
    config::HeartbeatPath,
    endpoint,
    ha::heartbeat::Position,
    sync::{
        receiver::Receiver,
        secure::{self, initiate},
        wire::{Batch, Message, Place},
    },
};

/// Time from one attempt to connect to the next.
const RETRY: Duration = Duration::from_millis(500);
/// Time from one look for real servers that have become known to the next.
const LOOK: Duration = Duration::from_secs(1);

/// Follows as long as this router is standby for anything, and where a stream stands until the peer has ended it.
pub(super) async fn run(router: &Router, roles: &mut Roles) {
    router.shared.enter(Side::Following, Phase::Connecting { detail: None, applied: Position::NONE });
    let follows = roles.clone();
    tokio::select! {
        biased;
        () = end(router, roles) => {}
        () = connect(router, &follows) => {}
    }
    router.shared.leave(Side::Following);
}

/// Waits until there is nothing more to hear: with the last role, or some time after it. A peer that has handed over tells what
/// happened last.
async fn end(router: &Router, roles: &mut Roles) {
    loop {
        roles.until(|roles| !roles.follows()).await;
        if !router.shared.lock().is_following() {
            return;
        }
        if timeout(LAST_WORDS * 2, roles.until(Roles::follows)).await.is_err() {
            return;
        }
    }
}

/// Goes from one path to the next, and follows where it can, as long as this router is standby.
async fn connect(router: &Router, roles: &Roles) {
    let mut receiver = Receiver::new(router.incarnation);
    let mut told = String::new();
    for path in router.paths.iter().cycle() {
        let Err(lost) = follow(router, path, &mut receiver).await;
        if !roles.follows() {
            return;
        }
        let lost = lost.to_string();
        if lost != told {
            tracing::info!(remote = %path.remote, "connection sync: no stream from the active router: {lost}");
        }
        let (detail, applied) = (Some(lost.clone()), receiver.applied());
        router.shared.enter(Side::Following, Phase::Connecting { detail, applied });
        told = lost;
        sleep(RETRY).await;
    }
}

/// Follows over one path, until the stream is lost.
async fn follow(router: &Router, path: &HeartbeatPath, receiver: &mut Receiver) -> Result<Infallible, Lost> {
    let table = router.table.as_ref();
    let (mut link, welcome) = meet(router, path, receiver.hello()).await?;
    receiver.welcome(&welcome, table).map_err(|violation| Lost::Protocol(violation.to_string()))?;
    tracing::info!(remote = %path.remote, "connection sync: connected to the active router");
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut silence = Instant::now() + SILENCE;
    let mut complete = false;
    loop {
        publish(router, receiver, &mut complete);
        tokio::select! {
            message = link.receive() => {
                match message? {
                    Message::Batch(batch) => {
                        apply(router, receiver, &batch).await?;
                        link.send(Message::Ack(batch.sequence))?;
                    }
                    Message::Turns(turns) => go_on(router, &turns)?,
                    Message::Hello(_) | Message::Welcome(_) | Message::Ack(_) => {
                        return Err(Lost::Protocol("the peer sends what only a standby router sends".to_owned()));
                    }
                }
                silence = Instant::now() + SILENCE;
            }
            _ = look.tick() => {
                if receiver.must_begin_anew(table) {
                    return Err(Lost::Protocol("real servers became known here, and their flows are missing".to_owned()));
                }
            }
            () = sleep_until(silence) => return Err(Lost::Stuck),
        }
    }
}

async fn apply(router: &Router, receiver: &mut Receiver, batch: &Batch) -> Result<(), Lost> {
    let table = router.table.as_ref();
    let segments = router.segments.borrow().clone();
    let clock = table.clock().map_err(|error| Lost::Protocol(error.to_string()))?;
    let applied = receiver.apply(batch, table, &clock, &segments);
    applied.map_err(|violation| Lost::Protocol(violation.to_string()))?;
    while receiver.clean(table, &segments) {
        // Others have their turn, however large the table is.
        yield_now().await;
    }
    Ok(())
}

/// Lets the schedules stand where those of the active router do.
fn go_on(router: &Router, turns: &[(ServiceKey, u64)]) -> Result<(), Lost> {
    let set = |(service, position): &(ServiceKey, u64)| router.schedules.set_position(service, *position);
    let is_heard = |(service, _): &&(ServiceKey, u64)| router.segments.borrow().are_heard(service.address);
    turns.iter().filter(is_heard).try_for_each(set).map_err(|error| Lost::Protocol(error.to_string()))
}

/// Connects and greets the active router; what it answers.
async fn meet(router: &Router, path: &HeartbeatPath, hello: Place) -> Result<(Link, Place), Lost> {
    let greeting = async {
        let mut stream = dial(path, router.settings.port).await.map_err(secure::Error::Io)?;
        let calling = router.keys.borrow().calling.clone();
        let (sealer, opener) = initiate(&mut stream, &calling).await?;
        let mut link = Link::start(stream, sealer, opener);
        link.send(Message::Hello(hello))?;
        match link.receive().await? {
            Message::Welcome(welcome) => Ok((link, welcome)),
            _ => Err(Lost::Protocol("the peer does not answer a greeting".to_owned())),
        }
    };
    timeout(GREETING, greeting).await.unwrap_or(Err(Lost::Stuck))
}

async fn dial(path: &HeartbeatPath, port: u16) -> io::Result<TcpStream> {
    let remote = endpoint::resolve(&path.remote, port)?;
    let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.bind(endpoint::resolve(&path.local, 0)?)?;
    let stream = socket.connect(remote).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn publish(router: &Router, receiver: &mut Receiver, complete: &mut bool) {
    router.shared.lock().totals.add(&receiver.take_counts());
    if receiver.is_complete() && !std::mem::replace(complete, true) {
        tracing::info!("connection sync: this router has every connection of the active one");
    }
    let (percent, complete, applied) = (receiver.percent(), receiver.is_complete(), receiver.applied());
    router.shared.enter(Side::Following, Phase::Receiving { percent, complete, applied });
}
