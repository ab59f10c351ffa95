//! Clients whose connections all stand in the same two buckets, and what they send.

use std::{
    net::SocketAddrV4,
    sync::atomic::{AtomicUsize, Ordering},
};

use lb_common::{ConnState, IPPROTO_TCP, Real, Scheduler, Service, ServiceKey, flow_table::Client};
use lb_tests::{
    packet::{Frame, Mac},
    prog::{Action, Program},
};

use super::super::world::*;
use super::table::Table;

/// Clients whose connections are established at the start and stay so.
const PROTECTED: u16 = 4;
/// Clients that come and go: with a connection to each service they would need more entries than there are.
const CLIENTS: u16 = 10;
/// Virtual addresses; each has slots of its own for the same two machines, so that no client can be at all of them.
const VIPS: [[u8; 4]; 3] = [[192, 0, 2, 10], [192, 0, 2, 11], [192, 0, 2, 12]];
/// Machines behind each.
const MACHINES: u32 = 2;
/// Ring of the first service.
const RING: u32 = 4;
/// Packets that both processors together send for one client before they go on to the next one.
const MEETING: usize = 8;

/// All clients.
pub(super) struct Crowd {
    ingress: [u32; 2],
    protected: Vec<Protected>,
    /// Frames of each of the others, by client.
    others: Vec<Others>,
    /// Packets so far.
    sent: AtomicUsize,
    reals: Vec<(u16, Real)>,
}

/// A client with an established connection.
struct Protected {
    client: SocketAddrV4,
    /// Index of its real server.
    real: u16,
    /// A segment of its own, and how it leaves.
    segment: [Vec<u8>; 2],
    /// A segment of its server, and how it leaves.
    reply: [Vec<u8>; 2],
}

/// Frames of a client that comes and goes.
struct Others {
    client: SocketAddrV4,
    /// Of the client, by service: SYN, ACK, RST.
    segments: [[Vec<u8>; 3]; VIPS.len()],
    /// Of the machines: ACK, RST.
    replies: [[Vec<u8>; 2]; MACHINES as usize],
}

/// The generator splitmix64.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % limit as u64) as usize
    }
}

impl Crowd {
    /// Two services on the same two machines, and the protected connections.
    pub(super) fn new(world: &mut World) -> Self {
        world.reset();
        let reals = serve(world, MACHINES);
        let ingress = [world.public, world.private];
        let protected = (0..PROTECTED).map(|number| Protected::connect(world, number)).collect();
        let others = (0..CLIENTS).map(|number| Others::new(port(41_000 + number))).collect();
        Self { ingress, protected, others, sent: AtomicUsize::new(0), reals }
    }

    /// The real servers, by index.
    pub(super) fn reals(&self) -> &[(u16, Real)] {
        &self.reals
    }

    /// The protected connections: client and real server.
    pub(super) fn protected(&self) -> impl Iterator<Item = (Client, u16)> {
        self.protected.iter().map(|protected| (of(protected.client), protected.real))
    }

    /// Sends one packet: in one of four cases of a protected connection, else of the client at which the processors meet.
    pub(super) fn send(&self, program: &Program, random: &mut Random) {
        let [public, private] = self.ingress;
        if random.below(4) == 0 {
            let protected = &self.protected[random.below(self.protected.len())];
            match random.below(2) {
                0 => leaves_as(program, public, &protected.segment),
                _ => leaves_as(program, private, &protected.reply),
            }
            return;
        }
        let sent = self.sent.fetch_add(1, Ordering::Relaxed);
        let other = &self.others[sent / MEETING % self.others.len()];
        let (ingress, frame) = match random.below(4) {
            0 => (private, &other.replies[random.below(2)][usize::from(random.below(4) == 0)]),
            // Half of them SYNs.
            _ => (public, &other.segments[random.below(VIPS.len())][random.below(4).saturating_sub(1)]),
        };
        program.run(ingress, frame).unwrap();
    }

    /// Every connection in the table is found by its client's packets and by its server's. A closed one is left out: it
    /// lives for ten seconds.
    pub(super) fn is_found(&self, program: &Program, table: &Table) {
        let [public, private] = self.ingress;
        let connections = table.connections().into_iter();
        for (key, _) in connections.filter(|(_, meta)| meta.state() != ConnState::Close) {
            let real = self.reals.iter().find(|(index, _)| *index == key.real()).unwrap().1;
            let client = SocketAddrV4::new(key.client().address().into(), key.client().port());
            let vip = SocketAddrV4::new(real.virtual_address.into(), real.virtual_port);
            let machine = u32::from(real.address[3]) - 10;
            let ack = Frame::tcp(client, vip).flags("A").link(mac(client), PUBLIC_MAC);
            leaves_as(program, public, &[ack.bytes(), to_server(ack, machine).bytes()]);
            let reply = Frame::tcp(server(machine), client).flags("A").link(server_mac(machine), PRIVATE_MAC);
            let back = reply.clone().source(vip).link(PUBLIC_MAC, mac(client)).ttl(63);
            leaves_as(program, private, &[reply.bytes(), back.bytes()]);
        }
    }

