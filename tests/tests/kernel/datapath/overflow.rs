//! Where both buckets of a connection are full of established ones.

use std::net::SocketAddrV4;

use lb_common::{
    ConnState, IPPROTO_TCP, IPPROTO_UDP, Reason, Scheduler,
    flow_table::{Client, Key, Meta, Phase, WAYS},
};
use lb_tests::prog::{Flow, Program};

use super::world::*;

/// Fills both buckets of the client with connections that nothing may push out.
fn fill(world: &mut World, protocol: u8) {
    fill_for(world, flow_client(), protocol);
}

/// The same for another client.
fn fill_for(world: &mut World, client: Client, protocol: u8) {
    let now = world.program.now().unwrap();
    let meta = Meta::new(IPPROTO_TCP, ConnState::Established, now, GENERATION, 0).in_phase(Phase::Live);
    for bucket in Program::buckets(client, protocol) {
        for (way, port) in (0..WAYS).zip(1..) {
            let key = Key::new(Client::new([198, 51, 100, 1], port), 3);
            world.program.set_flow(&Flow { bucket, way, key, meta }).unwrap();
        }
    }
}

/// Makes room in the second bucket.
fn make_room(world: &mut World) {
    let [_, bucket] = Program::buckets(flow_client(), IPPROTO_TCP);
    let key = Key::new(Client::new([0; 4], 0), 0);
    world.program.set_flow(&Flow { bucket, way: 0, key, meta: Meta::FREE }).unwrap();
}

#[test]
fn nat_refuses_and_forgets_nobody() {
    with_world(|world| {
        fill(world, IPPROTO_TCP);
        let before = world.program.flows().unwrap();
        world.public("SYN", &from_client("S"), drop(Reason::FlowTableFull));
        assert_eq!(world.program.flows().unwrap(), before);
        make_room(world);
        let syn = from_client("S");
        world.public("with room", &syn, redirect(Reason::NatIn, &to_server(syn.clone(), 2)));
    });
}

#[test]
fn direct_routing_goes_on_without_an_entry_to_one_server() {
    with_world(|world| {
        world.use_direct_routing();
        fill(world, IPPROTO_TCP);
        let before = world.program.flows().unwrap();
        let server = chosen(world);
        // Whatever comes next in turn.
        for (position, flags) in (0..).zip(["S", "A", "PA", "A", "S", "FA"]) {
            world.program.set_position(TCP_RING, position).unwrap();
            let frame = from_client(flags);
            let there = to_direct_server(frame.clone(), server);
            world.public(flags, &frame, transmit(Reason::Direct, &there));
        }
        assert_eq!(world.program.flows().unwrap(), before);
        make_room(world);
        let ack = from_client("A");
        world.public("room", &ack, transmit(Reason::Direct, &to_direct_server(ack.clone(), server)));
        let flows = world.program.flows().unwrap();
        let entry = flows.iter().find(|flow| flow.key.client() == flow_client()).unwrap();
        assert_eq!(u32::from(entry.key.real()), server, "it has an entry now");
        assert_eq!(entry.meta.state(), ConnState::Established);
    });
}

#[test]
fn only_where_there_was_no_room_are_strays_taken_for_connections() {
    with_world(|world| {
        world.use_direct_routing();
        let stray = from_client("A");
        world.public("stray", &stray, transmit(Reason::SecondChance, &to_peer(stray.clone())));
        fill(world, IPPROTO_TCP);
        world.public("full, unused", &stray, transmit(Reason::SecondChance, &to_peer(stray.clone())));
        let server = chosen(world);
        world.public("used", &stray, transmit(Reason::Direct, &to_direct_server(stray.clone(), server)));
        // With NAT no connection is without an entry.
        world.reset();
        world.public("NAT", &stray, transmit(Reason::SecondChance, &to_peer(stray.clone())));
    });
}

#[test]
fn connections_without_an_entry_are_spread_over_the_servers() {
    with_world(|world| {
        world.use_direct_routing();
        let mut servers = std::collections::BTreeSet::new();
        for number in 0..32 {
            // Clients that share a neighbourhood which is full.
            let client = port(41_000 + number);
            let table_client = Client::new(client.ip().octets(), client.port());
            let now = world.program.now().unwrap();
            for bucket in Program::buckets(table_client, IPPROTO_UDP) {
                for (way, port) in (0..WAYS).zip(1..) {
                    let key = Key::new(Client::new([198, 51, 100, 1], port), 3);
                    let meta = Meta::new(IPPROTO_TCP, ConnState::Established, now, GENERATION, 0);
                    let flow = Flow { bucket, way, key, meta: meta.in_phase(Phase::Live) };
                    world.program.set_flow(&flow).unwrap();
                }
            }
            let query = datagram().source(client);
            let run = world.program.run(world.public, &query.bytes()).unwrap();
            let again = world.program.run(world.public, &query.bytes()).unwrap();
            assert_eq!(run, again, "client {number}");
            servers
                .insert((1..=3).find(|&s| run.frame == to_direct_server(query.clone(), s).bytes()).unwrap());
        }
        assert_eq!(servers.len(), 3);
    });
}

#[test]
fn hashed_services_choose_the_same_server_without_an_entry() {
    with_world(|world| {
        let ring: Vec<u16> = [1, 2, 3].into_iter().cycle().take(256).collect();
        for scheduler in [Scheduler::SourceHash, Scheduler::Maglev] {
            let mut servers = std::collections::BTreeSet::new();
            for number in 0..16 {
                let source = SocketAddrV4::new([10, 0, 0, 101 + number].into(), client().port());
                let frame = |flags| from_client(flags).source(source);
                world.reset();
                world.use_direct_routing();
                world.serve(IPPROTO_TCP, TCP_RING, scheduler, &ring);
                let run = world.program.run(world.public, &frame("S").bytes()).unwrap();
                let with_room = |&s: &u32| run.frame == to_direct_server(frame("S"), s).bytes();
                let server = (1..=3).find(with_room).unwrap();
                servers.insert(server);
                world.reset();
                world.use_direct_routing();
                world.serve(IPPROTO_TCP, TCP_RING, scheduler, &ring);
                let client = Client::new(source.ip().octets(), source.port());
                fill_for(world, client, IPPROTO_TCP);
                for flags in ["S", "A", "FA"] {
                    let there = to_direct_server(frame(flags), server);
                    let row = format!("{} {source} {flags}", scheduler.name());
                    world.public(&row, &frame(flags), transmit(Reason::Direct, &there));
                }
                let flows = world.program.flows().unwrap();
                assert!(flows.iter().all(|flow| flow.key.client() != client));
            }
            assert_eq!(servers.len(), 3);
        }
    });
}

/// The server that the client's first SYN goes to.
fn chosen(world: &mut World) -> u32 {
    let syn = from_client("S");
    let run = world.program.run(world.public, &syn.bytes()).unwrap();
    (1..=3).find(|&index| run.frame == to_direct_server(syn.clone(), index).bytes()).unwrap()
}
