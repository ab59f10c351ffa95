//! What the flow table says of connections: how many each real server has, which entries are due to be forgotten, and
//! the list that people read. Pure functions of one reading of the table.

use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
};

use lb_common::{ConnState, Flow, FlowKey, IPPROTO_TCP, IPPROTO_UDP, Real, RealState};

use crate::api::types::Connection;

/// Nanoseconds for which a reply entry may stand without its original: the table is read entry by entry, so one
/// connection that is made meanwhile may show one of its two.
const PAIRING_GRACE: u64 = 2_000_000_000;

/// Connections of a real server, as `ipvsadm -Ln` counts them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// `ActiveConn`.
    pub active: u64,
    /// `InActConn`: closing or closed, and all of UDP.
    pub inactive: u64,
}

/// The flow table at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// Counts by real server slot; one without connections is absent.
    pub counts: BTreeMap<u32, Counts>,
    /// Entries to be forgotten: expired, of a real server that is gone, and replies whose original entry is gone.
    pub due: Vec<(FlowKey, Flow)>,
}

/// Counts connections and finds the entries that are due. `reals` are the slots as installed after the
/// table was read, so that none of a flow in the table is missing; `now` is the data plane's clock in nanoseconds.
pub fn survey(flows: &[(FlowKey, Flow)], reals: &BTreeMap<u32, Real>, now: u64) -> Survey {
    let originals: HashMap<FlowKey, &Flow> =
        flows.iter().filter(|(_, flow)| flow.is_original()).map(|(key, flow)| (*key, flow)).collect();
    let mut survey = Survey::default();
    for (key, flow) in flows {
        if !flow.is_original() {
            if reply_is_due(key, flow, originals.get(&flow.other).copied(), reals, now) {
                survey.due.push((*key, *flow));
            }
        } else if is_in_force(flow, reals, now) {
            let counts = survey.counts.entry(flow.real).or_default();
            if state(flow).is_active() { counts.active += 1 } else { counts.inactive += 1 }
        } else {
            survey.due.push((*key, *flow));
        }
    }
    survey
}

/// The connections in force, in the order of the table.
pub fn list(flows: &[(FlowKey, Flow)], reals: &BTreeMap<u32, Real>, now: u64) -> Vec<Connection> {
    let in_force = flows.iter().filter(|(_, flow)| flow.is_original() && is_in_force(flow, reals, now));
    in_force.filter_map(|(key, flow)| Some(connection(key, flow, reals.get(&flow.real)?, now))).collect()
}

/// Whether an original entry is neither expired nor of a real server that is gone.
fn is_in_force(flow: &Flow, reals: &BTreeMap<u32, Real>, now: u64) -> bool {
    let owner = reals.get(&flow.real);
    flow.remaining(now) > 0
        && owner
            .is_some_and(|real| real.generation == flow.generation && real.state != RealState::Removed as u8)
}

/// Whether a reply entry belongs to no connection. One without an original, or whose original has another reply now,
/// may be a connection just made, and waits.
fn reply_is_due(
    key: &FlowKey,
    reply: &Flow,
    original: Option<&Flow>,
    reals: &BTreeMap<u32, Real>,
    now: u64,
) -> bool {
    let settled = reply.last_seen.saturating_add(PAIRING_GRACE) <= now;
    match original {
        Some(original) if original.other == *key => !is_in_force(original, reals, now),
        Some(_) | None => settled,
    }
}

/// State of a connection; a number that no state has is none.
fn state(flow: &Flow) -> ConnState {
    ConnState::from_u8(flow.state).unwrap_or(ConnState::None)
}

fn connection(key: &FlowKey, flow: &Flow, real: &Real, now: u64) -> Connection {
    let endpoint = |address: [u8; 4], port: u16| format!("{}:{port}", Ipv4Addr::from(address));
    Connection {
        protocol: match key.protocol {
            IPPROTO_TCP => "tcp".into(),
            IPPROTO_UDP => "udp".into(),
            other => other.to_string(),
        },
        state: state(flow).name().into(),
        expires_secs: flow.remaining(now) / 1_000_000_000,
        source: endpoint(key.source, key.source_port),
        virtual_address: endpoint(key.destination, key.destination_port),
        destination: endpoint(real.address, real.port),
    }
}

#[cfg(test)]
mod tests {
    use lb_common::Direction;

    use super::*;

