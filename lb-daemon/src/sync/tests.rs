//! The two engines together: whatever happens to the stream between them, both tables come to hold the same flows.

pub(super) mod fixture;
mod pair;
mod random;

use std::time::Duration;

use lb_common::ConnState::{Close, CloseWait, Established, FinWait, SynRecv, TimeWait, Udp};

use self::{
    fixture::{client, server, udp_server},
    pair::Pair,
};
use super::{record::Server, sender};
use crate::ha::heartbeat::Position;

/// Time for which a standby is not connected.
const PATIENCE: Duration = Duration::from_secs(10);

#[test]
fn a_joiner_gets_everything_and_then_every_change() {
    let mut pair = Pair::new(64);
    for number in 0..100 {
        pair.active.open(client(number), server(number % 3), Established);
    }
    pair.connect();
    pair.settle();
    assert_eq!(pair.standby.flows().len(), 100);
    assert!(pair.receiver.is_complete() && pair.in_sync());

    pair.active.open(client(200), server(0), Established);
    pair.active.change(client(5), FinWait);
    pair.active.remove(client(6), 6);
    pair.pass(sender::PACE);
    assert_eq!(pair.standby.state(client(200)), Some(Established));
    assert_eq!(pair.standby.state(client(5)), Some(FinWait));
    assert_eq!(pair.standby.state(client(6)), None);
    assert_eq!(pair.standby.flows().len(), 100);
}

#[test]
fn both_know_how_far_the_standby_is_also_while_the_stream_is_cut() {
    let mut pair = Pair::new(64);
    for number in 0..10 {
        pair.active.open(client(number), server(0), Established);
    }
    pair.connect();
    assert_eq!(pair.receiver.applied(), Position::NONE, "a full transfer is to come");
    pair.settle();
    let told = pair.sender.position();
    assert_eq!((told.records, pair.receiver.applied()), (10, told));

    pair.lose_stream();
    pair.work(PATIENCE);
    assert_eq!(pair.sender.position(), told, "nothing has changed");
    pair.active.open(client(20), server(0), Established);
    pair.work(sender::PACE);
    pair.work(sender::PACE);
    assert_eq!(pair.receiver.applied().lacks(&pair.sender.position()), Some(1));
    // More than there would be room for at the pace of a stream.
    for number in 21..71 {
        pair.active.open(client(number), server(0), Established);
        pair.work(Duration::from_secs(1));
    }
    let lacks = pair.receiver.applied().lacks(&pair.sender.position());
    assert!(lacks.is_some_and(|records| records >= 25), "{lacks:?}");
    pair.connect();
    pair.settle();
    assert!(pair.receiver.applied().has(&pair.sender.position()));
    assert_eq!(pair.standby.flows().len(), 61);

    pair.restart_sender();
    assert!(!pair.receiver.applied().has(&pair.sender.position()), "another copy");
    pair.settle();
    assert!(pair.receiver.applied().has(&pair.sender.position()));
}

#[test]
fn what_is_half_open_or_over_is_not_told_of_unless_the_peer_knows_it() {
    let mut pair = Pair::new(64);
    pair.active.open(client(1), server(0), SynRecv);
    pair.active.open(client(2), server(0), TimeWait);
    pair.active.open(client(3), server(0), Established);
    pair.active.open(client(4), udp_server(0), Udp);
    pair.connect();
    pair.settle();
    assert_eq!(pair.standby.flows().keys().map(|(client, _)| *client).collect::<Vec<_>>(), [client(3)]);
    pair.active.change(client(1), Established);
    pair.active.change(client(3), Close);
    pair.active.change(client(4), Udp);
    pair.pass(sender::PACE);
    let states = [1, 3, 4].map(|number| pair.standby.state(client(number)));
    assert_eq!(states, [Some(Established), Some(Close), Some(Udp)]);
}

#[test]
fn half_open_connections_are_told_of_where_that_is_wished() {
    let mut pair = Pair::with_half_open(64);
    pair.active.open(client(1), server(0), SynRecv);
    pair.active.open(client(4), udp_server(0), Udp);
    pair.connect();
    pair.settle();
    assert_eq!(pair.standby.flows().len(), 2);
}

#[test]
fn a_broken_stream_goes_on_where_it_broke() {
    let mut pair = Pair::new(64);
    for number in 0..50 {
        pair.active.open(client(number), server(0), Established);
    }
    pair.connect();
    pair.settle();
    pair.sent();
    pair.active.open(client(60), server(0), Established);
    pair.work(sender::PACE);
    pair.lose_stream();
    pair.active.open(client(61), server(0), Established);
    pair.connect();
    pair.settle();
    assert_eq!(pair.standby.flows(), pair.active.flows());
    assert_eq!(pair.sent(), 2, "nothing else is told again");
    assert_eq!(pair.receiver.counts().unlisted, 0);
}

