//! The active router: it answers the peer that has connected, and tells it of every change.

use std::time::{Duration, Instant};

use tokio::sync::mpsc;

use super::{
    Roles, Router, SILENCE,
    accept::Caller,
    link::{Link, Lost},
    random,
    status::{Phase, Side},
};
use crate::{
    deadline::{self, now},
    ha::heartbeat::Position,
    sync::{
        sender::{Next, PACE, Sender},
        turns::{self, Turns},
        wire::Message,
    },
};

/// Steps in a row: some milliseconds of work at most, before others have their turn.
const STEPS: usize = 4;
/// Time for which it is remembered what the peer has heard, after the stream broke. A peer that comes back later gets a full
/// transfer.
const RESUME_WITHIN: Duration = Duration::from_secs(60);

/// Time for which the peer is told of changes after this router has given up its last role. Connections are made here until the data
/// plane is that of a standby, and a change is told within twice [`PACE`]; without this they would be lost with this router, which may be
/// switched off next.
pub(super) const LAST_WORDS: Duration = Duration::from_millis(500);

/// What the peer is told, and how.
#[derive(Default)]
struct Service {
    /// Remembers what the peer has heard: as large as the flow table, and made for the first caller.
    sender: Option<Sender>,
    link: Option<Link>,
    /// What the peer has heard of the schedules, and when to look again.
    turns: Turns,
    next_turns: Option<Instant>,
    /// When the peer was heard last.
    heard: Option<Instant>,
    /// When there is something to do.
    next: Option<Instant>,
    /// When what the peer has heard is forgotten, without a stream.
    forget: Option<Instant>,
}

/// Serves as long as this router is active for anything, and where the peer is connected a moment longer.
pub(super) async fn run(router: &Router, callers: &mut mpsc::Receiver<Caller>, roles: &mut Roles) {
    let mut service = Service::default();
    let mut segments = router.segments.clone();
    let mut told = segments.borrow_and_update().clone();
    service.publish(router);
    let mut end: Option<Instant> = None;
    loop {
        let is_ending = end.is_some();
        tokio::select! {
            biased;
            () = roles.until(|roles| roles.serves() == is_ending) => {
                end = (!is_ending).then(|| now() + LAST_WORDS);
            }
            () = deadline::reached(end) => break,
            Ok(()) = segments.changed() => {
                let now = segments.borrow_and_update().clone();
                if !told.tell_the_same(&now) {
                    service.begin_anew();
                }
                told = now;
            }
            Some(caller) = callers.recv() => service.welcome(router, caller),
            message = receive(&mut service.link) => service.heard(message),
            () = deadline::reached(service.next) => service.work(router).await,
        }
        if end.is_some() && service.link.is_none() {
            break;
        }
        service.publish(router);
    }
    router.shared.leave(Side::Serving);
}

impl Service {
    /// Answers a caller, who takes the place of the one before: the peer has noticed first that the stream was lost.
    fn welcome(&mut self, router: &Router, caller: Caller) {
        let (Ok(session), Ok(fresh)) = (random(), random()) else { return };
        let Caller { link, hello } = caller;
        if hello.incarnation == router.incarnation {
            tracing::warn!("connection sync: this router has connected to itself");
            return;
        }
        let table = router.table.as_ref();
        let half_open = router.settings.half_open;
        let sender = self
            .sender
            .get_or_insert_with(|| Sender::new(router.incarnation, session, half_open, table, now()));
        let welcome = sender.welcome(&hello, fresh, now());
        let resumed = welcome.session == hello.session;
        tracing::info!(resumed, "connection sync: the peer is connected");
        if link.send(Message::Welcome(welcome)).is_ok() {
            self.link = Some(link);
            self.heard = Some(now());
            self.next = Some(now());
            self.forget = None;
            self.turns = Turns::default();
            self.next_turns = Some(now());
        }
    }

