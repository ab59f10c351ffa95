//! Several processors at once: the program runs on two of them at the same moment, on packets of connections that all stand
//! in the same two buckets, while the daemon's survey counts and expires in the mapped table.
//!
//! What goes on is random, but bounded in number. Connections that are protected get packets all the time, each of which
//! must go where the first one went. After each round, when all is quiet, the table must be sound.

mod crowd;
mod duel;
mod duels;
mod table;

use std::{
    mem,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use lb_common::Reason;
use lb_tests::prog::{Program, Sizes};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

use super::world::*;
use crowd::{Crowd, Random};
use table::Table;

/// Rounds, each with a look at what has become of the table.
const ROUNDS: u64 = 200;
/// Packets of each processor in a round.
const PACKETS: u32 = 2000;

#[test]
fn processors_and_the_daemon_change_two_buckets_at_once() {
    let Some(processors) = two_processors() else {
        eprintln!("SKIPPED: the flow table is shared by two processors, and this machine has one");
        return;
    };
    let _alone = alone();
    with_world(|world| {
        // One that other tests may have afterwards stays aside.
        let small = mem::replace(&mut world.program, Program::load_with(Sizes::TWO_BUCKETS, 0).unwrap());
        let crowd = Crowd::new(world);
        let table = Table::new(world, crowd.reals());
        for round in 0..ROUNDS {
            run(&world.program, &crowd, &table, processors, round);
            table.is_sound(&crowd);
            crowd.is_found(&world.program, &table);
        }
        crowd.close(&world.program);
        table.forget_what_is_not_established();
        table.has_only_protected_connections(&crowd);
        only_expected_reasons(world);
        world.program = small;
    });
}

/// One test at a time: they would keep each other's processors busy, and hardly anything would happen at one moment.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Two processors that this thread may run on.
fn two_processors() -> Option<[usize; 2]> {
    let allowed = sched_getaffinity(Pid::from_raw(0)).unwrap();
    let mut numbers = (0..CpuSet::count()).filter(|number| allowed.is_set(*number).unwrap_or(false));
    Some([numbers.next()?, numbers.next()?])
}

/// Packets on both processors at once, and surveys until the last of them.
fn run(program: &Program, crowd: &Crowd, table: &Table, processors: [usize; 2], round: u64) {
    let goes = AtomicBool::new(false);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..)
            .zip(processors)
            .map(|(number, processor)| {
                let goes = &goes;
                scope.spawn(move || {
                    pin(processor);
                    while !goes.load(Ordering::Acquire) {
                        thread::yield_now();
                    }
                    let mut random = Random(2 * round + number);
                    (0..PACKETS).for_each(|_| crowd.send(program, &mut random));
                })
            })
            .collect();
        goes.store(true, Ordering::Release);
        for number in 1.. {
            table.survey();
            (0..16).for_each(|_| table.has_no_lasting_rivals());
            // Seldom enough that new connections also have to take the place of others.
            if number % 16 == 0 {
                table.forget_what_is_not_established();
            }
            if workers.iter().all(|worker| worker.is_finished()) {
                break;
            }
            thread::yield_now();
        }
    });
}

fn pin(processor: usize) {
    let mut set = CpuSet::new();
    set.set(processor).unwrap();
    sched_setaffinity(Pid::from_raw(0), &set).unwrap();
}

/// Whatever befell a packet, it had one of the reasons that it may have had; and all that matters did happen.
fn only_expected_reasons(world: &mut World) {
    let reasons = world.program.reasons().unwrap();
    println!("{reasons:?}");
    let known = [Reason::NatIn, Reason::NatOut, Reason::SecondChance, Reason::PortConflict];
    let rare = [Reason::FlowTableFull, Reason::Contended];
    assert!(reasons.keys().all(|reason| known.contains(reason) || rare.contains(reason)), "{reasons:?}");
    assert!(known.iter().all(|reason| reasons[reason].packets > 1000), "{reasons:?}");
}
