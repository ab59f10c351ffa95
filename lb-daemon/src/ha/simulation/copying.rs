//! The copy of connections between the two routers, over a stream of its own that may be cut while heartbeats arrive, and
//! unnoticed: a standby that has had everything goes on believing so.

use super::{promises::for_seeds, *};
use crate::ha::{engine::Positions, heartbeat::Position};

/// What is copied, and over what.
#[derive(Debug, Default)]
pub(super) struct Copying {
    /// Whether the stream is cut.
    pub(super) cut: bool,
    /// Whether no connection changes any more.
    pub(super) quiet: bool,
    ends: [End; 2],
}

/// A router's end of it.
#[derive(Debug, Default)]
struct End {
    told: Position,
    applied: Position,
    /// Turns until a full transfer is over.
    transfer: usize,
    /// What was told from when on.
    history: Vec<(Instant, Position)>,
}

impl World {
    /// The daemon of `node` is gone, and what it knew of the copy.
    pub(super) fn forget_copy(&mut self, node: usize) {
        self.copying.ends[node] =
            End { history: std::mem::take(&mut self.copying.ends[node].history), ..End::default() };
        self.copying.ends[node].note(self.now);
    }

    /// A part of the copy is made, and the engine of `node` learns of it.
    pub(super) fn copy(&mut self, node: usize) {
        if !self.setup.copies {
            return;
        }
        match self.role(node) {
            Some(role) if role.forwards() => self.change_connections(node),
            Some(Role::Standby) => self.follow(node),
            _ => {}
        }
        let Copying { ends, .. } = &self.copying;
        let (told, applied) = (Some(ends[node].told), Some(ends[node].applied));
        let is_active = self.role(node).is_some_and(Role::forwards);
        let ready = is_active || ends[node].applied != Position::NONE;
        if let Some(engine) = &mut self.nodes[node].engine {
            engine.set_positions(Positions { told, applied }, self.now);
            engine.set_ready(ready);
        }
    }

    /// Connections change on an active router, which tells of them whether anybody listens or not.
    fn change_connections(&mut self, node: usize) {
        let end = &mut self.copying.ends[node];
        end.applied = Position::NONE;
        if end.told.session != 0 && !self.copying.quiet && self.random.chance(30) {
            end.told.records += 1 + self.random.below(5) as u64;
            end.note(self.now);
        }
    }

    /// A standby gets everything, and then a part of what is new.
    fn follow(&mut self, node: usize) {
        let [session, wait, some] =
            [self.random.next().max(1), self.random.below(6) as u64, self.random.next()];
        let peer_forwards =
            self.nodes[1 - node].frozen.is_none() && self.role(1 - node).is_some_and(Role::forwards);
        let Copying { cut, quiet, ends } = &mut self.copying;
        let [first, second] = ends;
        let (own, peer) = if node == 0 { (first, second) } else { (second, first) };
        if own.told != Position::NONE {
            own.told = Position::NONE;
            own.note(self.now);
        }
        if *cut || !peer_forwards {
            return;
        }
        if peer.told.session == 0 {
            peer.told = Position { session, records: 0 };
            peer.note(self.now);
        }
        if own.applied.session != peer.told.session {
            own.transfer = if own.transfer == 0 { 1 + wait as usize } else { own.transfer - 1 };
            own.applied = if own.transfer == 0 { peer.told } else { Position::NONE };
            return;
        }
        let lacks = peer.told.records - own.applied.records;
        own.applied.records += if *quiet { lacks } else { some % (lacks + 1) };
    }

