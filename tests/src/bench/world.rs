//! The router that is measured: services, real servers and flows of the program under test.

use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::{Context as _, Result, bail};
use lb_common::{
    IPPROTO_TCP, IPPROTO_UDP, Method, Methods, Real, RealKey, RealState, Reason, RouterRole, Scheduler,
    Service, ServiceKey,
};

use super::harness::{FRAME_WORDS, Harness, IN_TURN, RANDOM, Run};
use crate::{
    packet::{Frame, Mac},
    prog::{Program, Sizes},
};

/// Real servers of each service.
const REALS: u32 = 16;
/// Of many services, for there are 65,536 real servers at most.
const REALS_OF_MANY: u32 = 4;
/// Virtual port.
const PORT: u16 = 80;
/// Port of the real servers.
const REAL_PORT: u16 = 8080;
/// First virtual address.
const VIP: u32 = 0xc612_0000;
/// First address of a real server.
const REAL: u32 = 0x0a01_0000;
const CLIENT_MAC: Mac = [2, 0, 0, 0, 0, 1];
const ROUTER_MAC: Mac = [2, 0, 0, 0, 0, 2];
const SERVER_MAC: Mac = [2, 0, 0, 0, 0, 3];

/// What is balanced how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// `IPPROTO_TCP` or `IPPROTO_UDP`.
    pub protocol: u8,
    /// Forwarding method.
    pub method: Method,
    /// Services: a power of two, or 10,240.
    pub services: u32,
    /// Connections that the flow table is made for.
    pub table: u32,
}

/// Who sends the measured frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// Clients.
    Client,
    /// NAT real servers.
    Real,
}

/// The router.
pub struct World {
    program: Program,
    kind: Kind,
}

impl World {
    /// Loads the program and fills its tables: of a router with the one interface `ifindex`.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new(kind: Kind, ifindex: u32) -> Result<Self> {
        let reals = Self::reals_each(kind);
        let sizes = Sizes {
            reals: (kind.services * reals + 1).max(64),
            services: kind.services.max(16),
            flows: kind.table,
        };
        let mut program = Program::load_with(sizes, 0)?;
        // As the daemon has it for such a configuration.
        program.use_methods(Methods::NONE.with(kind.method));
        program.set_role(RouterRole::Active)?;
        for service in 0..kind.services {
            let virtual_address = Ipv4Addr::from(VIP + service).octets();
            let mut ring = Vec::new();
            for number in 0..reals {
                let index = 1 + service * reals + number;
                let real = Real { ifindex, ..real(kind, index, service, virtual_address) };
                program.set_real(index, real)?;
                if kind.method == Method::Nat {
                    program.set_real_key(RealKey::new(kind.protocol, real.address, real.port), index)?;
                }
                ring.push(u16::try_from(index)?);
            }
            program.set_ring(2 * service, &ring)?;
            let key = ServiceKey::new(kind.protocol, virtual_address, PORT);
            program.set_service(key, Service::new(service, 2 * service, reals, Scheduler::RoundRobin))?;
        }
        Ok(Self { program, kind })
    }

    /// Puts the program under test.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn test(&self, harness: &mut Harness) -> Result<()> {
        harness.test(&self.program.fd()?)
    }

    /// Opens `flows` connections, in turn, as clients do.
    ///
    /// # Errors
    /// When not every packet is forwarded.
    pub fn open(&mut self, harness: &mut Harness, flows: u32) -> Result<()> {
        for flags in ["S", "A"] {
            let run = Run { order: IN_TURN, ..self.run(From::Client, flags, flows)? };
            self.expect(self.forwarded(From::Client), flows, |_| harness.run(run, flows))?;
        }
        Ok(())
    }

    /// Frames of `flows` flows in random order.
    ///
    /// # Errors
    /// When the number is no power of two.
    pub fn run(&self, from: From, flags: &str, flows: u32) -> Result<Run> {
        if !flows.is_power_of_two() {
            bail!("{flows} flows");
        }
        let client = SocketAddrV4::new(Ipv4Addr::new(11, 0, 0, 0), 1 << 14);
        let service = SocketAddrV4::new(VIP.into(), PORT);
        let real = SocketAddrV4::new((REAL + 1).into(), REAL_PORT);
        let (source, destination, link, spread) = match from {
            From::Client => (client, service, [CLIENT_MAC, ROUTER_MAC], self.kind.services),
            // Connections were opened in turn, and so given to the servers in turn.
            From::Real => (real, client, [SERVER_MAC, ROUTER_MAC], REALS),
        };
        let frame = match self.kind.protocol {
            IPPROTO_TCP => Frame::tcp(source, destination).flags(flags).payload(&[0; 10]),
            IPPROTO_UDP => Frame::udp(source, destination).payload(&[0; 22]),
            other => bail!("protocol {other}"),
        };
        Ok(Run {
            frame: words(&frame.link(link[0], link[1]).bytes())?,
            mask: u64::from(flows) - 1,
            order: RANDOM,
            is_reply: u32::from(from == From::Real),
            services: if spread.is_power_of_two() { spread - 1 } else { spread.next_power_of_two() / 2 - 1 },
            ..Run::default()
        })
    }

    /// The end of a packet that is forwarded.
    pub fn forwarded(&self, from: From) -> Reason {
        match (self.kind.method, from) {
            (Method::Direct, _) => Reason::Direct,
            (Method::Nat, From::Client) => Reason::NatIn,
            (Method::Nat, From::Real) => Reason::NatOut,
        }
    }

    /// Checks that all of the `packets` that `work` sends meet the end `reason`.
    ///
    /// # Errors
    /// When they do not, and those of `work`.
    pub fn expect<T>(
        &mut self,
        reason: Reason,
        packets: u32,
        work: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        self.program.zero_counters()?;
        let result = work(self)?;
        let reasons = self.program.reasons()?;
        let counted: Vec<_> =
            reasons.iter().map(|(reason, counter)| (reason.name(), counter.packets)).collect();
        if counted != [(reason.name(), u64::from(packets))] {
            bail!("{packets} packets should be {}, and were {counted:?}", reason.name());
        }
        Ok(result)
    }

    /// Forgets all connections.
    ///
    /// # Errors
    /// When the map cannot be written.
    pub fn forget(&mut self) -> Result<()> {
        self.program.clear_flows()
    }

    fn reals_each(kind: Kind) -> u32 {
        if kind.services * REALS < 1 << 16 { REALS } else { REALS_OF_MANY }
    }
}

fn real(kind: Kind, index: u32, service: u32, virtual_address: [u8; 4]) -> Real {
    Real {
        address: Ipv4Addr::from(REAL + index).octets(),
        port: if kind.method == Method::Nat { REAL_PORT } else { PORT },
        method: kind.method as u8,
        state: RealState::Up as u8,
        mac: SERVER_MAC,
        source_mac: ROUTER_MAC,
        generation: 1,
        service,
        weight: 1,
        virtual_address,
        virtual_port: PORT,
        ..Real::default()
    }
}

fn words(frame: &[u8]) -> Result<[u64; FRAME_WORDS]> {
    let mut words = [0; FRAME_WORDS];
    if frame.len() != size_of_val(&words) {
        bail!("a frame of {} bytes", frame.len());
    }
    for (word, bytes) in words.iter_mut().zip(frame.chunks(8)) {
        *word = u64::from_ne_bytes(bytes.try_into().context("eight bytes")?);
    }
    Ok(words)
}