    fn heard(&mut self, message: Result<Message, Lost>) {
        self.heard = Some(now());
        let outcome = message.and_then(|message| match (message, &mut self.sender) {
            (Message::Ack(position), Some(sender)) => {
                sender.acknowledge(position).map_err(|error| Lost::Protocol(error.to_string()))
            }
            _ => Err(Lost::Protocol("the peer sends what only the active router sends".to_owned())),
        });
        match outcome {
            // There may be room for more.
            Ok(()) => self.next = Some(now()),
            Err(lost) => self.lose(&lost),
        }
    }

    /// Another part of the table is to be told of: the peer, which comes back at once, gets a full transfer of that.
    fn begin_anew(&mut self) {
        self.sender = None;
        self.link = None;
        self.next = None;
        self.forget = None;
    }

    /// Looks for changes and tells of them; without a peer, for a while, only what it would have to be told.
    async fn work(&mut self, router: &Router) {
        let silent = self.heard.map_or(SILENCE, |heard| now().saturating_duration_since(heard));
        if self.link.is_none() && self.forget.is_none_or(|moment| moment <= now()) {
            self.begin_anew();
        } else if self.link.is_some() && silent >= SILENCE {
            self.lose(&Lost::Stuck);
        } else if let Err(lost) = self.tell_turns(router).and_then(|()| self.tell(router)) {
            self.lose(&lost);
        } else {
            // Others have their turn, however much there is to tell.
            tokio::task::yield_now().await;
        }
    }

    /// Tells of the schedules, once a second.
    fn tell_turns(&mut self, router: &Router) -> Result<(), Lost> {
        let Some(link) = self.link.as_ref().filter(|_| self.next_turns.is_some_and(|moment| moment <= now()))
        else {
            return Ok(());
        };
        self.next_turns = Some(now() + turns::PACE);
        let mut positions =
            router.schedules.positions().map_err(|error| Lost::Protocol(error.to_string()))?;
        positions.retain(|service, _| router.segments.borrow().are_told(service.address));
        self.turns.news(positions).into_iter().try_for_each(|part| link.send(Message::Turns(part)))
    }

    fn tell(&mut self, router: &Router) -> Result<(), Lost> {
        let Some(sender) = &mut self.sender else { return Ok(()) };
        let table = router.table.as_ref();
        let clock = table.clock().map_err(|error| Lost::Protocol(error.to_string()))?;
        let segments = router.segments.borrow().clone();
        self.next = Some(now());
        for _ in 0..STEPS {
            let next = sender.step(table, &clock, &segments, now());
            if let Some(link) = &self.link {
                std::iter::from_fn(|| sender.poll_transmit(now()))
                    .try_for_each(|batch| link.send(Message::Batch(batch)))?;
            }
            if let Next::At(moment) = next {
                self.next = Some(moment.max(now() + PACE / 10));
                return Ok(());
            }
        }
        Ok(())
    }

    fn lose(&mut self, lost: &Lost) {
        if self.link.take().is_some() {
            tracing::warn!("connection sync: the stream to the peer is lost: {lost}");
            self.forget = Some(now() + RESUME_WITHIN);
        }
        self.sender.iter_mut().for_each(Sender::lose);
        self.next = Some(now() + PACE);
    }

    fn publish(&mut self, router: &Router) {
        let progress = self.sender.as_mut().map(|sender| (sender.progress(), sender.take_sent()));
        let (progress, sent) = progress.unzip();
        let told = self.sender.as_ref().map_or(Position::NONE, Sender::position);
        router.shared.lock().totals.sent += sent.unwrap_or(0);
        let phase = match progress.filter(|_| self.link.is_some()) {
            Some(progress) => Phase::Sending(progress, told),
            None => Phase::Alone(told),
        };
        router.shared.enter(Side::Serving, phase);
    }
}

/// The next message of the peer; never, without one.
async fn receive(link: &mut Option<Link>) -> Result<Message, Lost> {
    match link {
        Some(link) => link.receive().await,
        None => std::future::pending().await,
    }
}
