//! What fails is told, costs nothing else, and is tried again.

use super::*;
use crate::{
    api::types::{ServerAction, ServerChange},
    namespace::{in_namespace, ip},
};

#[tokio::test]
async fn a_failing_data_plane_is_warned_of_and_heals() {
    let rig = Rig::start(unchecked()).await;
    rig.datapath.state().accepts = Some(0);
    let drain = ServerChange { server: "rs11".to_owned(), service: None, action: ServerAction::Drain };
    rig.handle.change_server(drain).await.unwrap();
    assert_eq!(rig.takers(), [11, 12].into());
    assert_eq!(rig.status().await.warnings, ["data plane: the test refuses this change"]);
    // Nothing happens but that time passes.
    rig.datapath.state().accepts = None;
    rig.until(|status| status.warnings.is_empty()).await;
    assert_eq!(rig.takers(), [12].into());
}

#[tokio::test]
async fn half_a_change_costs_no_connection() {
    let datapath = MemoryDatapath::default();
    let mut director = Idle::new(unchecked(), &datapath, Path::new("/nonexistent")).director;
    director.start().await.unwrap();
    // A server more: its slot is written, and then nothing any more.
    director.parts.config.services[0].reals.push(server(13));
    let topology = network(&director.parts.config);
    let (_sender, told) = watch::channel(topology);
    director.parts.topology = told;
    datapath.state().accepts = Some(1);
    director.replan();
    assert_eq!(director.trouble.lines().count(), 1);
    let (slot, owner) =
        datapath.state().tables.reals.iter().map(|(slot, real)| (*slot, *real)).next_back().unwrap();
    assert_eq!(owner.address[3], 13);
    connect(&datapath, slot);
    director.sample();
    assert_eq!(connections::entries(&datapath), 1);
}

#[tokio::test]
async fn a_start_that_does_not_fit_is_refused_and_keeps_every_connection() {
    let datapath = MemoryDatapath::default();
    let mut director = Idle::new(unchecked(), &datapath, Path::new("/nonexistent")).director;
    director.start().await.unwrap();
    let slot = *datapath.state().tables.reals.keys().next().unwrap();
    connect(&datapath, slot);

    let mut config = unchecked();
    config.limits.services = 0;
    let mut director = Idle::new(config, &datapath, Path::new("/nonexistent")).director;
    assert_eq!(director.start().await, Err("1 services, but limits.services is 0".to_owned()));
    director.sample();
    assert_eq!(connections::entries(&datapath), 1);
}

#[tokio::test]
async fn without_a_heartbeat_the_daemon_ends() {
    let datapath = MemoryDatapath::default();
    let mut director = Idle::new(unchecked(), &datapath, Path::new("/nonexistent")).director;
    director.start().await.unwrap();
    // The task ends with its channels, as one that has panicked.
    director.parts.pair.shutdown().await;
    let (_hangups, reload) = mpsc::channel(1);
    let stop = tokio::time::timeout(LONG, director.run(reload, std::future::pending())).await.unwrap();
    assert_eq!(stop, Stop::Failed("the heartbeat has ended".to_owned()));
}

#[tokio::test]
async fn without_a_picture_of_the_network_the_daemon_ends() {
    let mut rig = Rig::start(unchecked()).await;
    rig.topology = watch::channel(Topology::default()).0;
    assert_eq!(rig.failure().await, "the network is no longer watched");
}

#[tokio::test]
async fn an_interface_that_was_made_anew_needs_a_new_daemon() {
    let rig = Rig::start(unchecked()).await;
    let with_index =
        |index| move |topology: &mut Topology| topology.links.get_mut("lo").unwrap().index = index;
    rig.topology.send_modify(|topology| topology.links.clear());
    assert_eq!(rig.status().await.warnings, ["lo: the interface is gone"]);
    rig.topology.send_replace(network(&unchecked()));
    assert_eq!(rig.status().await.warnings, [""; 0]);
    rig.topology.send_modify(with_index(9));
    assert_eq!(rig.failure().await, "interface lo was made anew, and the XDP program is not attached to it");
}

#[test]
fn an_address_that_somebody_removes_is_put_back() {
    in_namespace(async {
        let mut config = unchecked();
        config.vips = vec![vip("192.0.2.10/32", "lo")];
        let rig = Rig::start(config).await;
        assert!(present());
        let tell = |present| {
            let vip = vip("192.0.2.10/32", "lo");
            let standing = if present { [vip].into() } else { BTreeSet::new() };
            rig.topology.send_modify(|topology| topology.addresses = standing);
        };
        tell(true);
        rig.status().await;
        ip("address del 192.0.2.10/32 dev lo");
        tell(false);
        tokio::time::timeout(LONG, async {
            while !present() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .unwrap();
    });
}

#[test]
fn an_address_on_another_interface_is_missing_and_a_stray() {
    in_namespace(async {
        let mut config = unchecked();
        config.vips = vec![vip("192.0.2.10/32", "lo")];
        let rig = Rig::start(config).await;
        let elsewhere =
            [vip("192.0.2.10/32", "eth9"), vip("192.0.2.10/24", "lo"), vip("192.0.2.9/32", "eth9")];
        rig.topology.send_modify(|topology| topology.addresses = elsewhere.into());
        let status = rig.status().await;
        assert!(!status.addresses[0].present);
        assert_eq!(
            status.warnings,
            [
                "192.0.2.10/24 on lo is not of the configuration: it is answered for whatever the role",
                "192.0.2.10/32 on eth9 is not of the configuration: it is answered for whatever the role",
                "192.0.2.10/32 is missing on lo",
            ]
        );
    });
}

#[test]
fn an_address_that_could_not_be_set_is_tried_again() {
    in_namespace(async {
        let mut config = unchecked();
        config.vips = vec![vip("192.0.2.10/32", "lan")];
        let rig = Rig::start(config).await;
        let warnings = rig.status().await.warnings;
        assert!(
            warnings[0].starts_with("addresses: cannot add 192.0.2.10/32 to lan: No such device"),
            "{warnings:?}"
        );
        ip("link add lan type veth peer name other");
        rig.until(|status| !status.warnings.iter().any(|line| line.starts_with("addresses:"))).await;
        assert!(ip("address show dev lan").contains("192.0.2.10/32"));
    });
}

fn present() -> bool {
    ip("address show dev lo").contains("192.0.2.10/32")
}

fn vip(address: &str, interface: &str) -> Vip {
    Vip { address: address.parse().unwrap(), interface: interface.to_owned() }
}
