//! Measured health becomes schedules.

use super::*;

#[tokio::test]
async fn a_server_that_has_not_been_checked_takes_nothing() {
    let rig = Rig::start(checked()).await;
    assert_eq!(rig.states().await, ["unchecked", "unchecked"]);
    assert_eq!(rig.takers(), [].into());
    let warnings = rig.status().await.warnings;
    assert_eq!(warnings, ["service web: no real server takes new connections"]);
}

#[tokio::test]
async fn a_server_without_a_check_is_up() {
    let rig = Rig::start(unchecked()).await;
    assert_eq!(rig.states().await, ["up", "up"]);
    assert_eq!(rig.takers(), [11, 12].into());
    assert_eq!(rig.status().await.warnings, [""; 0]);
}

#[tokio::test]
async fn reports_change_the_ring() {
    let rig = Rig::start(checked()).await;
    rig.report(11, true).await;
    assert_eq!(rig.states().await, ["up", "unchecked"]);
    assert_eq!(rig.takers(), [11].into());
    rig.report(12, true).await;
    rig.report(11, false).await;
    assert_eq!(rig.states().await, ["down", "up"]);
    assert_eq!(rig.takers(), [12].into());
}

#[tokio::test]
async fn a_restart_keeps_what_is_installed_until_it_is_measured() {
    let rig = Rig::start(checked()).await;
    rig.report(12, true).await;
    assert_eq!(rig.states().await, ["unchecked", "up"]);
    let datapath = rig.datapath.clone();
    drop(rig.stop().await);
    let before = datapath.state().tables.clone();

    datapath.state().applied.clear();
    let rig = Rig::restart(checked(), datapath.clone(), Path::new("/nonexistent")).await;
    assert_eq!(rig.states().await, ["unchecked", "unchecked"]);
    assert_eq!(datapath.state().tables, before);
    assert_eq!(datapath.state().applied, [], "a restart changes nothing that is right");
    rig.report(12, false).await;
    rig.status().await;
    assert_eq!(rig.takers(), [].into());
}

#[tokio::test]
async fn a_report_about_a_server_that_is_not_checked_is_nothing() {
    let rig = Rig::start(unchecked()).await;
    rig.report(11, false).await;
    assert_eq!(rig.states().await, ["up", "up"]);
    assert_eq!(rig.takers(), [11, 12].into());
}

#[tokio::test]
async fn a_server_without_a_way_takes_nothing_until_there_is_one() {
    let datapath = MemoryDatapath::default();
    let idle = Idle::new(unchecked(), &datapath, Path::new("/nonexistent"));
    idle.topology.send_modify(|topology| topology.next_hops.retain(|to, _| *to != server(12).address));
    let rig = idle.run().await;
    assert_eq!(rig.takers(), [11].into());
    let warnings = rig.status().await.warnings;
    assert_eq!(warnings, ["real server rs12: no next hop, is there a route and does it answer ARP?"]);
    rig.topology.send_replace(network(&unchecked()));
    assert_eq!(rig.status().await.warnings, [""; 0]);
    assert_eq!(rig.takers(), [11, 12].into());
}