#[test]
fn a_full_transfer_takes_away_what_the_peer_does_not_have_any_more() {
    let mut pair = Pair::new(64);
    for number in 0..50 {
        pair.active.open(client(number), server(0), Established);
    }
    pair.connect();
    pair.settle();
    // This router opens one by itself, and uses one that the peer told of.
    pair.standby.open(client(90), server(0), Established);
    pair.standby.change(client(3), Established);
    for number in 0..10 {
        pair.active.remove(client(number), 6);
    }
    pair.restart_sender();
    pair.settle();
    let left: Vec<_> = pair.standby.flows().into_keys().map(|(client, _)| client).collect();
    let mut expected: Vec<_> = (10..50).chain([3, 90]).map(client).collect();
    expected.sort_unstable();
    assert_eq!(left, expected);
    assert_eq!(pair.receiver.counts().unlisted, 9);
}

#[test]
fn what_is_over_here_is_forgotten_once_the_peer_has_told_everything() {
    let mut pair = Pair::new(64);
    for (number, state) in [TimeWait, Close, FinWait, CloseWait, Established].into_iter().enumerate() {
        pair.standby.open(client(number as u16), server(0), state);
    }
    pair.connect();
    pair.settle();
    let left = [0, 1, 2, 3, 4].map(|number| pair.standby.state(client(number)));
    assert_eq!(left, [None, None, Some(FinWait), Some(CloseWait), Some(Established)]);
}

#[test]
fn what_may_be_over_for_both_is_the_peers_although_it_was_used_here_later() {
    for (state, is_peers) in [(FinWait, true), (Established, false)] {
        let mut pair = Pair::new(64);
        pair.active.open(client(1), server(0), state);
        pair.pass(Duration::from_secs(10));
        pair.standby.open(client(1), server(0), state);
        pair.connect();
        pair.settle();
        let whose: Vec<_> =
            pair.standby.entries().map(|(_, _, meta)| (meta.state(), meta.is_peers())).collect();
        assert_eq!(whose, [(state, is_peers)]);
    }
}

#[test]
fn the_later_use_of_a_connection_decides_whose_it_is() {
    let mut pair = Pair::new(64);
    pair.standby.open(client(1), server(1), Established);
    pair.active.open(client(2), server(0), Established);
    pair.pass(Duration::from_secs(10));
    pair.active.open(client(1), server(0), Established);
    pair.standby.open(client(2), server(1), Established);
    pair.connect();
    pair.settle();
    let servers = |number| {
        let flows = pair.standby.flows();
        flows
            .keys()
            .filter(|(one, _)| *one == client(number))
            .map(|(_, server)| *server)
            .collect::<Vec<Server>>()
    };
    assert_eq!(servers(1), [server(0)], "the active router has another one since");
    assert_eq!(servers(2), [server(1)], "it was opened here since");
}

#[test]
fn a_client_that_changes_its_server_has_one_connection() {
    let mut pair = Pair::new(2);
    pair.connect();
    for turn in 0..20 {
        pair.active.remove(client(1), 6);
        pair.active.open(client(1), server(turn % 2), Established);
        pair.settle();
        assert_eq!(pair.standby.flows(), pair.active.flows(), "turn {turn}");
    }
}

#[test]
fn flows_of_a_server_that_is_unknown_come_once_it_is_known() {
    let mut pair = Pair::new(64);
    pair.active.own(99, server(99), 5);
    pair.active.open(client(1), server(99), Established);
    pair.connect();
    pair.settle();
    assert_eq!((pair.standby.flows().len(), pair.refused("unknown_server")), (0, 1));
    assert!(!pair.receiver.must_begin_anew(&pair.standby));
    pair.standby.own(3, server(99), 7);
    assert!(pair.receiver.must_begin_anew(&pair.standby));
    pair.connect();
    pair.settle();
    assert_eq!(pair.standby.flows(), pair.active.flows());
}

#[test]
fn idle_connections_do_not_get_too_old() {
    let mut pair = Pair::new(64);
    pair.active.open(client(1), server(0), Established);
    pair.connect();
    // Used all the time, and its state never changes.
    for _ in 0..120 {
        pair.pass(Duration::from_secs(15));
        pair.active.use_silently(client(1));
        pair.active.survey();
        pair.standby.survey();
        pair.settle();
        let ages = [&pair.active, &pair.standby].map(|table| table.age_secs(client(1)).expect("it lives"));
        assert!(ages[1] - ages[0] <= 900 / 8 + 31, "{ages:?}");
    }
}

#[test]
fn a_full_table_refuses_and_nothing_established_is_pushed_out() {
    let mut pair = Pair::of_sizes(64, 2, false);
    for number in 0..40 {
        pair.active.open(client(number), server(0), Established);
    }
    pair.connect();
    pair.settle();
    assert_eq!(pair.standby.flows().len(), 16);
    assert_eq!(pair.refused("table_full"), 24);
}

#[test]
fn a_slow_peer_is_told_the_latest_state_alone() {
    let mut pair = Pair::new(64);
    pair.connect();
    pair.settle();
    pair.sent();
    for number in 0..20 {
        pair.active.open(client(number), server(0), Established);
    }
    // Fills the window: nothing is acknowledged.
    for turn in 0..80 {
        pair.active.change(client(1), if turn % 2 == 0 { FinWait } else { Established });
        pair.work(sender::PACE);
    }
    assert!(!pair.in_sync());
    pair.settle();
    assert_eq!(pair.standby.flows(), pair.active.flows());
    assert!(pair.in_sync());
    let sent = pair.sent();
    assert!(sent < 60, "{sent}");
}
