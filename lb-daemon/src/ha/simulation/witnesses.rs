//! Pairs with a witness. That a router which hears neither it nor the peer is not active is checked at every moment of
//! every run, in [`World::check`].

use super::{promises::for_seeds, *};

#[test]
fn of_two_routers_that_lose_each_other_the_one_with_a_witness_is_active() {
    for_seeds(1000, |mut random| {
        let (mut world, active) = settled(&mut random);
        let setup = world.setup.clone();
        let cut_off = world.random.below(2);
        world.network.set_all(false);
        world.witness[cut_off] = false;
        world.run(setup.dead_after + setup.interval + setup.delay);
        assert_eq!(world.the_active(), 1 - cut_off);
        assert_eq!(world.changes(), if cut_off == active { 2 } else { 0 });
        world.run(setup.dead_after);
        let words = "neither the peer nor a witness answers: this router may be cut off";
        assert_eq!(world.engine(cut_off).reason(), words);
        // Back in sight of each other, they keep their roles.
        world.forget();
        world.network.set_all(true);
        world.run(setup.settled());
        assert_eq!((world.the_active(), world.changes()), (1 - cut_off, 0));
        assert_eq!(world.engine(cut_off).reason(), "peer is active");
    });
}

#[test]
fn a_pair_that_has_lost_everything_waits_for_the_first_answer() {
    for_seeds(500, |mut random| {
        let (mut world, _) = settled(&mut random);
        let setup = world.setup.clone();
        world.network.set_all(false);
        world.witness = [false; 2];
        world.run(setup.dead_after * 3);
        assert_eq!([world.role(0), world.role(1)], [Some(Role::Standby); 2]);
        let first = world.random.below(2);
        world.witness[first] = true;
        world.run(setup.interval);
        assert_eq!(world.the_active(), first);
    });
}

#[test]
fn a_witness_that_is_gone_changes_nothing_while_the_routers_hear_each_other() {
    for_seeds(500, |mut random| {
        let (mut world, active) = settled(&mut random);
        let setup = world.setup.clone();
        world.witness = [false; 2];
        world.run(setup.dead_after * 10);
        assert_eq!((world.the_active(), world.changes()), (active, 0));
        // A planned handover needs no witness.
        world.must_forward = true;
        let now = world.now;
        world.engine(active).failover(now).expect("the peer is alive");
        world.run(setup.settled());
        assert_eq!(world.the_active(), 1 - active);
    });
}

#[test]
fn a_lone_router_starts_when_the_witness_answers_and_not_before() {
    for_seeds(200, |mut random| {
        let setup = Setup { witness: true, ..Setup::any(&mut random) };
        let mut world = World::new(setup.clone(), random);
        world.witness = [false; 2];
        let resume = world.random.chance(50);
        world.boot(0, resume);
        world.run(setup.dead_after * 5);
        assert_eq!(world.role(0), Some(Role::Standby));
        world.witness[0] = true;
        world.run(setup.interval);
        assert_eq!(world.role(0), Some(Role::Active));
    });
}

#[test]
fn an_answer_from_before_a_freeze_counts_for_nothing() {
    for_seeds(500, |mut random| {
        let (mut world, active) = settled(&mut random);
        let setup = world.setup.clone();
        let queues = world.random.chance(50);
        world.freeze(1 - active, setup.dead_after * 5, queues);
        world.network.set_all(false);
        world.witness[1 - active] = false;
        world.run(setup.dead_after * 15);
        assert_eq!((world.the_active(), world.changes()), (active, 0));
    });
}

#[test]
fn a_link_that_breaks_takes_peer_and_witness_together_and_moves_nothing() {
    for_seeds(1000, |mut random| {
        let (mut world, active) = settled(&mut random);
        let setup = world.setup.clone();
        // At any moment between two heartbeats: the last answer may be as young as a cut allows.
        let moment = setup.interval * world.random.below(100) as u32 / 100;
        world.run(moment);
        world.network.set_from(0, false);
        world.network.set_from(1, false);
        world.witness[1 - active] = false;
        world.run(setup.dead_after * 5);
        assert_eq!((world.the_active(), world.changes()), (active, 0));
    });
}

/// A settled pair with a witness, of any other kind, without automatic failback.
fn settled(random: &mut Random) -> (World, usize) {
    let any = Setup::any(random);
    World::settled(Setup { witness: true, failback: Failback::Manual, ..any }, random.clone())
}