    #[test]
    fn originals_are_counted_once_as_ipvs_does() {
        let flows = [
            original(1, ConnState::Established),
            reply(1),
            original(2, ConnState::FinWait),
            reply(2),
            (
                FlowKey::new(IPPROTO_UDP, [198, 51, 100, 7], 3, [192, 0, 2, 1], 53),
                original(3, ConnState::Udp).1,
            ),
        ];
        let survey = survey(&flows, &reals(), NOW);
        assert_eq!(survey.counts, BTreeMap::from([(SLOT, Counts { active: 1, inactive: 2 })]));
        assert_eq!(survey.due, []);
    }

    #[test]
    fn an_expired_connection_goes_with_both_entries() {
        let flows = [original(1, ConnState::Established), reply(1)];
        let timeout = ConnState::Established.timeout_secs() * SECOND;
        assert_eq!(survey(&flows, &reals(), NOW + timeout - 1).due, []);
        let survey = survey(&flows, &reals(), NOW + timeout);
        assert_eq!(survey.due, [original(1, ConnState::Established), reply(1)]);
        assert_eq!(survey.counts, BTreeMap::new());
    }

    #[test]
    fn connections_of_a_server_that_is_gone_are_due() {
        let flows = [original(1, ConnState::Established), reply(1)];
        let mut reals = reals();
        reals.entry(SLOT).and_modify(|real| real.generation += 1);
        assert_eq!(
            survey(&flows, &reals, NOW).due,
            [original(1, ConnState::Established), reply(1)],
            "the slot has a new owner"
        );
        reals.insert(SLOT, Real { state: RealState::Removed as u8, ..self::reals()[&SLOT] });
        assert_eq!(
            survey(&flows, &reals, NOW).due,
            [original(1, ConnState::Established), reply(1)],
            "the server was removed"
        );
        assert_eq!(
            survey(&flows, &BTreeMap::new(), NOW).due,
            [original(1, ConnState::Established), reply(1)],
            "no such slot"
        );
        assert_eq!(list(&flows, &reals, NOW), []);
    }

    #[test]
    fn a_server_that_is_down_keeps_its_connections() {
        let flows = [original(1, ConnState::Established), reply(1)];
        for state in [RealState::Up, RealState::Quiesced, RealState::Down] {
            let reals = BTreeMap::from([(SLOT, Real { state: state as u8, ..reals()[&SLOT] })]);
            assert_eq!(survey(&flows, &reals, NOW).due, [], "{state:?}");
        }
    }

    #[test]
    fn a_reply_without_its_original_is_due_once_it_is_not_new() {
        assert_eq!(survey(&[reply(1)], &reals(), NOW + PAIRING_GRACE - 1).due, []);
        assert_eq!(survey(&[reply(1)], &reals(), NOW + PAIRING_GRACE).due, [reply(1)]);
        // The client's next connection from the same port went by another reply entry.
        let (key, mut flow) = original(1, ConnState::Established);
        flow.other = server(9);
        let flows = [(key, flow), reply(1)];
        assert_eq!(survey(&flows, &reals(), NOW + PAIRING_GRACE).due, [reply(1)]);
    }

    #[test]
    fn the_list_reads_as_ipvsadm_prints_it() {
        let flows = [original(40_001, ConnState::SynRecv), reply(40_001)];
        let expected = Connection {
            protocol: "tcp".into(),
            state: "SYN_RECV".into(),
            expires_secs: 57,
            source: "198.51.100.7:40001".into(),
            virtual_address: "192.0.2.1:80".into(),
            destination: "10.0.0.1:8080".into(),
        };
        assert_eq!(list(&flows, &reals(), NOW + 2 * SECOND + SECOND / 2), [expected]);
    }

    const SECOND: u64 = 1_000_000_000;
    const NOW: u64 = 1000 * SECOND;
    const SLOT: u32 = 4;

    fn reals() -> BTreeMap<u32, Real> {
        let real = Real {
            address: [10, 0, 0, 1],
            port: 8080,
            generation: 3,
            state: RealState::Up as u8,
            ..Real::default()
        };
        BTreeMap::from([(SLOT, real)])
    }

    fn client(port: u16) -> FlowKey {
        FlowKey::new(IPPROTO_TCP, [198, 51, 100, 7], port, [192, 0, 2, 1], 80)
    }

    fn server(port: u16) -> FlowKey {
        FlowKey::new(IPPROTO_TCP, [10, 0, 0, 1], 8080, [198, 51, 100, 7], port)
    }

    fn original(port: u16, state: ConnState) -> (FlowKey, Flow) {
        (client(port), Flow::new(Direction::Original, state, NOW, SLOT, 3, server(port), 0, [0; 6], [0; 6]))
    }

    fn reply(port: u16) -> (FlowKey, Flow) {
        let state = ConnState::None;
        (server(port), Flow::new(Direction::Reply, state, NOW, SLOT, 3, client(port), 0, [0; 6], [0; 6]))
    }
}
