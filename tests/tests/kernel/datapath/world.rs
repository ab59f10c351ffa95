//! The network that every packet table plays in, and how one row is checked.
//!
//! ```text
//!  client 10.0.0.100 ──┐                        ┌── 10.1.0.11  real servers
//!                      ├─ public   private ─────┼── 10.1.0.12
//!  peer router ────────┘                        └── 10.1.0.13
//! ```

use std::{
    fs,
    net::{Ipv4Addr, SocketAddrV4},
    process::Command,
    sync::{Mutex, MutexGuard, PoisonError},
    thread,
};

use lb_common::{
    Counter, IPPROTO_TCP, IPPROTO_UDP, Method, PeerHop, Real, RealKey, RealState, Reason, RouterRole,
    Scheduler, Service, ServiceKey, flow_table::Client,
};
use lb_tests::{
    packet::{Frame, Mac},
    prog::{Action, Program},
};
use nix::sched::{CloneFlags, unshare};

/// The client's host.
pub(crate) const CLIENT_MAC: Mac = [2, 0, 0, 0, 0, 0xc1];
/// The router on the client's segment.
pub(crate) const PUBLIC_MAC: Mac = [2, 0, 0, 0, 1, 1];
/// The router on the real servers' segment.
pub(crate) const PRIVATE_MAC: Mac = [2, 0, 0, 0, 1, 2];
/// The peer router on the client's segment.
pub(crate) const PEER_MAC: Mac = [2, 0, 0, 0, 2, 1];
/// The peer router on the real servers' segment.
pub(crate) const PEER_PRIVATE_MAC: Mac = [2, 0, 0, 0, 2, 2];
/// Generation of every real server here.
pub(crate) const GENERATION: u32 = 7;
/// Ring of the TCP service. The UDP service has the next one.
pub(crate) const TCP_RING: u32 = 2;
/// See [`TCP_RING`].
pub(crate) const UDP_RING: u32 = 3;

/// A router in a network namespace of its own, and its program.
pub(crate) struct World {
    pub(crate) program: Program,
    /// Interface index towards the clients.
    pub(crate) public: u32,
    /// Interface index towards the real servers.
    pub(crate) private: u32,
}

/// What a row expects.
pub(crate) struct Expected {
    action: Action,
    reason: Reason,
    /// `None` where the frame stays as it was.
    frame: Option<Vec<u8>>,
}

impl Expected {
    /// The frame leaves as these bytes by the interface that it came in by.
    pub(crate) fn transmitted(reason: Reason, bytes: Vec<u8>) -> Self {
        Self { action: Action::Tx, reason, frame: Some(bytes) }
    }

    /// The kernel gets the frame as these bytes.
    pub(crate) fn passed(reason: Reason, bytes: Vec<u8>) -> Self {
        Self { action: Action::Pass, reason, frame: Some(bytes) }
    }
}

/// The kernel gets the frame untouched.
pub(crate) fn pass(reason: Reason) -> Expected {
    Expected { action: Action::Pass, reason, frame: None }
}

/// The frame is dropped untouched.
pub(crate) fn drop(reason: Reason) -> Expected {
    Expected { action: Action::Drop, reason, frame: None }
}

/// The frame leaves as `frame` by the interface that it came in by.
pub(crate) fn transmit(reason: Reason, frame: &Frame) -> Expected {
    Expected { action: Action::Tx, reason, frame: Some(frame.bytes()) }
}

/// The frame leaves as `frame` by another interface.
pub(crate) fn redirect(reason: Reason, frame: &Frame) -> Expected {
    Expected { action: Action::Redirect, reason, frame: Some(frame.bytes()) }
}

/// The frame leaves as these bytes by another interface.
pub(crate) fn redirect_bytes(reason: Reason, frame: Vec<u8>) -> Expected {
    Expected { action: Action::Redirect, reason, frame: Some(frame) }
}

