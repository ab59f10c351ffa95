//! A flow in a form that means the same on both routers. In the flow table a real server is an index and a neighbour a
//! number, which are each router's own.

use bytes::{Buf, BufMut};
use lb_common::{
    ConnState, IPPROTO_TCP, IPPROTO_UDP, Method, Real, RealState,
    flow_table::{Client, Key, Meta, STAMP_SHIFT},
};

use crate::datapath::{Clock, FlowTable};

/// Bytes of a record.
pub const LEN: usize = 30;

/// The state, as its number.
const STATE: u8 = 0x0f;
/// UDP; otherwise TCP.
const UDP: u8 = 1 << 4;
/// A packet has followed the first one.
const CONFIRMED: u8 = 1 << 5;
/// The flow is no more.
const REMOVED: u8 = 1 << 6;
/// Nothing; zero in this version.
const UNUSED: u8 = 1 << 7;

/// A real server of a service, by the addresses that both routers know it by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Server {
    /// IPv4 protocol number, of TCP or UDP.
    pub protocol: u8,
    /// Virtual IPv4 address of the service.
    pub virtual_address: [u8; 4],
    /// Virtual port of the service.
    pub virtual_port: u16,
    /// IPv4 address of the real server.
    pub address: [u8; 4],
    /// Port on the real server.
    pub port: u16,
    /// How packets get there.
    pub method: Method,
}

/// What a flow is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Its state.
    pub state: ConnState,
    /// Whether a packet followed the first one.
    pub confirmed: bool,
    /// Milliseconds since its last packet.
    pub age_ms: u32,
}

/// What the peer is to know of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// The client.
    pub client: Client,
    /// The real server and its service. A client has one connection of a protocol with a service.
    pub server: Server,
    /// What the flow is like; `None` where it is no more.
    pub condition: Option<Condition>,
    /// MAC address of the neighbour that the client's packets come from, on the segment of the virtual address; all zero
    /// where that is not known.
    pub neighbour: [u8; 6],
}

impl Server {
    /// The owner of a real server's slot; `None` where it has none, or one that this version does not know.
    pub fn of(real: &Real) -> Option<Self> {
        let owned = real.state != RealState::Removed as u8;
        let balanced = matches!(real.protocol, IPPROTO_TCP | IPPROTO_UDP);
        Some(Self {
            protocol: real.protocol,
            virtual_address: real.virtual_address,
            virtual_port: real.virtual_port,
            address: real.address,
            port: real.port,
            method: Method::from_u8(real.method).filter(|_| owned && balanced)?,
        })
    }

    /// The real server of an entry; `None` where it is gone.
    pub fn of_entry(table: &dyn FlowTable, key: Key, meta: Meta) -> Option<Self> {
        let real = table.real(key.real()).filter(|real| meta.is_of_generation(real.generation))?;
        Self::of(&real).filter(|server| meta.is_of(server.protocol))
    }

    /// Whether a client's connections with both would be taken for each other.
    pub fn conflicts(&self, other: &Self) -> bool {
        let service =
            (self.virtual_address, self.virtual_port) == (other.virtual_address, other.virtual_port);
        let replies = self.method == Method::Nat
            && other.method == Method::Nat
            && (self.address, self.port) == (other.address, other.port);
        self.protocol == other.protocol && (service || replies)
    }
}

impl Condition {
    /// What an entry says at the time of `clock`.
    pub fn of(meta: Meta, clock: &Clock) -> Self {
        let units = u64::from(clock.now.since(meta.seen()));
        let millis = (units << STAMP_SHIFT) * 1000 / u64::from(clock.hz.max(1));
        Self {
            state: meta.state(),
            confirmed: meta.is_confirmed(),
            age_ms: u32::try_from(millis).unwrap_or(u32::MAX),
        }
    }

    /// The entry, in no phase yet, of a flow of the peer like this with a real server of this generation.
    pub fn entry(&self, protocol: u8, generation: u32, hop: u16, clock: &Clock) -> Meta {
        let seen = clock.before(self.age_ms);
        let meta = Meta::new(protocol, self.state, seen, generation, hop);
        let meta = if self.confirmed { meta.used(self.state, seen) } else { meta };
        meta.of_peer()
    }

    /// The same, `millis` later.
    #[must_use]
    pub const fn after(self, millis: u32) -> Self {
        Self { age_ms: self.age_ms.saturating_add(millis), ..self }
    }
}

impl Record {
    /// Appends its [`LEN`] bytes.
    pub fn put(&self, out: &mut impl BufMut) {
        let Server { protocol, virtual_address, virtual_port, address, port, method } = self.server;
        let udp = if protocol == IPPROTO_UDP { UDP } else { 0 };
        let condition = match self.condition {
            None => REMOVED,
            Some(Condition { state, confirmed, .. }) => state as u8 | if confirmed { CONFIRMED } else { 0 },
        };
        out.put_u8(condition | udp);
        out.put_u8(method as u8);
        out.put_slice(&self.client.address());
        out.put_u16(self.client.port());
        out.put_slice(&virtual_address);
        out.put_u16(virtual_port);
        out.put_slice(&address);
        out.put_u16(port);
        out.put_u32(self.condition.map_or(0, |condition| condition.age_ms));
        out.put_slice(&self.neighbour);
    }

