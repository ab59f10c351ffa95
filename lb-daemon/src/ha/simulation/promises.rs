//! What holds for every pair, however its network behaves within bounds.

use super::*;

/// Runs `test` for many seeds, and says which one fails.
pub(super) fn for_seeds(count: u64, test: impl Fn(Random) + std::panic::RefUnwindSafe) {
    for seed in 0..count {
        let result = std::panic::catch_unwind(|| test(Random::new(seed)));
        assert!(result.is_ok(), "seed {seed}");
    }
}

#[test]
fn bounded_loss_never_causes_a_takeover() {
    for_seeds(1000, |mut random| {
        let setup = Setup { failback: Failback::Manual, ..Setup::any(&mut random) };
        let long = setup.dead_after * 20;
        let (mut world, _) = World::settled(setup, random);
        world.run(long);
        assert_eq!(world.changes(), 0);
    });
}

#[test]
fn silence_always_causes_a_takeover_in_time() {
    for_seeds(1000, |mut random| {
        let setup = Setup::any(&mut random);
        let (mut world, active) = World::settled(setup.clone(), random);
        match world.random.below(2) {
            0 => world.kill(active),
            _ => world.network.set_from(active, false),
        }
        let within = setup.dead_after + setup.interval + setup.delay;
        let took = world.run_until(within, |world| world.role(1 - active) == Some(Role::Active));
        assert!(took.is_some(), "standby did not take over");
    });
}

#[test]
fn after_a_partition_one_yields_within_a_hop_and_the_stronger_stays() {
    for_seeds(500, |mut random| {
        let setup = Setup { failback: Failback::Manual, ..Setup::any(&mut random) };
        let (mut world, _) = World::settled(setup.clone(), random);
        world.network.set_all(false);
        world.run(setup.dead_after * 3);
        assert_eq!([world.role(0), world.role(1)], [Some(Role::Active); 2]);
        world.forget();
        world.network.set_all(true);
        world.run(setup.hop());
        let active = world.the_active();
        assert!(setup.priorities[active] >= setup.priorities[1 - active]);
        world.run(setup.settled());
        assert_eq!((world.the_active(), world.changes()), (active, 1));
    });
}

#[test]
fn a_lone_router_starts_within_dead_after() {
    for_seeds(50, |mut random| {
        let setup = Setup::any(&mut random);
        let mut world = World::new(setup.clone(), random);
        world.boot(0, false);
        world.run(setup.dead_after);
        assert_eq!(world.role(0), Some(Role::Active));
    });
}

#[test]
fn one_is_active_after_any_start_and_the_roles_are_stable() {
    for_seeds(1000, |mut random| {
        let setup = Setup { failback: Failback::Manual, ..Setup::any(&mut random) };
        let mut world = World::new(setup.clone(), random);
        for node in 0..2 {
            let resume = world.random.chance(40);
            world.boot(node, resume);
            let wait = setup.dead_after * world.random.below(3) as u32 / 2;
            world.run(wait);
        }
        world.run(setup.settled());
        let active = world.the_active();
        world.forget();
        world.run(setup.dead_after * 10);
        assert_eq!((world.the_active(), world.changes()), (active, 0));
    });
}

#[test]
fn somebody_forwards_throughout_a_planned_stop() {
    planned_stop(1000, |_, _| {});
}

#[test]
fn somebody_forwards_throughout_a_stop_in_a_one_way_network() {
    planned_stop(500, |world, active| world.network.set_from(active, false));
}

/// Stops the active router after `trouble`; the other one has to relieve it.
fn planned_stop(seeds: u64, trouble: fn(&mut World, usize)) {
    for_seeds(seeds, |mut random| {
        let setup = Setup::any(&mut random);
        let (mut world, active) = World::settled(setup.clone(), random);
        world.must_forward = true;
        trouble(&mut world, active);
        let now = world.now;
        world.engine(active).shutdown(now);
        world.run(setup.settled());
        assert!(world.engine(active).is_finished());
        assert_eq!(world.role(1 - active), Some(Role::Active));
    });
}

#[test]
fn somebody_forwards_throughout_a_failover_and_the_role_stays_there() {
    for_seeds(1000, |mut random| {
        let setup = Setup::any(&mut random);
        let (mut world, active) = World::settled(setup.clone(), random);
        let now = world.now;
        world.must_forward = true;
        world.engine(active).failover(now).expect("the peer is alive");
        world.run(setup.settled());
        assert_eq!(world.the_active(), 1 - active);
        world.run(setup.interval * 100);
        assert_eq!(world.the_active(), 1 - active, "the role was taken back");
    });
}

#[test]
fn the_preferred_router_takes_its_role_back_without_a_gap() {
    for_seeds(1000, |mut random| {
        let delay = Setup::plain().interval * 20;
        let any = Setup::any(&mut random);
        let setup = Setup { priorities: [200, 100], failback: Failback::Auto { delay }, ..any };
        let mut world = World::new(setup.clone(), random);
        world.boot(1, false);
        world.run(setup.dead_after);
        world.must_forward = true;
        world.boot(0, false);
        world.run(setup.settled() + delay + setup.settled());
        assert_eq!(world.the_active(), 0);
    });
}

#[test]
fn without_automatic_failback_a_returning_router_stays_standby() {
    for_seeds(500, |mut random| {
        let setup = Setup { priorities: [200, 100], failback: Failback::Manual, ..Setup::any(&mut random) };
        let mut world = World::new(setup.clone(), random);
        world.boot(1, false);
        world.run(setup.dead_after);
        world.boot(0, false);
        world.run(setup.dead_after * 20);
        assert_eq!(world.the_active(), 1);
    });
}