/// Runs `test` in a [`World`] of its own. Without root nothing can be tested, which is said.
pub(crate) fn with_world(test: impl FnOnce(&mut World) + Send) {
    if !nix::unistd::geteuid().is_root() {
        eprintln!("SKIPPED: the packet tables need root to load the program");
        return;
    }
    // The namespace belongs to the thread and ends with it.
    let result = thread::scope(|scope| {
        scope
            .spawn(|| {
                unshare(CloneFlags::CLONE_NEWNET).unwrap();
                let mut world = World::new();
                world.reset();
                test(&mut world);
                idle().push(world.program);
            })
            .join()
    });
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

/// Programs that a test has used and no test uses now: to load one costs the verifier longer than a test takes. A test
/// that fails leaves its own out.
fn idle() -> MutexGuard<'static, Vec<Program>> {
    static IDLE: Mutex<Vec<Program>> = Mutex::new(Vec::new());
    IDLE.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    fn new() -> Self {
        ip("link add public type veth peer name public-end");
        ip("link add private type veth peer name private-end");
        for name in ["public", "public-end", "private", "private-end"] {
            fs::write(format!("/proc/sys/net/ipv6/conf/{name}/disable_ipv6"), "1").ok();
            ip(&format!("link set {name} up"));
        }
        let index = |name| nix::net::if_::if_nametoindex(name).unwrap();
        // A statement of its own: the lock must not be held while another program is loaded.
        let idle = idle().pop();
        let program = idle.unwrap_or_else(|| Program::load().unwrap());
        Self { program, public: index("public"), private: index("private") }
    }

    /// An active router with one TCP and one UDP service, each on three real servers by NAT, port 8080; rings of one
    /// turn. The peer is known on both segments.
    pub(crate) fn reset(&mut self) {
        self.program.clear().unwrap();
        self.program.set_role(RouterRole::Active).unwrap();
        for index in 1..=3 {
            let real = self.real(index);
            self.program.set_real(index, real).unwrap();
            for protocol in [IPPROTO_TCP, IPPROTO_UDP] {
                let key = RealKey::new(protocol, real.address, real.port);
                self.program.set_real_key(key, index).unwrap();
            }
        }
        self.serve(IPPROTO_TCP, TCP_RING, Scheduler::RoundRobin, &[1, 2, 3]);
        self.serve(IPPROTO_UDP, UDP_RING, Scheduler::RoundRobin, &[1, 2, 3]);
        let hops = [(self.public, PEER_MAC, PUBLIC_MAC), (self.private, PEER_PRIVATE_MAC, PRIVATE_MAC)];
        for (ifindex, mac, source_mac) in hops {
            self.program.set_peer_hop(ifindex, PeerHop { mac, source_mac }).unwrap();
        }
        self.program.zero_counters().unwrap();
    }

    /// Real server number `index`, by NAT on the private segment.
    pub(crate) fn real(&self, index: u32) -> Real {
        Real {
            address: server(index).ip().octets(),
            port: server(index).port(),
            method: Method::Nat as u8,
            state: RealState::Up as u8,
            mac: server_mac(index),
            source_mac: PRIVATE_MAC,
            ifindex: self.private,
            generation: GENERATION,
            service: 1,
            weight: 1,
            virtual_address: vip().ip().octets(),
            virtual_port: vip().port(),
            ..Real::default()
        }
    }

    /// Real server number `index`, by direct routing on the public segment.
    pub(crate) fn direct_real(&self, index: u32) -> Real {
        Real {
            port: vip().port(),
            method: Method::Direct as u8,
            source_mac: PUBLIC_MAC,
            ifindex: self.public,
            ..self.real(index)
        }
    }

    /// Makes all three real servers direct ones.
    pub(crate) fn use_direct_routing(&mut self) {
        for index in 1..=3 {
            let real = self.direct_real(index);
            self.program.set_real(index, real).unwrap();
        }
    }

    /// Changes real server number `index`.
    pub(crate) fn change_real(&mut self, index: u32, change: impl FnOnce(&mut Real)) {
        let mut real = self.real(index);
        change(&mut real);
        self.program.set_real(index, real).unwrap();
    }

    /// Writes the service of `protocol` with this schedule, at its start.
    pub(crate) fn serve(&mut self, protocol: u8, ring: u32, scheduler: Scheduler, slots: &[u16]) {
        let length = u32::try_from(slots.len()).unwrap();
        self.program.set_ring(ring, slots).unwrap();
        self.program.set_position(ring, 0).unwrap();
        let key = ServiceKey::new(protocol, vip().ip().octets(), vip().port());
        self.program.set_service(key, Service::new(1, ring, length, scheduler)).unwrap();
    }

    /// Closes the service of `protocol`, whose schedule has so many slots.
    pub(crate) fn close(&mut self, protocol: u8, ring: u32, slots: u32) {
        let key = ServiceKey::new(protocol, vip().ip().octets(), vip().port());
        let service = Service::new(1, ring, slots, Scheduler::RoundRobin).closed(true);
        self.program.set_service(key, service).unwrap();
    }

    /// Lets the kernel route between both segments, so that `bpf_fib_lookup` answers; the client is a neighbour.
    pub(crate) fn route(&self) {
        ip(&format!("link set public address {}", text(PUBLIC_MAC)));
        ip("address add 10.0.0.1/24 dev public");
        ip("address add 10.1.0.1/24 dev private");
        let client = client();
        ip(&format!("neighbour add {} lladdr {} dev public nud permanent", client.ip(), text(CLIENT_MAC)));
        fs::write("/proc/sys/net/ipv4/ip_forward", "1").unwrap();
    }

    /// Sets the largest packet of an interface and of its other end, in bytes.
    pub(crate) fn set_mtu(&self, name: &str, mtu: u32) {
        ip(&format!("link set {name} mtu {mtu}"));
        ip(&format!("link set {name}-end mtu {mtu}"));
    }

    /// Checks that a segment of the connection with server 1 is forwarded by NAT; `side` is "client" or "server".
    #[track_caller]
    pub(crate) fn passes(&mut self, side: &str, flags: &str) {
        if side == "client" {
            let frame = from_client(flags);
            self.public(flags, &frame, redirect(Reason::NatIn, &to_server(frame.clone(), 1)));
        } else {
            let frame = from_server(1, flags);
            self.private(flags, &frame, redirect(Reason::NatOut, &to_client(frame.clone())));
        }
    }

    /// Runs a frame that comes in by the public segment, and checks everything about its end.
    #[track_caller]
    pub(crate) fn public(&mut self, row: &str, frame: &Frame, expected: Expected) {
        self.row(row, self.public, &frame.bytes(), &expected);
    }

    /// The same for the private segment.
    #[track_caller]
    pub(crate) fn private(&mut self, row: &str, frame: &Frame, expected: Expected) {
        self.row(row, self.private, &frame.bytes(), &expected);
    }

    /// The same for the bytes of any frame and any interface.
    #[track_caller]
    pub(crate) fn row(&mut self, row: &str, ingress: u32, frame: &[u8], expected: &Expected) {
        let before = self.program.reasons().unwrap();
        let run = self.program.run(ingress, frame).unwrap();
        let mut counters = self.program.reasons().unwrap();
        for (reason, earlier) in before {
            let now = counters.get_mut(&reason).unwrap();
            now.packets -= earlier.packets;
            now.bytes -= earlier.bytes;
        }
        counters.retain(|_, counter| *counter != Counter::default());
        let counted: Vec<_> = counters.into_iter().collect();
        let counter = Counter { packets: 1, bytes: frame.len() as u64 };
        assert_eq!(counted, [(expected.reason, counter)], "{row}: the reason; {run:?}");
        assert_eq!(run.action, expected.action, "{row}: the action; {run:?}");
        let out = expected.frame.as_deref().unwrap_or(frame);
        assert!(run.frame == out, "{row}: the frame is\n{}\nand not\n{}", hex(&run.frame), hex(out));
    }
}

