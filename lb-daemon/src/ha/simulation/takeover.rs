//! Single situations that have brought other pairs down.

use super::{
    settled::{active_is, plain},
    *,
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_frozen_active_router_yields_when_it_wakes_whatever_its_priority() {
    for queues in [true, false] {
        let (mut world, active) = plain();
        assert_eq!(active, 0, "the preferred router");
        world.freeze(0, SECOND * 5, queues);
        world.run(SECOND * 5);
        world.run(world.setup.interval * 2);
        assert_eq!(world.the_active(), 1, "queues: {queues}");
        assert_eq!(world.engine(0).reason(), "peer took over while this router was frozen");
        // The kernel of the frozen router may have answered for the addresses until it woke.
        let announced = world.nodes[1].notices.iter().filter(|notice| **notice == Notice::Reannounce).count();
        assert_eq!(announced, 1, "queues: {queues}");
    }
}

#[test]
fn a_frozen_standby_router_does_not_take_over_when_it_wakes() {
    for queues in [true, false] {
        let (mut world, active) = plain();
        world.freeze(1 - active, SECOND * 60, queues);
        world.run(SECOND * 70);
        assert_eq!(world.changes(), 0, "queues: {queues}");
    }
}

#[test]
fn a_router_that_was_frozen_alone_speaks_again() {
    for multiple in 3..6 {
        let setup = Setup { dead_after: Setup::plain().interval * multiple, ..Setup::plain() };
        let mut world = World::new(setup, Random::new(1));
        world.boot(0, false);
        world.run(SECOND * 2);
        world.freeze(0, SECOND * 5, false);
        world.run(SECOND * 5);
        world.recorded.clear();
        world.run(SECOND);
        assert!(!world.recorded.is_empty(), "silent after a freeze, with dead_after = {multiple} intervals");
    }
}

#[test]
fn two_routers_frozen_together_go_on_as_before() {
    let (mut world, active) = plain();
    world.freeze(0, SECOND * 30, false);
    world.freeze(1, SECOND * 30, false);
    world.run(SECOND * 40);
    assert_eq!((world.the_active(), world.changes()), (active, 0));
}

#[test]
fn after_a_partition_the_stronger_router_stays_and_announces_again() {
    let (mut world, active) = plain();
    assert_eq!(active, 0);
    world.network.set_all(false);
    world.run(SECOND * 5);
    assert_eq!([world.role(0), world.role(1)], [Some(Role::Active); 2]);
    world.forget();
    // It hears the peer before the peer hears it.
    world.network.set_from(1, true);
    world.run(SECOND / 5);
    world.network.set_all(true);
    world.run(SECOND * 5);
    assert_eq!((world.the_active(), world.changes()), (0, 1));
    let announced = world.nodes[0].notices.iter().filter(|notice| **notice == Notice::Reannounce).count();
    assert_eq!(announced, 2, "when the peer was heard active, and when it had yielded");
}

#[test]
fn in_a_one_way_network_the_router_that_is_heard_keeps_the_role() {
    for deaf in 0..2 {
        let (mut world, _) = plain();
        world.network.set_from(1 - deaf, false);
        world.run(SECOND * 10);
        assert_eq!(world.the_active(), deaf, "only the other can learn that both are active");
        world.forget();
        world.run(SECOND * 60);
        assert_eq!(world.changes(), 0);
    }
}

#[test]
fn one_path_down_is_told_and_not_acted_on() {
    let (mut world, active) = plain();
    world.network.set(0, 0, false);
    world.network.set(1, 0, false);
    world.run(SECOND * 10);
    assert_eq!(world.changes(), 0);
    assert_eq!(world.nodes[1 - active].notices, [Notice::PathDown(0)]);
    world.network.set(0, 0, true);
    world.network.set(1, 0, true);
    world.run(SECOND * 10);
    assert_eq!(world.nodes[1 - active].notices, [Notice::PathDown(0), Notice::PathUp(0)]);
}

#[test]
fn a_daemon_that_restarts_over_an_active_data_plane_keeps_the_role() {
    for active in 0..2 {
        let (mut world, _) = active_is(active);
        world.kill(active);
        world.run(SECOND / 5);
        world.boot(active, true);
        world.run(SECOND * 5);
        assert_eq!(world.the_active(), active);
        assert_eq!(world.nodes[1 - active].notices, [], "the peer saw nothing");
    }
}

#[test]
fn a_daemon_that_restarts_too_late_finds_its_role_taken() {
    let (mut world, active) = plain();
    world.kill(active);
    world.run(SECOND * 2);
    world.boot(active, true);
    world.run(SECOND * 5);
    assert_eq!(world.the_active(), 1 - active);
}

#[test]
fn failover_is_refused_where_nobody_would_take_the_role() {
    let (mut world, active) = plain();
    let now = world.now;
    let standby = world.engine(1 - active).failover(now).unwrap_err().to_string();
    assert_eq!(standby, "this router is standby: there is no role to give");
    world.kill(1 - active);
    world.run(SECOND * 5);
    let now = world.now;
    let dead = world.engine(active).failover(now).unwrap_err().to_string();
    assert_eq!(dead, "the peer is not alive: it would leave nobody active");
}

#[test]
fn a_failover_to_a_peer_that_dies_meanwhile_is_taken_back() {
    let (mut world, active) = plain();
    world.must_forward = true;
    world.kill(1 - active);
    let now = world.now;
    world.engine(active).failover(now).expect("the peer was heard a moment ago");
    world.run(SECOND * 5);
    assert_eq!(world.the_active(), active);
}

#[test]
fn a_given_role_comes_back_when_the_peer_fails() {
    let (mut world, active) = plain();
    let now = world.now;
    world.engine(active).failover(now).expect("the peer is alive");
    world.run(SECOND * 5);
    assert_eq!(world.the_active(), 1 - active);
    world.kill(1 - active);
    world.run(SECOND * 2);
    assert_eq!(world.the_active(), active);
}

#[test]
fn a_stop_without_a_living_peer_does_not_wait() {
    let (mut world, active) = plain();
    world.kill(1 - active);
    world.run(SECOND * 2);
    let now = world.now;
    world.engine(active).shutdown(now);
    assert!(world.engine(active).is_finished());
}
