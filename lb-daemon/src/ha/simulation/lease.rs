//! Who answers for the addresses: a router that has them, and a lease that runs, whether its daemon lives or not. Never both,
//! where loss, freezes, deaths and restarts are all that happens.

use super::{promises::for_seeds, *};
use crate::ha::engine::Lease;

/// What stands in a router's kernel.
#[derive(Debug, Default)]
pub(super) struct Plane {
    /// It has the addresses.
    holds: bool,
    /// It is about to give them away, and the peer may have them already.
    leaves: bool,
    lease: Option<Instant>,
}

impl Plane {
    /// Does what the daemon does with a role and a lease, at once.
    pub(super) fn follow(&mut self, role: Role, lease: Option<Lease>) {
        match lease {
            None => {}
            Some(Lease::Until(until)) => self.lease = Some(until),
            Some(Lease::Released) => self.lease = None,
        }
        if role != Role::Starting {
            self.holds = role.forwards();
            self.leaves = role == Role::Leaving;
        }
    }

    fn answers(&self, now: Instant) -> bool {
        self.holds && self.lease.is_some_and(|until| until > now)
    }
}

impl World {
    /// At most one router answers for the addresses. In a handover both may, for the time of an answer.
    pub(super) fn check_answers(&self) {
        let both = self.planes.iter().all(|plane| plane.answers(self.now) && !plane.leaves);
        assert!(!both || !self.one_answers, "both routers answer at {:?}", self.elapsed());
    }

    /// Whether this router answers for the addresses.
    fn answers(&self, node: usize) -> bool {
        self.planes[node].answers(self.now)
    }

    /// Starts the daemon of `node` over what stands in its kernel.
    fn restart(&mut self, node: usize) {
        let resume = self.planes[node].holds;
        self.boot(node, resume);
    }
}

#[test]
fn a_router_that_is_frozen_or_killed_is_silent_before_its_peer_answers() {
    for_seeds(3000, |mut random| {
        let setup = Setup::any(&mut random);
        let (mut world, active) = World::settled(setup.clone(), random);
        world.one_answers = true;
        let moment = setup.interval * world.random.below(100) as u32 / 10;
        world.run(moment);
        if world.random.chance(50) {
            world.kill(active);
        } else {
            let (time, queues) = (any_time(&mut world), world.random.chance(50));
            world.freeze(active, time, queues);
        }
        let within = setup.dead_after + setup.interval + setup.delay;
        world.run(within);
        let dead = world.nodes[active].engine.is_none();
        assert!(!dead || world.answers(1 - active), "the peer has taken over, and answers");
        let time = any_time(&mut world);
        world.run(time);
        if dead {
            world.restart(active);
        }
        world.run(setup.settled() * 2 + setup.failback_delay());
        let active = world.the_active();
        assert!(world.answers(active) && !world.answers(1 - active));
    });
}

#[test]
fn never_two_routers_answer_whatever_stops_and_returns() {
    for_seeds(3000, |mut random| {
        let setup = Setup { drops: 0, ..Setup::any(&mut random) };
        let (mut world, _) = World::settled(setup.clone(), random);
        world.one_answers = true;
        for _ in 0..2 + world.random.below(12) {
            trouble(&mut world);
            let pause = any_time(&mut world) / 2;
            world.run(pause);
        }
        world.run(setup.dead_after * 4 + setup.interval * 5);
    });
}

#[test]
fn never_two_routers_answer_where_much_is_lost_and_troubles_come_one_by_one() {
    for_seeds(3000, |mut random| {
        let setup = Setup::any(&mut random);
        let (mut world, _) = World::settled(setup.clone(), random);
        world.one_answers = true;
        for _ in 0..1 + world.random.below(6) {
            trouble(&mut world);
            let pause = setup.dead_after * 4 + setup.settled() + any_time(&mut world);
            world.run(pause);
        }
    });
}

#[test]
fn cut_in_two_the_side_with_the_witness_answers_alone() {
    for_seeds(2000, |mut random| {
        let any = Setup::any(&mut random);
        let setup = Setup { witness: true, drops: 0, failback: Failback::Manual, ..any };
        let (mut world, _) = World::settled(setup.clone(), random);
        world.one_answers = true;
        let moment = setup.interval * world.random.below(100) as u32 / 10;
        world.run(moment);
        let cut_off = world.random.below(2);
        world.network.set_all(false);
        world.witness[cut_off] = false;
        world.run(setup.dead_after + setup.interval + setup.delay);
        assert!(world.answers(1 - cut_off));
        world.run(setup.dead_after * 3);
        world.network.set_all(true);
        world.run(setup.settled());
        assert!(world.answers(1 - cut_off));
    });
}

