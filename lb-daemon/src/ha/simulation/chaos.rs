//! Anything that can happen, in any order; then peace.

use super::{promises::for_seeds, *};

/// Changes of role of both routers from the end of all trouble to a settled pair: each may start, yield, be elected,
/// and hand over once more for failback.
const MOST_CHANGES: usize = 8;

#[test]
fn after_any_trouble_exactly_one_is_active_and_stays_so() {
    for_seeds(2500, |mut random| {
        let setup = Setup { copies: random.chance(50), ..Setup::any(&mut random) };
        let (mut world, _) = World::settled(setup.clone(), random);
        for _ in 0..1 + world.random.below(14) {
            trouble(&mut world);
            let pause = setup.interval * world.random.below(25) as u32 / 2;
            world.run(pause);
        }
        heal(&mut world);
        let delay = setup.failback_delay();
        world.forget();
        world.run(setup.settled() * 2 + delay * 2);
        let active = world.the_active();
        let fault = |node: usize| world.conditions[node].has_fault();
        let [held, other] = [active, 1 - active].map(|node| world.held[node].as_ref().map(|held| held.role));
        assert!(held != Some(Forced::Standby), "held standby, and active beside a peer that is not");
        assert!(other != Some(Forced::Active), "held active, and standby");
        let wanted = held == Some(Forced::Active) || other == Some(Forced::Standby);
        assert!(wanted || !fault(active) || fault(1 - active), "active with a fault beside a peer without");
        assert!(
            world.changes() <= MOST_CHANGES,
            "{} changes of role after the end of all trouble",
            world.changes()
        );
        world.forget();
        world.run(setup.dead_after * 10 + delay);
        assert_eq!((world.the_active(), world.changes()), (active, 0));
    });
}

#[test]
fn roles_come_to_rest_where_nothing_changes_any_more_whole_or_not() {
    for_seeds(2000, |mut random| {
        let setup = Setup { copies: random.chance(50), ..Setup::any(&mut random) };
        let (mut world, _) = World::settled(setup.clone(), random);
        for _ in 0..1 + world.random.below(8) {
            trouble(&mut world);
            let pause = setup.interval * world.random.below(25) as u32 / 2;
            world.run(pause);
        }
        // No heal: the network may be cut in one direction, a witness be gone, a router dead or unfit, the stream cut.
        world.copying.quiet = true;
        let delay = setup.failback_delay();
        world.run(setup.dead_after * 4 + setup.settled() * 2 + delay * 2);
        world.forget();
        world.run(setup.dead_after * 20 + delay);
        assert_eq!(world.changes(), 0);
    });
}

/// One thing that goes wrong, or is asked for.
fn trouble(world: &mut World) {
    let node = world.random.below(2);
    let path = world.random.below(world.setup.paths);
    let now = world.now;
    match world.random.below(16) {
        0 => world.network.set_all(false),
        1 => world.network.set_all(true),
        2 => world.network.set_from(node, false),
        3 => world.network.set(node, path, false),
        4 => world.network.set_from(node, true),
        5 => world.kill(node),
        6 => {
            let resume = world.random.chance(50);
            world.boot(node, resume);
        }
        7 => {
            let time = world.setup.dead_after * world.random.below(40) as u32 / 10;
            let queues = world.random.chance(50);
            world.freeze(node, time, queues);
        }
        8 => {
            if let Some(engine) = &mut world.nodes[node].engine {
                // A refusal is fine here: who forwards is checked all the time.
                let _: Result<String, _> = engine.failover(now);
            }
        }
        9 => {
            if let Some(engine) = &mut world.nodes[node].engine {
                engine.shutdown(now);
            }
        }
        10 => {
            let fault = world.random.chance(50);
            world.fault(node, fault);
        }
        14 => {
            let role = [None, Some(Forced::Standby), Some(Forced::Active)][world.random.below(3)];
            world.hold(node, role);
        }
        11 => world.witness[node] = false,
        12 => world.witness[node] = true,
        15 => world.copying.cut = world.random.chance(70),
        _ => {
            let penalty = [0, 40, 120][world.random.below(3)];
            world.weaken(node, penalty);
        }
    }
}

/// The end of all trouble: the network is whole, both routers run and are awake.
fn heal(world: &mut World) {
    let frozen = world.nodes.iter().filter_map(|node| node.frozen).map(|(until, _)| until).max();
    if let Some(until) = frozen {
        world.run(until.saturating_duration_since(world.now));
    }
    world.network.set_all(true);
    world.witness = [true; 2];
    world.copying.cut = false;
    world.copying.quiet = true;
    // What is being stopped has ended by then.
    let leaving = world.setup.dead_after + world.setup.interval * 5;
    world.run(leaving);
    for node in 0..2 {
        if world.nodes[node].engine.as_ref().is_none_or(Engine::is_finished) {
            world.boot(node, false);
        }
    }
    // Held standby before they could hear of each other.
    let standby = |held: &Option<Maintenance>| held.as_ref().is_some_and(|held| held.role == Forced::Standby);
    if world.held.iter().all(standby) {
        let released = world.random.below(2);
        world.hold(released, None);
    }
}
