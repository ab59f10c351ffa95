//! The programs that packets meet first, each made for some forwarding methods.

use lb_common::{Method, Methods, Reason, program};

use super::world::*;

#[test]
fn what_the_program_is_not_made_for_is_forwarded_all_the_same() {
    with_world(|world| {
        for methods in [Methods::NONE, NAT, DIRECT, Methods::ALL] {
            world.reset();
            world.program.use_methods(methods);
            by_nat(world);
            world.reset();
            world.program.use_methods(methods);
            by_direct_routing(world);
        }
    });
}

#[test]
fn what_is_not_in_use_is_not_in_the_program() {
    with_world(|world| {
        let sizes: Vec<u32> =
            world.program.infos().unwrap().iter().map(|info| info.size_translated().unwrap()).collect();
        let [all, nat, direct] = [Methods::ALL, NAT, DIRECT].map(|methods| {
            let name = program::entry(methods);
            sizes[program::ENTRIES.iter().position(|entry| *entry == name).unwrap()]
        });
        assert!(direct < nat && nat < all, "{direct} {nat} {all}");
    });
}

const NAT: Methods = Methods::NONE.with(Method::Nat);
const DIRECT: Methods = Methods::NONE.with(Method::Direct);

fn by_nat(world: &mut World) {
    for (side, flags) in [
        ("client", "S"),
        ("server", "SA"),
        ("client", "A"),
        ("client", "PA"),
        ("server", "PA"),
        ("client", "FA"),
    ] {
        world.passes(side, flags);
    }
    for row in ["datagram", "another datagram"] {
        world.public(row, &datagram(), redirect(Reason::NatIn, &to_server(datagram(), 1)));
    }
}

fn by_direct_routing(world: &mut World) {
    world.use_direct_routing();
    for flags in ["S", "A", "PA", "FA"] {
        let frame = from_client(flags);
        world.public(flags, &frame, transmit(Reason::Direct, &to_direct_server(frame.clone(), 1)));
    }
    for row in ["datagram", "another datagram"] {
        world.public(row, &datagram(), transmit(Reason::Direct, &to_direct_server(datagram(), 1)));
    }
}