    /// All but the protected clients reset their connections.
    pub(super) fn close(&self, program: &Program) {
        for [_, _, reset] in self.others.iter().flat_map(|other| &other.segments) {
            program.run(self.ingress[0], reset).unwrap();
        }
    }

    /// Whether a client is one of those that come and go.
    pub(super) fn comes_and_goes(&self, client: Client) -> bool {
        self.others.iter().any(|other| of(other.client) == client)
    }
}

impl Protected {
    /// Establishes a connection. Its number says with which service.
    fn connect(world: &World, number: u16) -> Self {
        let client = port(42_000 + number);
        let vip = vip_of(usize::from(number % 2));
        let frame = |flags| Frame::tcp(client, vip).flags(flags).link(mac(client), PUBLIC_MAC);
        let run = world.program.run(world.public, &frame("S").bytes()).unwrap();
        let machine =
            (1..=MACHINES).find(|machine| run.frame == to_server(frame("S"), *machine).bytes()).unwrap();
        let segment = [frame("A").bytes(), to_server(frame("A"), machine).bytes()];
        leaves_as(&world.program, world.public, &segment);
        let reply = Frame::tcp(server(machine), client).flags("PA").link(server_mac(machine), PRIVATE_MAC);
        let back = reply.clone().source(vip).link(PUBLIC_MAC, mac(client)).ttl(63);
        let real = index(usize::from(number % 2), machine);
        Self { client, real, segment, reply: [reply.bytes(), back.bytes()] }
    }
}

impl Others {
    fn new(client: SocketAddrV4) -> Self {
        let segments = [0, 1, 2].map(|service| {
            ["S", "A", "R"].map(|flags| {
                Frame::tcp(client, vip_of(service)).flags(flags).link(mac(client), PUBLIC_MAC).bytes()
            })
        });
        let replies = [1, 2].map(|machine| {
            ["A", "R"].map(|flags| {
                let reply = Frame::tcp(server(machine), client).flags(flags);
                reply.link(server_mac(machine), PRIVATE_MAC).bytes()
            })
        });
        Self { client, segments, replies }
    }
}

/// A frame leaves by the other interface, as it should.
fn leaves_as(program: &Program, ingress: u32, [frame, expected]: &[Vec<u8>; 2]) {
    let run = program.run(ingress, frame).unwrap();
    assert_eq!(run.action, Action::Redirect, "{run:?}");
    assert!(run.frame == *expected, "the frame is\n{}\nand not\n{}", hex(&run.frame), hex(expected));
}

/// Writes all services, on so many machines; their real servers, by index.
pub(super) fn serve(world: &mut World, machines: u32) -> Vec<(u16, Real)> {
    let mut reals = Vec::new();
    for (service, id) in (0..VIPS.len()).zip(1..) {
        let vip = vip_of(service);
        let (virtual_address, virtual_port) = (vip.ip().octets(), vip.port());
        for machine in 1..=machines {
            let real = Real { service: id, virtual_address, virtual_port, ..world.real(machine) };
            world.program.set_real(index(service, machine).into(), real).unwrap();
            reals.push((index(service, machine), real));
        }
        let ring = RING + 2 * id;
        let slots: Vec<u16> = (1..=machines).map(|machine| index(service, machine)).collect();
        world.program.set_ring(ring, &slots).unwrap();
        let key = ServiceKey::new(IPPROTO_TCP, virtual_address, virtual_port);
        world.program.set_service(key, Service::new(id, ring, machines, Scheduler::RoundRobin)).unwrap();
    }
    reals
}

/// Virtual address and port of a service.
pub(super) fn vip_of(service: usize) -> SocketAddrV4 {
    SocketAddrV4::new(VIPS[service].into(), 80)
}

/// Index of a service's real server on a machine.
pub(super) fn index(service: usize, machine: u32) -> u16 {
    u16::try_from(10 * (service as u32 + 1) + machine).unwrap()
}

/// Each client comes by a gateway of its own, so that it shows when a reply goes to another's.
fn mac(client: SocketAddrV4) -> Mac {
    let [high, low] = client.port().to_be_bytes();
    [2, 0, 0, 1, high, low]
}

fn of(client: SocketAddrV4) -> Client {
    Client::new(client.ip().octets(), client.port())
}