    /// Takes one; `None` where there is none, or it is none of this version.
    pub fn get(from: &mut impl Buf) -> Option<Self> {
        if from.remaining() < LEN {
            return None;
        }
        let flags = from.get_u8();
        let method = Method::from_u8(from.get_u8())?;
        let (client, client_port) = endpoint(from);
        let (virtual_address, virtual_port) = endpoint(from);
        let (address, port) = endpoint(from);
        let age_ms = from.get_u32();
        let mut neighbour = [0; 6];
        from.copy_to_slice(&mut neighbour);
        let protocol = if flags & UDP == 0 { IPPROTO_TCP } else { IPPROTO_UDP };
        let condition = if flags & REMOVED == 0 {
            let state = ConnState::from_u8(flags & STATE)?;
            Some(Condition { state, confirmed: flags & CONFIRMED != 0, age_ms })
        } else {
            None
        };
        (flags & UNUSED == 0).then_some(Self {
            client: Client::new(client, client_port),
            server: Server { protocol, virtual_address, virtual_port, address, port, method },
            condition,
            neighbour,
        })
    }
}

/// An address and a port; both are there.
fn endpoint(from: &mut impl Buf) -> ([u8; 4], u16) {
    let mut address = [0; 4];
    from.copy_to_slice(&mut address);
    (address, from.get_u16())
}

#[cfg(test)]
pub(super) use tests::any_record;

#[cfg(test)]
mod tests {
    use lb_common::flow_table::{Phase, Stamp};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_record_reads_back(record in any_record()) {
            let mut bytes = Vec::new();
            record.put(&mut bytes);
            prop_assert_eq!(bytes.len(), LEN);
            prop_assert_eq!(Record::get(&mut bytes.as_slice()), Some(record));
            bytes.pop();
            prop_assert_eq!(Record::get(&mut bytes.as_slice()), None);
        }

        #[test]
        fn any_bytes_are_a_record_or_none(bytes: [u8; LEN]) {
            if let Some(record) = Record::get(&mut bytes.as_slice()) {
                let mut again = Vec::new();
                record.put(&mut again);
                prop_assert_eq!(Record::get(&mut again.as_slice()), Some(record));
            }
        }

        #[test]
        fn an_entry_gets_old_alike_on_both_routers(age in 0_u32..100_000_000, hz in prop::sample::select(vec![100, 250, 1000])) {
            let clock = Clock { now: Stamp::new(77), hz, ..Clock::default() };
            let told = Condition { state: ConnState::Established, confirmed: true, age_ms: age };
            let meta = told.entry(IPPROTO_TCP, 7, 4, &clock).in_phase(Phase::Live);
            let kept = Condition::of(meta, &clock);
            let unit = 32 * 1000 / hz;
            prop_assert!((age.saturating_sub(1)..=age + unit).contains(&kept.age_ms), "{} of {}", kept.age_ms, age);
            // Told back and forth it stays the same.
            prop_assert_eq!(kept.entry(IPPROTO_TCP, 7, 4, &clock).in_phase(Phase::Live), meta);
            prop_assert_eq!(kept, Condition { age_ms: kept.age_ms, ..told });
            prop_assert!(meta.is_peers() && meta.hop() == 4);
        }
    }

    #[test]
    fn a_slot_without_an_owner_is_no_server() {
        let real = Real { state: 1, method: 1, protocol: 6, ..Real::default() };
        assert!(Server::of(&real).is_some());
        for none in [
            Real { state: RealState::Removed as u8, ..real },
            Real { method: 9, ..real },
            Real { protocol: 0, ..real },
        ] {
            assert_eq!(Server::of(&none), None);
        }
    }

    /// Any record at all.
    pub(in crate::sync) fn any_record() -> impl Strategy<Value = Record> {
        let address = any::<([u8; 4], u16)>;
        let condition = (prop::sample::select(&ConnState::ALL), any::<bool>(), any::<u32>())
            .prop_map(|(state, confirmed, age_ms)| Condition { state, confirmed, age_ms });
        let kinds = (prop::bool::ANY, prop::bool::ANY);
        (address(), address(), address(), kinds, prop::option::of(condition), any::<[u8; 6]>()).prop_map(
            |(client, service, real, (udp, nat), condition, neighbour)| Record {
                client: Client::new(client.0, client.1),
                server: Server {
                    protocol: if udp { IPPROTO_UDP } else { IPPROTO_TCP },
                    virtual_address: service.0,
                    virtual_port: service.1,
                    address: real.0,
                    port: real.1,
                    method: if nat { Method::Nat } else { Method::Direct },
                },
                condition,
                neighbour,
            },
        )
    }
}