#[test]
fn where_only_one_direction_works_the_router_that_is_not_heard_falls_silent() {
    for_seeds(1000, |mut random| {
        let setup = Setup { witness: false, failback: Failback::Manual, ..Setup::any(&mut random) };
        let (mut world, active) = World::settled(setup.clone(), random);
        world.network.set_from(active, false);
        world.run(setup.dead_after + setup.hop() + setup.interval);
        assert!(world.answers(1 - active) && !world.answers(active));
    });
}

#[test]
fn the_active_router_answers_all_the_time_whatever_becomes_of_the_other() {
    for_seeds(1000, |mut random| {
        let setup = Setup { failback: Failback::Manual, ..Setup::any(&mut random) };
        let (mut world, active) = World::settled(setup.clone(), random);
        answers_for(&mut world, active, setup.dead_after * 2);
        if world.random.chance(50) {
            world.kill(1 - active);
        } else {
            world.freeze(1 - active, setup.dead_after * 3, false);
        }
        answers_for(&mut world, active, setup.dead_after * 5);
        if world.nodes[1 - active].engine.is_none() {
            world.restart(1 - active);
        }
        answers_for(&mut world, active, setup.dead_after * 5);
    });
}

#[test]
fn a_daemon_that_restarts_within_the_lease_is_not_noticed() {
    for_seeds(1000, |mut random| {
        let dead_after = Duration::from_secs(1);
        let setup = Setup { drops: 0, witness: false, priorities: [200, 100], dead_after, ..Setup::plain() };
        let (mut world, active) = World::settled(setup, random.clone());
        world.kill(active);
        answers_for(&mut world, active, Duration::from_millis(random.below(500) as u64));
        world.restart(active);
        answers_for(&mut world, active, dead_after * 3);
    });
}

#[test]
fn a_router_that_was_frozen_alone_answers_again_after_dead_after() {
    for_seeds(500, |mut random| {
        let setup = Setup { witness: false, ..Setup::any(&mut random) };
        let mut world = World::new(setup.clone(), random);
        world.boot(0, false);
        world.run(setup.dead_after * 2);
        world.freeze(0, setup.dead_after * 2, false);
        world.run(setup.dead_after * 3 - setup.interval / 10);
        assert!(!world.answers(0), "nobody knows yet what became of the peer");
        world.run(setup.interval * 3);
        assert!(world.answers(0));
    });
}

#[test]
fn a_router_that_freezes_while_it_leaves_is_silent_within_an_interval() {
    for_seeds(500, |mut random| {
        let setup = Setup { failback: Failback::Manual, ..Setup::any(&mut random) };
        let (mut world, active) = World::settled(setup.clone(), random);
        let now = world.now;
        world.engine(active).failover(now).expect("the peer is alive");
        world.run(Duration::ZERO);
        // Where nothing takes time, the peer has answered already.
        let leaves = world.role(active) == Some(Role::Leaving);
        assert_eq!(world.answers(active), leaves, "until the peer does");
        world.freeze(active, setup.dead_after * 3, true);
        world.run(setup.interval);
        assert!(!world.answers(active));
        world.run(setup.dead_after * 3 + setup.settled());
        assert!(world.answers(1 - active) && !world.answers(active));
    });
}

/// From nothing to four times `dead_after`.
fn any_time(world: &mut World) -> Duration {
    world.setup.dead_after * world.random.below(40) as u32 / 10
}

/// Lets `time` pass, in which the router answers at every moment.
fn answers_for(world: &mut World, node: usize, time: Duration) {
    let silent = world.run_until(time, |world| !world.answers(node));
    assert_eq!(silent, None, "router {node} does not answer");
}

/// One thing that stops a router or brings it back, or moves the role. The network stays whole.
fn trouble(world: &mut World) {
    let (node, now) = (world.random.below(2), world.now);
    match world.random.below(6) {
        0 => world.kill(node),
        1 if world.nodes[node].engine.is_none() => world.restart(node),
        1 | 2 => {
            let (time, queues) = (any_time(world), world.random.chance(50));
            world.freeze(node, time, queues);
        }
        3 => {
            let fault = world.random.chance(50);
            world.fault(node, fault);
        }
        action => {
            let Node { engine: Some(engine), frozen: None, .. } = &mut world.nodes[node] else { return };
            if action == 4 {
                // A refusal is fine here.
                let _: Result<String, _> = engine.failover(now);
            } else {
                engine.shutdown(now);
            }
        }
    }
}