    /// A router that asks for its role back has reached what the peer had told not longer ago than it may be heard of.
    pub(super) fn check_position(&self, node: usize, heartbeat: &Heartbeat) {
        let said = self.nodes[node].engine.as_ref().and_then(|engine| engine.peer().said.as_ref());
        let peer_is_weak = said.is_some_and(|said| said.weak);
        if !self.setup.copies || !heartbeat.wants_role || heartbeat.forced.is_some() || peer_is_weak {
            return;
        }
        let [own, peer] = [&self.copying.ends[node], &self.copying.ends[1 - node]];
        let from = self.now.checked_sub(self.setup.dead_after + self.setup.delay).unwrap_or(self.start);
        // What was told then, and whatever was since.
        let at_first = peer.history.partition_point(|(at, _)| *at <= from).saturating_sub(1);
        let told = peer.history.get(at_first..).unwrap_or_default();
        assert!(
            told.iter().any(|(_, told)| own.applied.has(told)),
            "router {node} at {:?} asks for its role, and the peer has told {told:?}",
            own.applied
        );
    }
}

impl End {
    fn note(&mut self, now: Instant) {
        self.history.push((now, self.told));
    }
}

/// A pair whose preferred router has just returned, and whose connections are copied.
fn returned(random: &mut Random) -> World {
    let any = Setup::any(random);
    let delay = any.interval * random.below(30) as u32;
    let failback = Failback::Auto { delay };
    let setup = Setup { priorities: [200, 100], failback, copies: true, witness: false, ..any };
    let mut world = World::new(setup.clone(), Random::new(random.next()));
    world.boot(1, false);
    world.run(setup.dead_after);
    assert_eq!(world.the_active(), 1);
    world.boot(0, false);
    world
}

#[test]
fn no_role_is_taken_back_before_the_position_is_reached_however_the_stream_breaks() {
    for_seeds(2000, |mut random| {
        let mut world = returned(&mut random);
        for _ in 0..random.below(12) {
            world.copying.cut = random.chance(50);
            let pause = world.setup.interval * random.below(20) as u32 / 2;
            // Each time that a role is asked for, the position is checked.
            world.run(pause);
        }
        world.copying = Copying { cut: false, quiet: true, ..std::mem::take(&mut world.copying) };
        let bound = world.setup.settled() * 2 + world.setup.failback_delay();
        world.run(bound);
        assert_eq!(world.the_active(), 0, "it has everything, and is not active");
    });
}

#[test]
fn a_router_that_believes_itself_in_sync_waits_where_the_peer_says_that_it_is_further() {
    for_seeds(2000, |mut random| {
        let mut world = returned(&mut random);
        let has_all = |world: &World| world.copying.ends[0].applied.session != 0;
        world.run_until(world.setup.settled(), has_all).expect("a full transfer is soon over");
        if world.role(0) != Some(Role::Standby) || world.role(1) != Some(Role::Active) {
            // The delay was short, and the role is on its way already.
            return;
        }
        world.copying.cut = true;
        world.copying.ends[1].told.records += 1;
        world.run(world.setup.hop() + world.setup.interval);
        if world.role(1) != Some(Role::Active) {
            // It was asked for before the heartbeat came that says so.
            return;
        }
        world.forget();
        world.run(world.setup.settled() * 2 + world.setup.failback_delay());
        assert_eq!((world.the_active(), world.changes()), (1, 0));
        assert!(!world.engine(0).is_ready());
        let now = world.now;
        let behind = world.engine(0).behind(now).expect("both say where they are");
        assert!(
            behind.records.is_some_and(|records| records > 0) && behind.age > Duration::ZERO,
            "{behind:?}"
        );
    });
}

#[test]
fn a_peer_that_says_nothing_of_the_copy_is_believed_to_have_told_all() {
    let failback = Failback::Auto { delay: Duration::from_secs(1) };
    let mut world = World::new(Setup { failback, ..Setup::plain() }, Random::new(1));
    world.boot(1, false);
    world.run(Duration::from_secs(2));
    world.boot(0, false);
    world.run(Duration::from_secs(1) / 2);
    let now = world.now;
    let applied = Some(Position { session: 7, records: 1 });
    world.engine(0).set_positions(Positions { told: None, applied }, now);
    assert_eq!(world.engine(0).behind(now), None);
    world.run(Duration::from_secs(5));
    assert_eq!(world.the_active(), 0);
}
