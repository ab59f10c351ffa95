//! Claims in virtual time.

use super::*;

const VIP: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PEER: [u8; 6] = [2, 0, 0, 0, 0, 2];
const SERVER: [u8; 6] = [2, 0, 0, 0, 0, 21];
const STRANGER: [u8; 6] = [2, 0, 0, 0, 0, 9];
const VIRTUAL: [u8; 6] = [0, 0, 0x5e, 0, 1, 51];

#[test]
fn a_stranger_is_reported_once_asked_again_and_over_when_it_is_silent() {
    let mut world = World::new(Holder::Here);
    assert_eq!(world.hears(STRANGER), [found(STRANGER, Who::Stranger)]);
    for _ in 0..3 {
        world.passes(ASK);
        assert_eq!(world.due(), [Action::Ask(claim(STRANGER))]);
        assert_eq!(world.hears(STRANGER), [], "it has been told of");
    }
    let actions = world.until_silent();
    let asked = actions.iter().filter(|action| matches!(action, Action::Ask(_))).count();
    assert_eq!((asked, actions.last()), (3, Some(&over(STRANGER, Who::Stranger))));
    assert_eq!(world.engine.next_deadline(), None);
    assert_eq!(world.hears(STRANGER), [found(STRANGER, Who::Stranger)], "back again");
}

#[test]
fn own_claims_and_other_addresses_are_none() {
    let mut world = World::new(Holder::Here);
    assert_eq!(world.hears(OWN), []);
    let other = Claim { address: Ipv4Addr::new(192, 0, 2, 77), ..claim(STRANGER) };
    assert_eq!(world.engine.heard(other, world.now), []);
    let elsewhere = Claim { ifindex: 4, ..claim(STRANGER) };
    assert_eq!(world.engine.heard(elsewhere, world.now), []);
}

#[test]
fn a_real_server_is_called_by_its_name_whatever_the_role() {
    for holder in [Holder::Here, Holder::Peer, Holder::Undecided] {
        let mut world = World::new(holder);
        assert_eq!(world.hears(SERVER), [found(SERVER, Who::Server("d1".to_owned()))]);
    }
}

#[test]
fn the_peer_conflicts_while_this_router_is_active_and_after_a_second_claim() {
    let mut world = World::new(Holder::Here);
    world.passes(HANDOVER);
    assert_eq!(world.hears(PEER), [], "one claim may have been late");
    world.passes(AGAIN);
    assert_eq!(world.due(), [Action::Ask(claim(PEER))]);
    assert_eq!(world.hears(PEER), [found(PEER, Who::Peer)]);
    let actions = world.becomes(Holder::Peer);
    assert_eq!(actions, [over(PEER, Who::Peer)], "now it is the one to do so");
    assert_eq!(world.hears(PEER), []);
}

#[test]
fn a_late_claim_of_the_peer_is_never_told_of() {
    let mut world = World::new(Holder::Here);
    assert_eq!(world.hears(PEER), [], "on its way during the handover");
    world.passes(HANDOVER);
    assert_eq!(world.hears(PEER), []);
    let told = world.until_silent();
    assert!(told.iter().all(|action| matches!(action, Action::Ask(_))), "{told:?}");
}

#[test]
fn the_virtual_mac_is_the_peers_and_everyone_is_asked_for_it() {
    let mut world = World::new(Holder::Peer);
    world.watched.virtual_mac = Some(VIRTUAL);
    world.watched.peer.clear();
    world.becomes(Holder::Peer);
    assert_eq!(world.hears(VIRTUAL), [], "the peer is active");
    assert_eq!(world.hears(STRANGER), [found(STRANGER, Who::Stranger)], "the peer announces no other");
    assert_eq!(world.until_silent().last(), Some(&over(STRANGER, Who::Stranger)));
    world.becomes(Holder::Here);
    assert_eq!(world.hears(VIRTUAL), [], "a handover");
    world.passes(Duration::from_secs(4));
    assert_eq!(world.hears(VIRTUAL), [], "it may have been late");
    world.passes(Duration::from_millis(500));
    assert_eq!(world.due(), [Action::AskAll(3, VIP)]);
    assert_eq!(world.hears(VIRTUAL), [found(VIRTUAL, Who::Peer)]);
}

#[test]
fn a_standby_learns_where_the_peer_announces_from() {
    let mut world = World::new(Holder::Peer);
    world.watched.peer.clear();
    world.becomes(Holder::Peer);
    let unknown = [2, 0, 0, 0, 0, 3];
    assert_eq!(world.hears(unknown), [], "somebody is to announce");
    assert_eq!(world.hears(STRANGER), [found(STRANGER, Who::Stranger)], "and not two");
    assert_eq!(world.hears(unknown), []);
    world.becomes(Holder::Here);
    world.passes(HANDOVER);
    world.hears(unknown);
    world.passes(AGAIN);
    assert_eq!(world.hears(unknown), [found(unknown, Who::Peer)]);
}

