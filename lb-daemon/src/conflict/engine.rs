//! Who claims an address that is not his: the engine. It is told what is heard and what is known, and says whom to ask, what to
//! report and when that is over.
//!
//! ARP has no word for the end of a claim. So whoever has made one is asked for the address again and again, by a probe to him
//! alone; who does not answer any more is gone. An active router asks everyone besides, now and then: somebody who only answers
//! clients would not be heard otherwise.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    time::{Duration, Instant},
};

use super::{
    Conflict, Report, Who,
    watched::{Holder, Watched},
};
use crate::mac::Mac;

/// Time between two questions to whoever claims an address.
const ASK: Duration = Duration::from_secs(3);

/// Silence after which a claim is over: three questions without an answer.
const OVER: Duration = Duration::from_secs(10);

/// Time after becoming active in which the peer's claims do not count: it may be about to give the addresses away, and what it
/// said before is still on its way.
const HANDOVER: Duration = Duration::from_secs(3);

/// Time in which the peer must claim an address a second time, after it was asked. One claim may have been late.
const AGAIN: Duration = Duration::from_millis(500);

/// Time after which the MAC address that the peer announced from is no longer taken for its own.
const FORGET_PEER: Duration = Duration::from_secs(600);

/// A deadline this late was missed because the process stood still. What was not heard meanwhile says nothing.
const FROZEN: Duration = Duration::from_secs(2);

/// Claims that are followed at a time. A flood of made-up ones costs no more than that.
const CLAIMS_MAX: usize = 64;

/// Somebody has said, by ARP, that he has an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Claim {
    /// Index of the interface that it was heard on.
    pub ifindex: u32,
    /// The address.
    pub address: Ipv4Addr,
    /// Where it is said to be.
    pub mac: [u8; 6],
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Ask this one whether he still has the address.
    Ask(Claim),
    /// Ask everyone on an interface, by its index, who has an address.
    AskAll(u32, Ipv4Addr),
    /// Tell.
    Report(Report),
}

/// See the module.
#[derive(Debug)]
pub struct Engine {
    watched: Watched,
    active_since: Option<Instant>,
    claims: BTreeMap<Claim, State>,
    /// Where the peer announces from, by interface index, as learned while it was the one to do so; and when that was heard last.
    learned: BTreeMap<u32, ([u8; 6], Instant)>,
    ask_all: Option<Instant>,
}

/// A claim that counts.
#[derive(Clone, Debug)]
struct State {
    conflict: Conflict,
    first: Instant,
    last: Instant,
    ask: Instant,
    reported: bool,
}

impl Engine {
    /// One that watches nothing yet.
    pub fn new() -> Self {
        Self {
            watched: Watched::default(),
            active_since: None,
            claims: BTreeMap::new(),
            learned: BTreeMap::new(),
            ask_all: None,
        }
    }

    /// Follows what is known. A claim that is none any more is over.
    pub fn set(&mut self, watched: Watched, now: Instant) -> Vec<Action> {
        let was_active = self.active_since.is_some();
        self.watched = watched;
        self.active_since = match self.watched.holder {
            Holder::Here => self.active_since.or(Some(now)),
            Holder::Peer | Holder::Undecided => None,
        };
        self.ask_all = match (self.active_since, self.watched.probe) {
            // After the handover: what the peer answers before it says nothing.
            (Some(since), Some(_)) => Some(self.ask_all.filter(|_| was_active).unwrap_or(since + HANDOVER)),
            (None, _) | (_, None) => None,
        };
        let mut over = Vec::new();
        for (claim, mut state) in std::mem::take(&mut self.claims) {
            match (self.watched.addresses.get(&(claim.ifindex, claim.address)), self.who(&claim, now)) {
                (Some(_), Some(who)) => {
                    state.conflict.who = who;
                    self.claims.insert(claim, state);
                }
                (None, _) | (_, None) => over.extend(state.over()),
            }
        }
        over
    }

    /// Takes in a claim that was heard.
    pub fn heard(&mut self, claim: Claim, now: Instant) -> Vec<Action> {
        let Some(interface) = self.watched.addresses.get(&(claim.ifindex, claim.address)).cloned() else {
            return Vec::new();
        };
        self.learn(&claim, now);
        let Some(who) = self.who(&claim, now) else { return Vec::new() };
        if let Some(state) = self.claims.get_mut(&claim) {
            state.last = now;
            if !state.reported && now.saturating_duration_since(state.first) >= AGAIN {
                return state.found().into();
            }
            return Vec::new();
        }
        if self.claims.len() >= CLAIMS_MAX {
            return Vec::new();
        }
        let at_once = who != Who::Peer;
        let conflict = Conflict { address: claim.address, interface, mac: Mac(claim.mac), who };
        let ask = now + if at_once { ASK } else { AGAIN };
        let mut state = State { conflict, first: now, last: now, ask, reported: false };
        let found = at_once.then(|| state.found());
        self.claims.insert(claim, state);
        found.into_iter().flatten().collect()
    }

