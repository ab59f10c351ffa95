//! Routers that something speaks against.

use super::{promises::for_seeds, settled::plain, *};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_active_router_with_a_fault_is_relieved_without_a_gap() {
    for_seeds(1000, |mut random| {
        let setup = Setup { failback: Failback::Manual, ..Setup::any(&mut random) };
        let (mut world, active) = World::settled(setup.clone(), random);
        world.must_forward = true;
        world.fault(active, true);
        world.run(setup.settled());
        assert_eq!((world.the_active(), world.changes()), (1 - active, 3), "leaving, active, standby");
        // Well again, it waits for the operator.
        world.forget();
        world.fault(active, false);
        world.run(setup.settled());
        assert_eq!((world.the_active(), world.changes()), (1 - active, 0));
    });
}

#[test]
fn a_router_with_a_fault_is_better_than_none() {
    for_seeds(500, |mut random| {
        let setup = Setup::any(&mut random);
        let (mut world, active) = World::settled(setup.clone(), random);
        world.fault(1 - active, true);
        world.run(setup.settled());
        assert_eq!(world.changes(), 0, "a standby router with a fault changes nothing");
        world.kill(active);
        world.run(setup.dead_after + setup.interval + setup.delay);
        assert_eq!(world.role(1 - active), Some(Role::Active));
        // A peer without a fault that returns takes the role, whatever the failback.
        world.must_forward = true;
        world.boot(active, false);
        world.run(setup.settled() * 2);
        assert_eq!(world.the_active(), active);
    });
}

#[test]
fn where_both_have_a_fault_nothing_moves() {
    for_seeds(500, |mut random| {
        let setup = Setup { failback: Failback::Manual, ..Setup::any(&mut random) };
        let (mut world, active) = World::settled(setup.clone(), random);
        world.fault(1 - active, true);
        world.run(setup.hop() + setup.interval);
        world.fault(active, true);
        world.run(setup.settled() * 3);
        assert_eq!((world.the_active(), world.changes()), (active, 0));
    });
}

#[test]
fn of_two_active_routers_the_one_with_a_fault_yields() {
    for_seeds(500, |mut random| {
        let setup = Setup { failback: Failback::Manual, ..Setup::any(&mut random) };
        let (mut world, faulty) = World::settled(setup.clone(), random);
        world.network.set_all(false);
        world.run(setup.dead_after * 3);
        world.fault(faulty, true);
        assert_eq!([world.role(0), world.role(1)], [Some(Role::Active); 2], "neither can know of the other");
        world.network.set_all(true);
        world.run(setup.settled());
        assert_eq!(world.the_active(), 1 - faulty);
    });
}

#[test]
fn a_weak_active_router_is_relieved_by_a_stronger_one_whatever_the_failback() {
    for_seeds(500, |mut random| {
        let setup = Setup { priorities: [200, 100], failback: Failback::Manual, ..Setup::any(&mut random) };
        let (mut world, active) = World::settled(setup.clone(), random);
        world.must_forward = true;
        // Still the stronger one, or just not.
        world.weaken(active, setup.priorities[active] - 1);
        world.weaken(1 - active, 0);
        world.run(setup.settled());
        assert_eq!(world.the_active(), 1 - active);
        world.forget();
        world.weaken(active, 0);
        world.run(setup.settled());
        assert_eq!((world.the_active(), world.changes()), (1 - active, 0));
    });
}

#[test]
fn a_weakness_that_leaves_a_router_the_stronger_one_moves_nothing() {
    let (mut world, active) = plain();
    world.weaken(active, 99);
    world.run(SECOND * 20);
    assert_eq!((world.the_active(), world.changes()), (active, 0));
    let words = "peer silent for 1s; own priority 101 instead of 200: gateway";
    assert_eq!(world.engine(active).explanation(), words);
}

#[test]
fn what_the_operator_gave_away_comes_back_for_a_fault_and_not_for_a_weakness() {
    let (mut world, active) = plain();
    let now = world.now;
    world.engine(active).failover(now).expect("the peer is alive");
    world.run(SECOND * 5);
    world.weaken(1 - active, 50);
    world.run(SECOND * 20);
    assert_eq!(world.the_active(), 1 - active);
    world.fault(1 - active, true);
    world.run(SECOND * 5);
    assert_eq!(world.the_active(), active);
    assert_eq!(world.engine(active).reason(), "peer gave up the role, for it has a fault");
}

#[test]
fn a_failover_to_a_peer_with_a_fault_is_refused() {
    let (mut world, active) = plain();
    world.fault(1 - active, true);
    world.run(SECOND);
    let now = world.now;
    let refusal = world.engine(active).failover(now).unwrap_err().to_string();
    assert_eq!(refusal, "the peer has a fault, and this router has none: the role would come straight back");
    // Where both have one, the operator decides.
    world.fault(active, true);
    let now = world.now;
    assert!(world.engine(active).failover(now).is_ok());
    world.run(SECOND * 5);
    assert_eq!(world.the_active(), 1 - active);
}

#[test]
fn a_fault_is_told_at_once() {
    let (mut world, active) = plain();
    world.fault(active, true);
    world.run(world.setup.delay * 4);
    assert_eq!(world.the_active(), 1 - active, "no heartbeat was waited for");
    assert_eq!(world.engine(active).explanation(), "peer has taken over; this router has a fault: uplink");
}

#[test]
fn a_role_is_not_offered_to_a_peer_that_does_not_hear() {
    let mut world = World::new(Setup { witness: true, ..Setup::plain() }, Random::new(1));
    world.boot(0, false);
    world.boot(1, false);
    world.run(SECOND * 5);
    assert_eq!(world.the_active(), 0);
    // Nothing that the active router says arrives, and the other one has no witness for taking over.
    world.network.set_from(0, false);
    world.witness[1] = false;
    world.run(SECOND * 5);
    world.forget();
    world.fault(0, true);
    world.run(SECOND * 60);
    assert_eq!((world.the_active(), world.changes()), (0, 0));
}

#[test]
fn an_automatic_failback_waits_until_the_fault_is_gone() {
    let failback = Failback::Auto { delay: SECOND };
    let mut world = World::new(Setup { failback, ..Setup::plain() }, Random::new(1));
    world.boot(0, false);
    world.boot(1, false);
    world.run(SECOND * 5);
    assert_eq!(world.the_active(), 0);
    world.fault(0, true);
    world.run(SECOND * 60);
    assert_eq!(world.the_active(), 1);
    world.forget();
    world.fault(0, false);
    world.run(SECOND * 5);
    assert_eq!((world.the_active(), world.changes()), (0, 3));
}