#[test]
fn a_router_that_starts_takes_an_unknown_claim_for_the_peers() {
    let mut world = World::new(Holder::Undecided);
    world.watched.peer.clear();
    world.becomes(Holder::Undecided);
    assert_eq!(world.hears(STRANGER), []);
    world.watched.is_pair = false;
    world.becomes(Holder::Undecided);
    assert_eq!(world.hears(STRANGER), [found(STRANGER, Who::Stranger)], "there is no peer");
}

#[test]
fn a_stranger_that_turns_out_to_be_the_peer_is_over() {
    let mut world = World::new(Holder::Peer);
    assert_eq!(world.hears(STRANGER), [found(STRANGER, Who::Stranger)]);
    world.watched.peer.insert((3, STRANGER));
    assert_eq!(world.becomes(Holder::Peer), [over(STRANGER, Who::Stranger)]);
}

#[test]
fn an_address_that_is_watched_no_more_has_no_conflict() {
    let mut world = World::new(Holder::Here);
    world.hears(STRANGER);
    world.watched.addresses.clear();
    assert_eq!(world.becomes(Holder::Here), [over(STRANGER, Who::Stranger)]);
}

#[test]
fn an_active_router_asks_everyone_after_the_handover_and_then_now_and_then() {
    let mut world = World::new(Holder::Peer);
    world.watched.probe = Some(Duration::from_secs(60));
    world.becomes(Holder::Peer);
    assert_eq!(world.engine.next_deadline(), None, "a standby asks nobody");
    world.becomes(Holder::Here);
    let start = world.now;
    for seconds in [3, 63, 123] {
        let due = world.engine.next_deadline().unwrap();
        assert_eq!(due.duration_since(start).as_secs(), seconds);
        world.now = due;
        world.becomes(Holder::Here);
        assert_eq!(world.due(), [Action::AskAll(3, VIP)], "what else has changed moves nothing");
    }
    world.becomes(Holder::Peer);
    assert_eq!(world.engine.next_deadline(), None);
}

#[test]
fn after_a_freeze_a_claim_is_asked_for_before_it_is_over() {
    let mut world = World::new(Holder::Here);
    world.hears(STRANGER);
    world.passes(Duration::from_secs(3600));
    assert_eq!(world.due(), [Action::Ask(claim(STRANGER))]);
}

#[test]
fn a_flood_of_claims_is_bounded() {
    let mut world = World::new(Holder::Here);
    let told: usize = (0..=255).map(|last| world.hears([6, 0, 0, 0, 0, last]).len()).sum();
    assert_eq!((told, world.engine.claims.len()), (CLAIMS_MAX, CLAIMS_MAX));
}

/// An engine that watches one address on an interface where everyone is known, and its clock.
struct World {
    engine: Engine,
    watched: Watched,
    now: Instant,
}

impl World {
    fn new(holder: Holder) -> Self {
        let watched = Watched {
            addresses: [((3, VIP), "eth0".to_owned())].into(),
            own: [(3, OWN)].into(),
            is_pair: true,
            peer: [(3, PEER)].into(),
            virtual_mac: None,
            servers: [((3, SERVER), "d1".to_owned())].into(),
            holder,
            probe: None,
        };
        let mut world = Self { engine: Engine::new(), watched, now: Instant::now() };
        world.becomes(holder);
        world
    }

    fn becomes(&mut self, holder: Holder) -> Vec<Action> {
        self.watched.holder = holder;
        self.engine.set(self.watched.clone(), self.now)
    }

    fn hears(&mut self, mac: [u8; 6]) -> Vec<Action> {
        self.engine.heard(claim(mac), self.now)
    }

    fn passes(&mut self, time: Duration) {
        self.now += time;
    }

    fn due(&mut self) -> Vec<Action> {
        self.engine.poll(self.now)
    }

    /// Lets nobody say anything until there is nothing to wait for.
    fn until_silent(&mut self) -> Vec<Action> {
        let mut actions = Vec::new();
        while let Some(due) = self.engine.next_deadline() {
            self.now = due;
            actions.extend(self.due());
        }
        actions
    }
}

fn claim(mac: [u8; 6]) -> Claim {
    Claim { ifindex: 3, address: VIP, mac }
}

fn conflict(mac: [u8; 6], who: Who) -> Conflict {
    Conflict { address: VIP, interface: "eth0".to_owned(), mac: Mac(mac), who }
}

fn found(mac: [u8; 6], who: Who) -> Action {
    Action::Report(Report::Found(conflict(mac, who)))
}

fn over(mac: [u8; 6], who: Who) -> Action {
    Action::Report(Report::Over(conflict(mac, who)))
}
