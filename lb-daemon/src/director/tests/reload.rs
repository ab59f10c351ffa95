//! A file is put in force as a whole or not at all.

use std::{fs, path::PathBuf};

use super::*;
use crate::{
    api::server::{ApiError, ErrorStatus},
    config::{self, Host},
    namespace::{in_namespace, ip},
};

/// What every test starts from.
const FILE: &str = r#"
[router]
name = "lvs1"
interfaces = ["lo"]

[[vip]]
address = "192.0.2.10"
interface = "lo"

[[service]]
name = "web"
address = "192.0.2.10"
port = 80
scheduler = "wrr"
check = { type = "none" }

[[service.real]]
name = "rs11"
address = "127.0.0.11"
port = 1
weight = 1
"#;

#[test]
fn a_good_file_changes_weights_servers_and_addresses() {
    in_file(FILE, async |rig, file| {
        let more = "\n[[service.real]]\naddress = \"127.0.0.12\"\nport = 1\nweight = 4\n";
        let text = FILE.replace("weight = 1", "weight = 2").replace("192.0.2.10", "192.0.2.20") + more;
        fs::write(&file, text).unwrap();
        assert_eq!(rig.handle.reload().await.unwrap().message, "configuration reloaded: 1 services");

        let service = rig.status().await.services[0].clone();
        assert_eq!(service.address, Ipv4Addr::new(192, 0, 2, 20));
        assert_eq!(service.reals.iter().map(|real| real.weight).collect::<Vec<_>>(), [2, 4]);
        assert_eq!(*rig.targets.borrow(), [11, 12].map(|last| Ipv4Addr::new(127, 0, 0, last)).into());
        let keys: Vec<_> = rig.datapath.state().tables.services.keys().map(|key| key.address).collect();
        assert_eq!(keys, [[192, 0, 2, 20]]);
        let addresses = ip("address show dev lo");
        assert!(addresses.contains("192.0.2.20/32") && !addresses.contains("192.0.2.10/32"), "{addresses}");
    });
}

#[test]
fn a_file_with_mistakes_changes_nothing() {
    in_file(FILE, async |rig, file| {
        fs::write(&file, FILE.replace("weight = 1", "wieght = 2")).unwrap();
        let error = refused(&rig).await;
        let line = FILE.lines().position(|line| line == "weight = 1").unwrap() + 1;
        let place = format!("{}:{line}: unknown key service.real.wieght", file.display());
        assert!(error.message.starts_with(&place), "{error}");
        fs::remove_file(&file).unwrap();
        assert!(refused(&rig).await.message.contains("cannot be read"));
    });
}

#[test]
fn what_needs_a_restart_is_refused_whole() {
    in_file(FILE, async |rig, file| {
        let text = FILE.replace("weight = 1", "weight = 2").replace("lvs1", "lvs2");
        fs::write(&file, text + "\n[limits]\nflows = 4096\n").unwrap();
        assert_eq!(
            refused(&rig).await.message,
            format!("{}: router.name, [limits] changed, which needs a restart of lbd", file.display())
        );
        fs::write(&file, FILE.replace("[router]", "[router]\nvirtual_mac = 51")).unwrap();
        let message = refused(&rig).await.message;
        assert!(
            message.ends_with(": the first virtual_mac changed, which needs a restart of lbd"),
            "{message}"
        );
    });
}

#[test]
fn what_the_data_plane_has_no_room_for_is_refused_whole() {
    let small = format!("{FILE}\n[limits]\nreals = 1\n");
    in_file(&small.clone(), async move |rig, file| {
        // One for another: for a moment they are two.
        fs::write(&file, small.replace("127.0.0.11", "127.0.0.12")).unwrap();
        assert_eq!(
            refused(&rig).await.message,
            "2 real servers, those being removed included, but limits.reals is 1"
        );
    });
}

#[test]
fn a_reload_that_the_data_plane_fails_says_so() {
    in_file(FILE, async |rig, file| {
        fs::write(&file, FILE.replace("weight = 1", "weight = 2")).unwrap();
        rig.datapath.state().accepts = Some(0);
        let error = rig.handle.reload().await.unwrap_err();
        assert_eq!(
            error.message,
            "configuration reloaded: 1 services, but data plane: the test refuses this change"
        );
    });
}

/// A refusal, after which everything is as before.
async fn refused(rig: &Rig) -> ApiError {
    let before = rig.datapath.state().tables.clone();
    let error = rig.handle.reload().await.unwrap_err();
    assert_eq!(error.status, ErrorStatus::Conflict);
    assert_eq!(rig.datapath.state().tables, before);
    let status = rig.status().await;
    assert_eq!(status.services[0].reals[0].weight, 1);
    assert_eq!(status.services[0].reals.len(), 1);
    assert!(ip("address show dev lo").contains("192.0.2.10/32"));
    error
}

/// Runs `test` in a network namespace, on a router that has read this file.
fn in_file<T>(text: &str, test: impl FnOnce(Rig, PathBuf) -> T + Send + 'static)
where
    T: Future<Output = ()> + Send,
{
    let text = text.to_owned();
    in_namespace(async move {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("lbd.toml");
        fs::write(&file, text).unwrap();
        let config = config::load(&file, &Host::default()).unwrap();
        let rig = Rig::restart(config, MemoryDatapath::default(), &file).await;
        test(rig, file).await;
    });
}
