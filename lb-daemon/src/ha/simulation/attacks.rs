//! Somebody who hears everything and sends it again, without the key.

use super::{promises::for_seeds, *};

#[test]
fn replays_change_nothing_while_both_routers_live() {
    for_seeds(300, |mut random| {
        let setup = Setup { failback: Failback::Manual, ..Setup::any(&mut random) };
        let (mut world, _) = World::settled(setup.clone(), random);
        for _ in 0..200 {
            replay_any(&mut world);
            world.run(setup.interval / 7);
        }
        assert_eq!(world.changes(), 0);
        assert!(world.nodes.iter().any(|node| node.ignored > 0));
    });
}

#[test]
fn what_was_said_of_faults_and_weaknesses_is_not_believed_again() {
    for_seeds(300, |mut random| {
        let setup = Setup { failback: Failback::Manual, ..Setup::any(&mut random) };
        let (mut world, _) = World::settled(setup.clone(), random);
        for node in [0, 1, 0, 1] {
            world.fault(node, true);
            world.run(setup.dead_after);
            world.weaken(node, 150);
            world.fault(node, false);
            world.run(setup.dead_after);
            world.weaken(node, 0);
            world.run(setup.dead_after);
        }
        world.run(setup.settled());
        world.forget();
        for _ in 0..200 {
            replay_any(&mut world);
            world.run(setup.interval / 7);
        }
        assert_eq!(world.changes(), 0);
    });
}

#[test]
fn a_dead_peer_is_not_kept_alive_by_what_it_said() {
    for_seeds(300, |mut random| {
        let setup = Setup::any(&mut random);
        let (mut world, active) = World::settled(setup.clone(), random);
        world.kill(active);
        let died = world.now;
        while world.now < died + setup.dead_after + setup.interval + setup.delay {
            replay_any(&mut world);
            world.run(setup.interval / 7);
        }
        assert_eq!(world.role(1 - active), Some(Role::Active));
    });
}

#[test]
fn a_recording_of_an_earlier_life_does_not_hold_back_a_router_that_starts() {
    for_seeds(300, |mut random| {
        let setup = Setup::any(&mut random);
        let (mut world, active) = World::settled(setup.clone(), random);
        world.kill(0);
        world.kill(1);
        world.boot(1 - active, false);
        // The whole recording, in its order and at its pace, as often as it takes.
        let recorded: Vec<_> = world.recorded.iter().filter(|sent| sent.0 == active).cloned().collect();
        let end = world.now + setup.dead_after * 3;
        for (_, path, heartbeat) in recorded.iter().cycle() {
            if world.now > end {
                break;
            }
            world.network.inject(world.now, 1 - active, *path, heartbeat.clone());
            world.run(setup.interval / 2);
        }
        assert_eq!(world.role(1 - active), Some(Role::Active));
    });
}

#[test]
fn a_recording_of_an_earlier_life_of_the_peer_does_not_make_this_router_yield() {
    for_seeds(300, |mut random| {
        // The weaker router is active; what the stronger one said when it was active would make it yield.
        let setup = Setup { failback: Failback::Manual, ..Setup::any(&mut random) };
        let (mut world, first) = World::settled(setup.clone(), random);
        world.kill(first);
        world.run(setup.dead_after * 2);
        world.boot(first, false);
        world.run(setup.settled());
        assert_eq!(world.the_active(), 1 - first);
        world.forget();
        for index in 0..world.recorded.len().min(300) {
            let (from, path, heartbeat) = world.recorded[index].clone();
            world.network.inject(world.now, 1 - from, path, heartbeat);
            world.run(setup.interval / 7);
        }
        assert_eq!(world.changes(), 0);
    });
}

#[test]
fn a_router_is_not_its_own_peer() {
    let mut world = World::new(Setup::plain(), Random::new(0));
    world.boot(0, false);
    for _ in 0..100 {
        let (_, path, heartbeat) = world.recorded.last().expect("a router speaks when it starts").clone();
        world.network.inject(world.now, 0, path, heartbeat);
        world.run(world.setup.interval);
    }
    assert!(!world.engine(0).peer().alive());
    assert_eq!(world.role(0), Some(Role::Active));
}

#[test]
fn replays_do_not_make_a_router_talk_much_faster() {
    let mut world = World::new(Setup::plain(), Random::new(0));
    world.boot(1, false);
    world.run(world.setup.interval * 10);
    let recorded = world.recorded.clone();
    world.kill(1);
    world.boot(0, false);
    world.recorded.clear();
    let turns = 1000;
    for turn in 0..turns {
        let (_, path, heartbeat) = recorded[turn % recorded.len()].clone();
        world.network.inject(world.now, 0, path, heartbeat);
        world.run(world.setup.interval / 50);
    }
    let heartbeats = world.recorded.len() / world.setup.paths;
    assert!(heartbeats <= 4 * turns / 50 + 1, "{heartbeats} in {} intervals", turns / 50);
}

/// Sends any recorded heartbeat to any router on any path.
fn replay_any(world: &mut World) {
    let (_, _, heartbeat) = world.recorded[world.random.below(world.recorded.len())].clone();
    let (to, path) = (world.random.below(2), world.random.below(world.setup.paths));
    world.network.inject(world.now, to, path, heartbeat);
}
