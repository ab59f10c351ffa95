//! A model check of the flow table: in small worlds of two or three processors every order of their accesses is walked, and
//! at every change of memory the rules are held against it.
//!
//! The code that runs is `lb_common::flow_table` itself (`insert`, `find`, `worst`, `rank`) over a [`Bucket`] whose accesses are
//! steps of a memory as x86-64 has it; [`tasks`] puts them together as the program and the daemon do. A world has at most
//! three entries that change; all others are established connections of a stranger.
//!
//! Checked is: no client ever has two connections that are rivals; nothing is pushed out or removed but what is due, over or
//! half-open; no packet changes another client's connection, or follows one that did not stand meanwhile; one that
//! stands all the time is found; what was made is there; of rivals with room one gets through; and no entry is left claimed or
//! pending. The last tests break one rule of the protocol at a time, and the check must find each.
//!
//! It is a search of our own. The crate loom (0.7.3) looks, for each access, at the last one of the same word only: where a
//! thread reads a word and then exchanges it, which every step here does, it never tries another thread's read after
//! that exchange. Shuttle walks interleavings instead of states, of which there are far more, and knows no stores that wait.
//!
//! [`Bucket`]: lb_common::flow_table::Bucket

#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod explore;
mod faults;
mod machine;
mod processor;
mod rules;
mod tasks;
mod worlds;

use explore::{Report, World, explore};
use faults::Fault;
use rules::Broken;

#[test]
fn two_processors_keep_the_rules() {
    check(worlds::two_rivals());
    check(worlds::two_rivals_and_an_old_key());
    check(worlds::two_clients_and_an_old_key());
    check(worlds::one_place_for_two());
    check(worlds::one_victim_for_two());
    check(worlds::opened_anew_twice());
    check(worlds::opened_anew_and_given_up());
    check(worlds::old_key());
    // The new connection is made in the unit of time in which the old one was used last, or after it.
    check(worlds::given_up_and_confirmed(0));
    check(worlds::given_up_and_confirmed(1));
}

#[test]
fn three_processors_keep_the_rules() {
    check(worlds::given_up_and_confirmed_twice());
    check(worlds::handed_on_twice());
    check(worlds::removed_and_handed_on());
    check(worlds::closed_and_given_up());
    check(worlds::expired_and_used());
    check(worlds::expired_and_given_up());
    check(worlds::surveyed());
}

#[test]
fn one_of_three_rivals_gets_through() {
    check(worlds::three_rivals());
}

#[test]
fn services_with_one_machine_keep_apart() {
    check(worlds::rivals_by_their_replies());
}

#[test]
fn a_broken_protocol_is_found() {
    let rows: [(Fault, World, Broken); 12] = [
        (Fault::NoLook, worlds::two_rivals(), rules::RIVALS),
        (Fault::LookFirst, worlds::two_rivals(), rules::RIVALS),
        (Fault::NoBarrier, worlds::two_rivals(), rules::RIVALS),
        (Fault::NoTurnBack, worlds::two_rivals(), rules::RIVALS),
        (Fault::NoGivingBack, worlds::two_rivals(), rules::LEFT_BEHIND),
        (Fault::BlindClaim, worlds::given_up_and_confirmed(1), rules::PUSHED_OUT),
        (Fault::BlindRemoval, worlds::expired_and_used(), rules::REMOVED),
        (Fault::BlindTouch, worlds::given_up_and_confirmed(1), rules::CONFUSED),
        (Fault::TimeStands, worlds::handed_on_twice(), rules::CONFUSED),
        (Fault::TimeStands, worlds::removed_and_handed_on(), rules::CONFUSED),
        (Fault::KeyOnce, worlds::old_key(), rules::MISDIRECTED),
        (Fault::KeyOnce, worlds::two_clients_and_an_old_key(), rules::STEP),
    ];
    for (fault, world, broken) in rows {
        let name = world.name;
        let report = explore(world, fault);
        assert!(report.broken.contains_key(broken), "{fault:?} in {name}: {:?}", report.broken);
    }
}

#[track_caller]
fn check(world: World) {
    let name = world.name;
    let Report { states, steps, ends, broken } = explore(world, Fault::None);
    println!("{name}: {states} states, {steps} steps, {ends} ends");
    for (rule, story) in &broken {
        println!("{rule}:\n{story}");
    }
    assert!(broken.is_empty(), "{name}: {:?}", broken.keys());
    assert!(ends > 1, "{name}: nothing happens at once");
}
