//! Values that the seeds are made of.

use lb_common::{ConnState, IPPROTO_TCP, IPPROTO_UDP, Method, ServiceKey, flow_table::Client};
use lb_daemon::{
    ha::{
        Role,
        engine::Forced,
        heartbeat::{Echo, Heartbeat, Position},
    },
    sync::{
        record::{Condition, Record, Server},
        wire::{Batch, Message, Place},
    },
};

/// Session of the messages.
pub(crate) const SESSION: u64 = 7;

/// Two heartbeats that have little in common.
pub(crate) fn heartbeats() -> [Heartbeat; 2] {
    let plain = Heartbeat {
        role: Role::Standby,
        wants_role: false,
        resumes: false,
        fault: false,
        weak: false,
        forced: None,
        priority: 100,
        cause: 3,
        incarnation: 9,
        sequence: 1,
        config_hash: 0,
        echo: None,
        name: String::new(),
        group: String::new(),
        position: None,
    };
    let full = Heartbeat {
        role: Role::Active,
        wants_role: true,
        resumes: true,
        fault: true,
        weak: true,
        forced: Some(Forced::Standby),
        echo: Some(Echo { incarnation: 0x1112_1314, sequence: 41 }),
        name: "αlpha".to_owned(),
        group: "east".to_owned(),
        position: Some(Position { session: SESSION, records: 300 }),
        ..plain.clone()
    };
    [plain, full]
}

/// A real server of each protocol and method.
pub(crate) fn servers() -> [Server; 2] {
    let nat = Server {
        protocol: IPPROTO_TCP,
        virtual_address: [192, 0, 2, 1],
        virtual_port: 80,
        address: [10, 0, 0, 1],
        port: 8080,
        method: Method::Nat,
    };
    [nat, Server { protocol: IPPROTO_UDP, method: Method::Direct, port: 80, ..nat }]
}

/// Flows of these servers: one that lives, one that has just begun, one that is no more.
pub(crate) fn records() -> Vec<Record> {
    let client = |last| Client::new([198, 51, 100, last], 40_000);
    let [nat, direct] = servers();
    let condition = |state, confirmed| Some(Condition { state, confirmed, age_ms: 1500 });
    let record =
        |last, server, condition| Record { client: client(last), server, condition, neighbour: [2; 6] };
    vec![
        record(1, nat, condition(ConnState::Established, true)),
        record(2, direct, condition(ConnState::Udp, false)),
        record(1, nat, None),
    ]
}

/// A message of each kind, as they follow each other on a stream.
pub(crate) fn messages() -> Vec<Message> {
    let place = Place { incarnation: 3, session: SESSION, position: 0 };
    let batch = |sequence, is_last, records| Batch { sequence, held_ms: 20, is_last, progress: 100, records };
    vec![
        Message::Hello(Place { session: 0, ..place }),
        Message::Welcome(place),
        Message::Batch(batch(1, true, records())),
        Message::Batch(batch(2, false, Vec::new())),
        Message::Ack(2),
        Message::Turns(vec![(ServiceKey::new(IPPROTO_TCP, [192, 0, 2, 1], 80), 7)]),
    ]
}
