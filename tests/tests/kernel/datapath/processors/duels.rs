//! What the model check of `lb-common` walks, on the real program: two packets, or a packet and the daemon, at one moment.

use std::mem;

use lb_common::{ConnState, flow_table::WAYS};
use lb_tests::{
    packet::Frame,
    prog::{Action, Program, Run, Sizes},
};

use super::super::world::*;
use super::{alone, crowd, duel::duel, table::Table, two_processors};

/// A client of the duel.
const X: u16 = 43_000;
/// Another one.
const Y: u16 = 43_001;
/// Entries of both buckets.
const PLACES: usize = 2 * WAYS;

/// A frame of the client with port `number` to a service.
fn frame(number: u16, service: usize, flags: &str) -> Frame {
    Frame::tcp(port(number), crowd::vip_of(service)).flags(flags).link(CLIENT_MAC, PUBLIC_MAC)
}

/// The machine that a frame of a client was sent to.
fn machine(run: &Run, frame: &Frame) -> Option<u32> {
    let machine = (1..=2).find(|machine| run.frame == to_server(frame.clone(), *machine).bytes());
    assert_eq!(run.action == Action::Redirect, machine.is_some(), "{run:?}");
    machine
}

/// Runs a test in a table of two buckets, with services on so many machines.
fn with_table(machines: u32, test: impl FnOnce(&Program, &Table, u32, [usize; 2]) + Send) {
    let Some(processors) = two_processors() else {
        eprintln!("SKIPPED: a duel needs two processors, and this machine has one");
        return;
    };
    let _alone = alone();
    with_world(|world| {
        let small = mem::replace(&mut world.program, Program::load_with(Sizes::TWO_BUCKETS, 0).unwrap());
        world.reset();
        let reals = crowd::serve(world, machines);
        let table = Table::new(world, &reals);
        test(&world.program, &table, world.public, processors);
        println!("{:?}", world.program.reasons().unwrap());
        world.program = small;
    });
}

#[test]
fn two_syns_of_one_client_become_one_connection() {
    with_table(2, |program, table, public, processors| {
        let syn = frame(X, 0, "S");
        let send = || program.run(public, &syn.bytes()).unwrap();
        let prepare = || table.fill(0, program);
        duel(processors, prepare, send, send, |one, other| {
            let [(real, _)] = table.of(X)[..] else { panic!("{:?}", table.connections()) };
            let machines = [machine(&one, &syn), machine(&other, &syn)];
            assert!(
                machines.iter().flatten().all(|machine| crowd::index(0, *machine) == real),
                "{machines:?}"
            );
            assert_ne!(machines, [None, None]);
        });
    });
}

#[test]
fn a_closed_connection_is_opened_anew_once() {
    with_table(2, |program, table, public, processors| {
        let [syn, reset] = ["S", "R"].map(|flags| frame(X, 0, flags));
        let ack = frame(X, 0, "A").bytes();
        let send = || program.run(public, &syn.bytes()).unwrap();
        let prepare = || {
            table.fill(0, program);
            for frame in [&syn.bytes(), &ack, &reset.bytes()] {
                program.run(public, frame).unwrap();
            }
            assert!(matches!(table.of(X)[..], [(_, ConnState::Close)]));
        };
        duel(processors, prepare, send, send, |one, other| {
            let [(real, ConnState::SynRecv)] = table.of(X)[..] else { panic!("{:?}", table.connections()) };
            let machines = [machine(&one, &syn), machine(&other, &syn)];
            // One that was sent on by the closed connection reached it before that was removed.
            assert!(
                machines.iter().flatten().any(|machine| crowd::index(0, *machine) == real),
                "{machines:?}"
            );
        });
    });
}

#[test]
fn two_services_never_share_a_client_port_on_one_machine() {
    with_table(1, |program, table, public, processors| {
        let [one, other] = [0, 1].map(|service| frame(X, service, "S"));
        let send = |frame: &Frame| machine(&program.run(public, &frame.bytes()).unwrap(), frame);
        let prepare = || table.fill(0, program);
        duel(
            processors,
            prepare,
            || send(&one),
            || send(&other),
            |one, other| {
                let [(real, _)] = table.of(X)[..] else { panic!("{:?}", table.connections()) };
                let sent = [one, other].map(|machine| machine.is_some());
                assert_eq!(sent, [0, 1].map(|service| crowd::index(service, 1) == real));
            },
        );
    });
}

#[test]
fn a_connection_is_given_up_or_confirmed_but_never_both() {
    with_table(2, |program, table, public, processors| {
        let (syn, ack) = (frame(Y, 0, "S"), frame(X, 0, "A").bytes());
        let first = frame(X, 0, "S").bytes();
        let prepare = || {
            table.fill(PLACES - 1, program);
            program.run(public, &first).unwrap();
        };
        let send = |frame: &[u8]| program.run(public, frame).unwrap();
        duel(
            processors,
            prepare,
            || send(&syn.bytes()),
            || send(&ack),
            |new, _| {
                assert_eq!(table.connections().len(), PLACES);
                let (x, y) = (table.of(X), table.of(Y));
                match machine(&new, &syn) {
                    // The other's packet is not taken for its own.
                    Some(machine) => {
                        assert_eq!((x, y), (vec![], vec![(crowd::index(0, machine), ConnState::SynRecv)]));
                    }
                    None => assert!(
                        matches!((&x[..], &y[..]), ([(_, ConnState::Established)], [])),
                        "{x:?} {y:?}"
                    ),
                }
            },
        );
    });
}

#[test]
fn a_connection_expires_or_is_confirmed_but_never_both() {
    with_table(2, |program, table, public, processors| {
        let [syn, ack] = ["S", "A"].map(|flags| frame(X, 0, flags));
        let prepare = || {
            table.fill(0, program);
            program.run(public, &syn.bytes()).unwrap();
        };
        let expire = || (table.expire(), None);
        let confirm = || (0, machine(&program.run(public, &ack.bytes()).unwrap(), &ack));
        duel(processors, prepare, expire, confirm, |(forgotten, _), (_, machine)| {
            let own = table.of(X);
            match forgotten {
                0 => assert!(matches!(own[..], [(real, ConnState::Established)]
                    if machine.map(|machine| crowd::index(0, machine)) == Some(real))),
                _ => assert_eq!((forgotten, own), (1, vec![])),
            }
        });
    });
}

#[test]
fn a_place_that_expires_is_taken_once() {
    with_table(2, |program, table, public, processors| {
        let (first, syn) = (frame(X, 0, "S").bytes(), frame(Y, 0, "S"));
        let prepare = || {
            table.fill(PLACES - 1, program);
            program.run(public, &first).unwrap();
        };
        let expire = || (table.expire(), None);
        let open = || (0, machine(&program.run(public, &syn.bytes()).unwrap(), &syn));
        duel(processors, prepare, expire, open, |_, (_, machine)| {
            assert_eq!(table.of(X), []);
            let own = table.of(Y);
            // What was made may have expired at once.
            match own[..] {
                [] => {}
                [(real, ConnState::SynRecv)] => {
                    assert_eq!(machine.map(|machine| crowd::index(0, machine)), Some(real));
                }
                _ => panic!("{own:?}"),
            }
            assert!(table.connections().len() >= PLACES - 1);
        });
    });
}
