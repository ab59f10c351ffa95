//! Routers that the operator holds in a role.

use super::{promises::for_seeds, settled::plain, *};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_router_held_standby_gives_its_role_away_without_a_gap_and_no_failback_brings_it_back() {
    for_seeds(1000, |mut random| {
        let setup = Setup::any(&mut random);
        let (mut world, active) = World::settled(setup.clone(), random);
        world.must_forward = true;
        assert_eq!(world.hold(active, Some(Forced::Standby)), Some(Ok(())));
        world.run(setup.settled());
        assert_eq!(world.the_active(), 1 - active);
        world.forget();
        world.run(setup.settled() + setup.failback_delay() * 2);
        assert_eq!((world.the_active(), world.changes()), (1 - active, 0));
    });
}

#[test]
fn a_peer_of_a_router_held_standby_takes_over_at_once() {
    let (mut world, active) = plain();
    world.hold(active, Some(Forced::Standby));
    world.run(world.setup.delay * 4);
    assert_eq!(world.the_active(), 1 - active, "no heartbeat was waited for");
    let reason = world.engine(active).explanation();
    assert_eq!(reason, "peer has taken over; held standby by the operator");
}

#[test]
fn a_router_held_standby_stays_so_when_its_peer_dies_until_it_is_released() {
    for_seeds(500, |mut random| {
        let setup = Setup::any(&mut random);
        let (mut world, active) = World::settled(setup.clone(), random);
        assert_eq!(world.hold(1 - active, Some(Forced::Standby)), Some(Ok(())));
        world.run(setup.settled());
        world.kill(active);
        world.run(setup.settled());
        assert_eq!(world.role(1 - active), Some(Role::Standby));
        // Remembered over a restart.
        world.kill(1 - active);
        world.boot(1 - active, false);
        world.run(setup.settled());
        assert_eq!(world.role(1 - active), Some(Role::Standby));
        assert_eq!(world.hold(1 - active, None), Some(Ok(())));
        world.run(setup.interval);
        assert_eq!(world.role(1 - active), Some(Role::Active));
    });
}

#[test]
fn a_router_held_active_takes_the_role_and_keeps_it() {
    for_seeds(1000, |mut random| {
        let setup = Setup::any(&mut random);
        let (mut world, active) = World::settled(setup.clone(), random);
        world.must_forward = true;
        let node = world.random.below(2);
        world.fault(node, true);
        world.run(setup.settled());
        assert_eq!(world.hold(node, Some(Forced::Active)), Some(Ok(())));
        world.run(setup.settled() * 2);
        assert_eq!(world.the_active(), node, "{active} was active before");
        world.forget();
        world.run(setup.settled() + setup.failback_delay() * 2);
        assert_eq!(world.changes(), 0, "neither its fault nor a failback moves it");
        let now = world.now;
        let refusal = world.engine(node).failover(now).unwrap_err().to_string();
        assert_eq!(refusal, "this router is held active: `lbctl maintenance off` releases it");
        // What it is without the hold counts again.
        world.hold(node, None);
        world.run(setup.settled());
        assert_eq!(world.the_active(), 1 - node);
    });
}

#[test]
fn of_two_routers_held_active_while_apart_one_is_released() {
    for_seeds(500, |mut random| {
        let setup = Setup::any(&mut random);
        let (mut world, _) = World::settled(setup.clone(), random);
        world.network.set_all(false);
        world.run(setup.dead_after * 3);
        for node in 0..2 {
            assert_eq!(world.hold(node, Some(Forced::Active)), Some(Ok(())));
        }
        world.run(setup.dead_after);
        world.network.set_all(true);
        world.run(setup.settled());
        let active = world.the_active();
        let roles = [active, 1 - active].map(|node| world.held[node].as_ref().map(|held| held.role));
        assert_eq!(roles, [Some(Forced::Active), None]);
        assert!(world.nodes[1 - active].notices.contains(&Notice::Released));
    });
}

#[test]
fn what_would_leave_nobody_active_or_two_is_refused() {
    let (mut world, active) = plain();
    let standby = 1 - active;
    world.hold(standby, Some(Forced::Standby));
    world.run(SECOND);
    assert_eq!(world.hold(active, Some(Forced::Standby)), Some(Err(HoldRefusal::PeerHeldStandby)));
    let now = world.now;
    let refusal = world.engine(active).failover(now).unwrap_err().to_string();
    assert_eq!(refusal, "the peer is held standby by its operator: it would leave nobody active");
    world.hold(standby, Some(Forced::Active));
    world.run(SECOND * 5);
    assert_eq!(world.the_active(), standby);
    assert_eq!(world.hold(active, Some(Forced::Active)), Some(Err(HoldRefusal::PeerHeldActive)));
    world.kill(active);
    world.run(SECOND * 5);
    assert_eq!(world.hold(standby, Some(Forced::Standby)), Some(Err(HoldRefusal::PeerDead)));
    assert_eq!(world.role(standby), Some(Role::Active));
}

#[test]
fn an_active_router_stops_at_once_beside_a_peer_that_is_held_standby() {
    let (mut world, active) = plain();
    world.hold(1 - active, Some(Forced::Standby));
    world.run(SECOND);
    let now = world.now;
    world.engine(active).shutdown(now);
    assert!(world.engine(active).is_finished() && world.engine(active).is_unrelieved());
}

#[test]
fn a_daemon_that_is_held_standby_and_restarts_over_an_active_data_plane_waits_for_its_peer() {
    let (mut world, active) = plain();
    world.kill(1 - active);
    world.kill(active);
    world.held[active] = Some(Maintenance { role: Forced::Standby, reason: String::new() });
    world.boot(active, true);
    world.run(SECOND * 5);
    assert_eq!(world.role(active), Some(Role::Active));
    world.must_forward = true;
    world.boot(1 - active, false);
    world.run(SECOND * 5);
    assert_eq!(world.the_active(), 1 - active);
}