/// The client.
pub(crate) fn client() -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 100), 40_000)
}

/// The client with another port.
pub(crate) fn port(port: u16) -> SocketAddrV4 {
    SocketAddrV4::new(*client().ip(), port)
}

/// The virtual address and port of both services.
pub(crate) fn vip() -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 10), 80)
}

/// Address and port of real server number `index`.
pub(crate) fn server(index: u32) -> SocketAddrV4 {
    SocketAddrV4::new(Ipv4Addr::from(0x0a01_000a + index), 8080)
}

/// MAC address of real server number `index`.
pub(crate) fn server_mac(index: u32) -> Mac {
    [2, 0, 0, 0, 3, u8::try_from(index).unwrap()]
}

/// The client as the flow table knows it.
pub(crate) fn flow_client() -> Client {
    Client::new(client().ip().octets(), client().port())
}

/// A TCP segment of the client with these flags.
pub(crate) fn from_client(flags: &str) -> Frame {
    Frame::tcp(client(), vip()).flags(flags).numbers(1000, 0).link(CLIENT_MAC, PUBLIC_MAC)
}

/// A UDP datagram of the client.
pub(crate) fn datagram() -> Frame {
    Frame::udp(client(), vip()).payload(b"query").link(CLIENT_MAC, PUBLIC_MAC)
}

/// A frame of the client as NAT sends it to real server number `index`.
pub(crate) fn to_server(frame: Frame, index: u32) -> Frame {
    frame.destination(server(index)).link(PRIVATE_MAC, server_mac(index)).ttl(63)
}

/// A frame of the client as direct routing sends it to real server number `index`.
pub(crate) fn to_direct_server(frame: Frame, index: u32) -> Frame {
    frame.link(PUBLIC_MAC, server_mac(index)).ttl(63)
}

/// A TCP segment of real server number `index` with these flags, to the client.
pub(crate) fn from_server(index: u32, flags: &str) -> Frame {
    Frame::tcp(server(index), client()).flags(flags).numbers(5000, 1001).link(server_mac(index), PRIVATE_MAC)
}

/// A frame of a real server as NAT sends it to the client.
pub(crate) fn to_client(frame: Frame) -> Frame {
    frame.source(vip()).link(PUBLIC_MAC, CLIENT_MAC).ttl(63)
}

/// A frame as it is handed to the peer on the public segment.
pub(crate) fn to_peer(frame: Frame) -> Frame {
    frame.link(PUBLIC_MAC, PEER_MAC)
}

/// Bytes for people.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let lines =
        bytes.chunks(16).map(|line| line.iter().map(|byte| format!("{byte:02x} ")).collect::<String>());
    lines.collect::<Vec<_>>().join("\n")
}

fn text(mac: Mac) -> String {
    mac.map(|byte| format!("{byte:02x}")).join(":")
}

fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}: {status}");
}
