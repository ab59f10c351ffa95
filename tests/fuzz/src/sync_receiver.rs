//! The standby router's engine, told anything by a peer that has the key: messages one after the other, each with its length
//! in two bytes before it.

use lb_common::{Real, RealState, flow_table::Shared};
use lb_daemon::{
    datapath::{Clock, FlowTable, memory::MemoryDatapath},
    sync::{receiver::Receiver, record::Server, segments::Segments, wire::Message},
};

use crate::samples;

/// Incarnation of the router.
const INCARNATION: u64 = 2;

/// Batches out of order are refused, everything else is applied as far as it can be; and every entry that stands in the table
/// then is of a real server that is there.
pub fn check(data: &[u8]) {
    let (table, clock) = (table(), Clock::default());
    let mut receiver = Receiver::new(INCARNATION);
    let mut position = 0;
    for message in frames(data).map_while(|frame| Message::decode(frame).ok()) {
        match message {
            Message::Welcome(place) => {
                let accepted = receiver.welcome(&place, &table).is_ok();
                assert!(!accepted || place.incarnation != INCARNATION, "met itself");
                position = receiver.hello().position;
            }
            Message::Batch(batch) => {
                let applied = receiver.apply(&batch, &table, &clock, &Segments::default()).is_ok();
                assert_eq!(applied, batch.sequence == position + 1, "{batch:?}");
                position += u64::from(applied);
                while receiver.clean(&table, &Segments::default()) {}
            }
            Message::Hello(_) | Message::Ack(_) | Message::Turns(_) => {}
        }
    }
    for (_, key, meta) in table.buckets().iter().flat_map(Shared::entries) {
        assert!(Server::of_entry(&table, key, meta).is_some(), "{key:?} {meta:?}");
    }
}

/// A whole stream, and each message alone.
pub fn seeds() -> Vec<Vec<u8>> {
    let one: Vec<Vec<u8>> = samples::messages()
        .iter()
        .map(|message| {
            let bytes = message.encode();
            let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            [&length.to_be_bytes()[..], &bytes].concat()
        })
        .collect();
    [vec![one.concat()], one].concat()
}

/// The frames that `data` holds; the last one may be cut.
fn frames(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first_chunk::<2>()?;
        let (frame, rest) = rest.split_at(usize::from(u16::from_be_bytes(*length)).min(rest.len()));
        data = rest;
        Some(frame)
    })
}

/// An empty flow table of a router that has the real servers of the samples.
fn table() -> MemoryDatapath {
    let table = MemoryDatapath::default();
    for (slot, server) in (1..).zip(samples::servers()) {
        let real = Real {
            address: server.address,
            port: server.port,
            method: server.method as u8,
            state: RealState::Up as u8,
            generation: 3,
            virtual_address: server.virtual_address,
            virtual_port: server.virtual_port,
            protocol: server.protocol,
            ..Real::default()
        };
        table.state().tables.reals.insert(slot, real);
    }
    table
}
