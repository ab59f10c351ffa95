//! The operator's commands, as the API gives them.

use super::*;
use crate::api::{
    server::ErrorStatus,
    types::{Failover, Forced, MaintenanceChange, ServerAction, ServerChange},
};

#[tokio::test]
async fn each_command_changes_the_tables_and_the_status() {
    let rig = Rig::start(checked()).await;
    rig.report(11, true).await;
    rig.report(12, true).await;
    let cases = [
        (
            ServerAction::Drain,
            "drained",
            vec![12],
            1,
            "drained, it keeps its connections and gets no new ones",
        ),
        (ServerAction::Enable, "up", vec![11, 12], 1, "enabled, as configured"),
        (ServerAction::Weight(3), "up", vec![11, 12], 3, "weight is 3 now"),
        (ServerAction::Weight(0), "quiesced", vec![12], 0, "weight is 0 now"),
        (ServerAction::Weight(1), "up", vec![11, 12], 1, "weight is 1 now"),
    ];
    for (action, state, takers, weight, words) in cases {
        let done = rig.handle.change_server(change("rs11", action)).await.unwrap();
        assert_eq!(done.message, format!("rs11 in web: {words}"));
        assert_eq!(rig.takers(), takers.into_iter().collect(), "{words}");
        let real = rig.status().await.services[0].reals[0].clone();
        assert_eq!((real.state.as_str(), real.weight, real.configured_weight), (state, weight, 1));
    }
}

#[tokio::test]
async fn a_disabled_server_is_not_checked_and_waits_for_a_check_afterwards() {
    let rig = Rig::start(checked()).await;
    rig.report(11, true).await;
    rig.handle.change_server(change("rs11", ServerAction::Disable)).await.unwrap();
    rig.report(11, true).await;
    assert_eq!(rig.states().await, ["disabled", "unchecked"]);
    assert_eq!(rig.takers(), [].into());
    rig.handle.change_server(change("rs11", ServerAction::Enable)).await.unwrap();
    assert_eq!(rig.states().await, ["unchecked", "unchecked"]);
    assert_eq!(rig.takers(), [].into());
    rig.report(11, true).await;
    assert_eq!(rig.states().await, ["up", "unchecked"]);
    assert_eq!(rig.takers(), [11].into());
}

#[tokio::test]
async fn a_wrong_word_is_refused_and_changes_nothing() {
    let rig = Rig::start(unchecked()).await;
    let before = rig.datapath.state().clone();
    let ftp = ServerChange { service: Some("ftp".to_owned()), ..change("rs11", ServerAction::Drain) };
    let cases = [
        (change("rs9", ServerAction::Drain), ErrorStatus::NotFound, "no real server is called \"rs9\""),
        (ftp, ErrorStatus::NotFound, "no service is called \"ftp\""),
        (
            change("rs11", ServerAction::Weight(65_536)),
            ErrorStatus::BadRequest,
            "weight 65536 is out of range, expected 0 to 65535",
        ),
    ];
    for (change, status, message) in cases {
        let error = rig.handle.change_server(change).await.unwrap_err();
        assert_eq!((error.status, error.message.as_str()), (status, message));
    }
    assert_eq!(rig.states().await, ["up", "up"]);
    assert_eq!(rig.datapath.state().applied, before.applied);
}

#[tokio::test]
async fn a_router_without_a_peer_cannot_give_its_role_away() {
    let rig = Rig::start(unchecked()).await;
    let error = rig.handle.failover(Failover::default()).await.unwrap_err();
    assert_eq!((error.status, error.message.as_str()), (ErrorStatus::Conflict, "no peer is configured"));
}

#[tokio::test]
async fn a_router_without_a_peer_cannot_be_held_in_a_role() {
    let rig = Rig::start(unchecked()).await;
    let hold = |reason: &str| MaintenanceChange {
        role: Some(Forced::Standby),
        reason: reason.to_owned(),
        group: None,
    };
    let error = rig.handle.maintain(hold("new cables")).await.unwrap_err();
    let message = "no peer is configured: this router is always active";
    assert_eq!((error.status, error.message.as_str()), (ErrorStatus::Conflict, message));
    let error = rig.handle.maintain(hold("two\nlines")).await.unwrap_err();
    assert_eq!(error.status, ErrorStatus::BadRequest);
    assert_eq!(rig.status().await.maintenance, None);
}

#[tokio::test]
async fn a_command_that_nobody_waits_for_is_left_undone() {
    let datapath = MemoryDatapath::default();
    let mut director = Idle::new(unchecked(), &datapath, Path::new("/nonexistent")).director;
    director.start().await.unwrap();
    datapath.state().applied.clear();
    for waits in [false, true] {
        let (reply, answer) = oneshot::channel();
        let answer = waits.then_some(answer);
        director.command(Command::Server(change("rs11", ServerAction::Drain), reply)).await;
        assert_eq!(answer.is_some(), !datapath.state().applied.is_empty());
    }
}

fn change(server: &str, action: ServerAction) -> ServerChange {
    ServerChange { server: server.to_owned(), service: None, action }
}
