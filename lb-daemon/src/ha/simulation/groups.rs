//! Two groups on the same two routers, each preferred on another one. Each has an engine and heartbeats of its own; what they
//! share is the routers and the wires, so what happens to those happens to both.

use super::{promises::for_seeds, *};

/// The same pair as each of its groups sees it.
struct Groups([World; 2]);

impl Groups {
    fn new(setup: &Setup, random: &mut Random) -> Self {
        Self::returning([setup.failback; 2], setup, random)
    }

    /// Each group with a failback of its own.
    fn returning(failbacks: [Failback; 2], setup: &Setup, random: &mut Random) -> Self {
        let mut world = |failback, priorities| {
            World::new(Setup { failback, priorities, ..setup.clone() }, Random::new(random.next()))
        };
        let [first, second] = failbacks;
        Self([world(first, [200, 100]), world(second, [100, 200])])
    }

    /// Both routers are started, and every group is where it is preferred.
    fn settled(setup: &Setup, random: &mut Random) -> Self {
        let mut groups = Self::new(setup, random);
        groups.start();
        groups
    }

    /// Starts both routers, and lets the roles settle.
    fn start(&mut self) {
        self.each(|world| {
            world.boot(0, false);
            world.boot(1, false);
        });
        let within = self.0.each_ref().map(|world| world.setup.settled() + world.setup.failback_delay() * 2);
        self.run(within[0].max(within[1]));
        self.each(World::forget);
    }

    fn each(&mut self, mut act: impl FnMut(&mut World)) {
        self.0.iter_mut().for_each(&mut act);
    }

    fn run(&mut self, time: Duration) {
        self.each(|world| world.run(time));
    }

    /// Which router is active for each group.
    fn active(&self) -> [usize; 2] {
        [self.0[0].the_active(), self.0[1].the_active()]
    }

    fn changes(&self) -> [usize; 2] {
        [self.0[0].changes(), self.0[1].changes()]
    }

    /// What happens to a router, or to a wire, happens to both groups.
    fn trouble(&mut self, random: &mut Random) {
        let (node, what) = (random.below(2), random.below(8));
        let frozen = self.0[0].setup.dead_after * random.below(40) as u32 / 10;
        let (resume, queues) = (random.chance(50), random.chance(50));
        self.each(|world| match what {
            0 => world.network.set_all(false),
            1 => world.network.set_from(node, false),
            2 => world.network.set_all(true),
            3 => world.kill(node),
            4 => world.boot(node, resume),
            5 => world.freeze(node, frozen, queues),
            _ => world.network.set(node, 0, false),
        });
    }
}

fn auto(random: &mut Random) -> Setup {
    let any = Setup::any(random);
    Setup { failback: Failback::Auto { delay: any.interval * 5 }, witness: false, ..any }
}

#[test]
fn after_any_trouble_each_group_has_one_active_router_and_returns_to_its_own() {
    for_seeds(1000, |mut random| {
        let setup = auto(&mut random);
        let mut groups = Groups::settled(&setup, &mut random);
        assert_eq!(groups.active(), [0, 1]);
        for _ in 0..1 + random.below(10) {
            groups.trouble(&mut random);
            groups.run(setup.interval * random.below(25) as u32 / 2);
        }
        groups.run(setup.dead_after * 4);
        groups.each(|world| {
            world.network.set_all(true);
            for node in 0..2 {
                if world.nodes[node].engine.is_none() {
                    world.boot(node, false);
                }
            }
        });
        groups.run(setup.settled() * 2 + setup.failback_delay() * 2);
        assert_eq!(groups.active(), [0, 1]);
        groups.each(World::forget);
        groups.run(setup.dead_after * 10);
        assert_eq!((groups.active(), groups.changes()), ([0, 1], [0, 0]));
    });
}

#[test]
fn the_death_of_a_router_moves_its_groups_and_no_others() {
    for_seeds(500, |mut random| {
        let setup = auto(&mut random);
        let mut groups = Groups::settled(&setup, &mut random);
        let dead = random.below(2);
        groups.each(|world| world.kill(dead));
        groups.run(setup.settled());
        assert_eq!(groups.active(), [1 - dead; 2]);
        assert_eq!(groups.changes()[1 - dead], 0, "the group of the living router was touched");
    });
}

#[test]
fn what_is_asked_of_one_group_moves_no_other() {
    for_seeds(500, |mut random| {
        let setup = auto(&mut random);
        let mut groups = Groups::settled(&setup, &mut random);
        let moved = random.below(2);
        let world = &mut groups.0[moved];
        world.must_forward = true;
        match random.below(3) {
            0 => {
                let now = world.now;
                world.engine(moved).failover(now).expect("the peer is alive");
            }
            1 => assert_eq!(world.hold(moved, Some(Forced::Standby)), Some(Ok(()))),
            _ => world.weaken(moved, 150),
        }
        groups.run(setup.settled());
        assert_eq!(groups.active(), [1 - moved; 2]);
        assert_eq!(groups.changes()[1 - moved], 0);
    });
}

#[test]
fn of_two_groups_only_the_one_that_returns_by_itself_goes_back_to_a_router_that_returns() {
    for_seeds(1000, |mut random| {
        let setup = Setup { copies: random.chance(50), ..auto(&mut random) };
        let delay = setup.interval * random.below(60) as u32;
        // Both groups are preferred on the router that goes: the one takes its role back, and the other waits for the operator.
        let [back, stays] = if random.chance(50) { [0, 1] } else { [1, 0] };
        let mut failbacks = [Failback::Manual; 2];
        failbacks[back] = Failback::Auto { delay };
        let mut groups = Groups::returning(failbacks, &setup, &mut random);
        groups.0[1].setup.priorities = [200, 100];
        groups.start();
        assert_eq!(groups.active(), [0, 0]);
        groups.each(|world| world.kill(0));
        groups.run(setup.settled());
        assert_eq!(groups.active(), [1, 1]);
        groups.each(|world| {
            world.forget();
            world.boot(0, false);
        });
        // Not before its own delay, whatever that of the other is.
        let before = delay.saturating_sub(setup.interval / 20);
        let asks = groups.0[back].run_until(before, |world| world.role(1) != Some(Role::Active));
        assert_eq!(asks, None, "asked for within {delay:?}");
        groups.each(|world| world.copying.quiet = true);
        groups.run(setup.settled() * 2 + delay);
        assert_eq!(groups.active()[back], 0);
        assert_eq!(groups.active()[stays], 1);
        assert_eq!(groups.0[stays].changes(), 1, "the router that returns is standby, and nothing more");
    });
}
