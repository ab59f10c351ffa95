//! Random changes of both tables, over a stream that is lost at random.

use std::{collections::BTreeSet, time::Duration};

use lb_common::{
    ConnState::{self, Close, Established, FinWait, LastAck, SynRecv, TimeWait, Udp},
    IPPROTO_TCP, IPPROTO_UDP,
    flow_table::Client,
};
use proptest::{collection::vec, prelude::*, sample::select};

use super::{
    fixture::{client, other_service, server, udp_server},
    pair::Pair,
};
use crate::sync::record::{Condition, Server};

/// What happens at one moment.
#[derive(Clone, Debug)]
enum Event {
    /// A client opens a connection through the active router.
    Open(u16, Server),
    Change(u16, ConnState),
    Use(u16),
    Remove(u16, u8),
    /// A client's packet comes to the standby.
    OpenHere(u16, Server),
    UseHere(u16),
    Survey,
    /// Milliseconds in which the sender works and nothing arrives.
    Work(u64),
    Deliver(usize),
    Acknowledge(usize),
    Lose,
    Connect,
    RestartSender,
    RestartReceiver,
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn both_tables_come_to_hold_the_same_flows(
        events in vec(event(), 0..120),
        buckets in 2_usize..12,
        half_open: bool,
    ) {
        let mut pair = Pair::of_sizes(buckets, buckets * 2, half_open);
        for event in &events {
            happen(&mut pair, event);
        }
        pair.connect();
        pair.settle();
        let used_here = events.iter().filter_map(|event| match event {
            Event::OpenHere(number, _) | Event::UseHere(number) => Some(client(*number)),
            _ => None,
        });
        compare(&pair, half_open, &used_here.collect())?;
    }

    #[test]
    fn nothing_that_was_used_here_last_is_ever_taken_away(
        events in vec(event(), 0..120),
        buckets in 2_usize..12,
    ) {
        let mut pair = Pair::of_sizes(buckets, 64, false);
        for event in &events {
            let own: Vec<_> = pair.standby.entries().filter(|(_, _, meta)| !meta.is_peers()).collect();
            let told = pair.told();
            happen(&mut pair, event);
            let standby = &pair.standby;
            for (client, server, meta) in own {
                let stands = standby.flows().contains_key(&(client, server));
                let due = standby.clock.timeouts.remaining(meta, standby.clock.now) == 0;
                let later = told.iter().any(|(one, other, age_ms)| {
                    let seen = standby.clock.before(*age_ms);
                    *one == client && other.conflicts(&server) && meta.seen().since(seen) == 0
                });
                prop_assert!(stands || due || later, "{client:?} {meta:?} is gone after {event:?}");
            }
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    let number = || 0_u16..24;
    let any_server = || {
        (0_u16..4, select(vec![0, 0, 1, 2])).prop_map(|(number, kind)| match kind {
            0 => server(number),
            1 => udp_server(number),
            _ => other_service(number),
        })
    };
    let states = vec![SynRecv, Established, Established, FinWait, LastAck, TimeWait, Close];
    prop_oneof![
        6 => (number(), any_server()).prop_map(|(number, server)| Event::Open(number, server)),
        6 => (number(), select(states)).prop_map(|(number, state)| Event::Change(number, state)),
        2 => number().prop_map(Event::Use),
        3 => (number(), select(vec![IPPROTO_TCP, IPPROTO_UDP])).prop_map(|(number, protocol)| Event::Remove(number, protocol)),
        1 => (number(), any_server()).prop_map(|(number, server)| Event::OpenHere(number, server)),
        1 => number().prop_map(Event::UseHere),
        1 => Just(Event::Survey),
        6 => select(vec![0, 10, 60, 200, 1000, 40_000, 300_000]).prop_map(Event::Work),
        4 => (1_usize..4).prop_map(Event::Deliver),
        3 => (1_usize..4).prop_map(Event::Acknowledge),
        1 => Just(Event::Lose),
        2 => Just(Event::Connect),
        1 => Just(Event::RestartSender),
        1 => Just(Event::RestartReceiver),
    ]
}

fn happen(pair: &mut Pair, event: &Event) {
    match *event {
        Event::Open(number, server) => {
            let state = if server.protocol == IPPROTO_UDP { Udp } else { SynRecv };
            pair.active.open(client(number), server, state);
        }
        Event::Change(number, state) => pair.active.change(client(number), state),
        Event::Use(number) => pair.active.use_silently(client(number)),
        Event::Remove(number, protocol) => pair.active.remove(client(number), protocol),
        Event::OpenHere(number, server) => {
            let state = if server.protocol == IPPROTO_UDP { Udp } else { Established };
            pair.standby.open(client(number), server, state);
        }
        Event::UseHere(number) => pair.standby.use_silently(client(number)),
        Event::Survey => {
            pair.active.survey();
            pair.standby.survey();
        }
        Event::Work(millis) => pair.work(Duration::from_millis(millis)),
        Event::Deliver(batches) => pair.deliver(batches),
        Event::Acknowledge(acks) => pair.acknowledge(acks),
        Event::Lose => pair.lose_stream(),
        Event::Connect => pair.connect(),
        Event::RestartSender => pair.restart_sender(),
        Event::RestartReceiver => pair.restart_receiver(),
    }
}

/// Every flow that is told of is there, but for those of clients that the standby has seen packets of; and nothing of the
/// peer's that it does not have.
fn compare(pair: &Pair, half_open: bool, used_here: &BTreeSet<Client>) -> Result<(), TestCaseError> {
    let (active, standby) = (&pair.active, &pair.standby);
    let there = standby.flows();
    for (client, server, meta) in active.entries() {
        let told = match meta.state() {
            SynRecv => half_open,
            Udp => half_open || meta.is_confirmed(),
            TimeWait | Close => false,
            _ => true,
        };
        if told && !used_here.contains(&client) {
            prop_assert_eq!(there.get(&(client, server)), Some(&meta.state()), "{:?} {:?}", client, server);
        }
    }
    let here = active.flows();
    for (client, server, meta) in standby.entries().filter(|(_, _, meta)| meta.is_peers()) {
        prop_assert!(here.contains_key(&(client, server)), "{client:?} {server:?} is no more");
        // Of two uses the later one stands, and that may have been here.
        if used_here.contains(&client) {
            continue;
        }
        let ages = [active, standby].map(|table| {
            let mut all = table.entries().filter(|(one, other, _)| (*one, *other) == (client, server));
            all.next().map_or(0, |(_, _, meta)| Condition::of(meta, &table.clock).age_ms / 1000)
        });
        let lifetime = meta.state().timeout_secs() as u32;
        prop_assert!(ages[1].abs_diff(ages[0]) <= lifetime / 8 + 6, "{meta:?} {ages:?}");
    }
    Ok(())
}