    /// When to call [`poll`](Self::poll) next; `None`: there is nothing to wait for.
    pub fn next_deadline(&self) -> Option<Instant> {
        let claims = self.claims.values().map(|state| state.ask.min(state.last + OVER));
        claims.chain(self.ask_all).min()
    }

    /// What is due now.
    pub fn poll(&mut self, now: Instant) -> Vec<Action> {
        if self.next_deadline().is_some_and(|due| now.saturating_duration_since(due) > FROZEN) {
            self.claims.values_mut().for_each(|state| (state.last, state.ask) = (now, now));
        }
        let mut actions = Vec::new();
        self.claims.retain(|claim, state| {
            if now.saturating_duration_since(state.last) >= OVER {
                actions.extend(state.over());
                return false;
            }
            if now >= state.ask {
                state.ask = now + ASK;
                actions.push(self.watched.question(claim));
            }
            true
        });
        if let (Some(due), Some(probe)) = (self.ask_all, self.watched.probe)
            && now >= due
        {
            self.ask_all = Some(now + probe);
            let all = self.watched.addresses.keys();
            actions.extend(all.map(|(ifindex, address)| Action::AskAll(*ifindex, *address)));
        }
        actions
    }

    /// Who claims an address that is not his; `None` where it is, or may be.
    fn who(&self, claim: &Claim, now: Instant) -> Option<Who> {
        let Watched { own, is_pair, servers, .. } = &self.watched;
        if own.values().any(|mac| *mac == claim.mac) {
            return None;
        }
        let place = (claim.ifindex, claim.mac);
        if *is_pair && self.is_peer(claim) {
            let since = self.active_since?;
            return (now.saturating_duration_since(since) >= HANDOVER).then_some(Who::Peer);
        }
        match (servers.get(&place), self.watched.holder) {
            (Some(name), _) => Some(Who::Server(name.clone())),
            // It may be the peer, which holds them already.
            (None, Holder::Undecided) if *is_pair && !self.shows_peer(claim.ifindex) => None,
            (None, Holder::Undecided | Holder::Here | Holder::Peer) => Some(Who::Stranger),
        }
    }

    /// Whether a heartbeat path shows the peer's MAC address on an interface.
    fn shows_peer(&self, ifindex: u32) -> bool {
        self.watched.peer.iter().any(|(known, _)| *known == ifindex)
    }

    fn is_peer(&self, claim: &Claim) -> bool {
        let learned = self.learned.get(&claim.ifindex).is_some_and(|(mac, _)| *mac == claim.mac);
        // Who hears it is not who says it: a router's socket does not get what it sends itself.
        let shares = self.watched.virtual_mac == Some(claim.mac);
        learned || shares || self.watched.peer.contains(&(claim.ifindex, claim.mac))
    }

    /// Learns where the peer announces from, where no heartbeat path shows it: a router that is not active hears it from the one
    /// that is. Somebody else who claims the address beside it is a stranger.
    fn learn(&mut self, claim: &Claim, now: Instant) {
        let Watched { own, servers, is_pair, holder, .. } = &self.watched;
        let is_other =
            own.values().any(|mac| *mac == claim.mac) || servers.contains_key(&(claim.ifindex, claim.mac));
        // Whoever holds the addresses announces from the virtual one, and nobody from his own.
        let is_other = is_other || self.watched.virtual_mac.is_some();
        if *holder != Holder::Peer || !is_pair || is_other || self.shows_peer(claim.ifindex) {
            return;
        }
        match self.learned.get_mut(&claim.ifindex) {
            Some((mac, last)) if *mac == claim.mac => *last = now,
            Some((_, last)) if now.saturating_duration_since(*last) < FORGET_PEER => {}
            Some(_) | None => drop(self.learned.insert(claim.ifindex, (claim.mac, now))),
        }
    }
}

impl Default for Engine {
    fn default() -> Self {
        Self::new()
    }
}

impl State {
    fn found(&mut self) -> [Action; 1] {
        self.reported = true;
        [Action::Report(Report::Found(self.conflict.clone()))]
    }

    fn over(&self) -> Option<Action> {
        self.reported.then(|| Action::Report(Report::Over(self.conflict.clone())))
    }
}

#[cfg(test)]
mod tests;
