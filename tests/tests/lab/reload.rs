//! `SIGHUP`: a new file is taken as a whole or not at all.

use std::time::Duration;

use lb_tests::lab::{
    R1, R2,
    attempt::{lbctl, picture},
    config::WEB_NAT,
    load::{Load, Plan, record::Summary},
    router::Router,
    wait::{pause, until},
};
use nix::sys::signal::Signal;

use crate::support::{NAT, lone_config, lone_router, pair, spread};

/// Time that a reload may take, on a busy machine.
const LIMIT: Duration = Duration::from_secs(10);

#[test]
fn a_good_file_changes_weights_under_load() {
    let Some(lab) = pair() else { return };
    let load = Load::start(lab.client().unwrap(), Plan::steady(NAT, 100)).unwrap();
    for router in &lab.routers {
        let mut config = router.standard_config();
        config.service(WEB_NAT).unwrap().weights([4, 1, 0]);
        router.configure(&config).unwrap();
        router.signal(Signal::SIGHUP).unwrap();
    }
    for index in [R1, R2] {
        until("the new weights", LIMIT, || Ok(weights(&lab.routers[index]) == [4, 1, 0])).unwrap();
    }
    let summary = Summary::of(&load.finish().unwrap());
    assert!(summary.requests > 0 && summary.failed() == 0, "{summary:?}");

    let after = spread(&lab, NAT, 10);
    assert_eq!((after.get("n1"), after.get("n2"), after.get("n3")), (Some(&8), Some(&2), None));
}

#[test]
fn a_bad_file_changes_nothing() {
    let Some(mut lab) = pair() else { return };
    let broken =
        lab.routers[R1].standard_config().text().unwrap().replace("weight = 1", "weight = 9\nwieght = 1");
    assert!(broken.contains("wieght"));
    lab.routers[R1].write_config(&broken).unwrap();
    lab.routers[R1].signal(Signal::SIGHUP).unwrap();
    until("the log to name the key", LIMIT, || Ok(lab.routers[R1].log_tail().contains("wieght"))).unwrap();
    pause(Duration::from_millis(200)).unwrap();

    assert!(lab.routers[R1].is_running());
    assert_eq!(weights(&lab.routers[R1]), [1, 2, 3]);
    assert_eq!(lab.active().unwrap(), R1);
    assert_eq!(spread(&lab, NAT, 6).get("n3"), Some(&3));
}

#[test]
fn a_refused_file_is_told_to_whoever_asks_and_to_the_log() {
    let Some(lab) = lone_router() else { return };
    let router = &lab.routers[R1];
    let before = (weights(router), picture(router).unwrap());
    let mut config = lone_config(router);
    config.service(WEB_NAT).unwrap().weights([7, 7, 7]);
    let text = config.text().unwrap();
    let file = router.config_file().display().to_string();

    let broken = text.replacen("weight = 7", "weight = 70000\nwieght = 7", 1);
    let line = broken.lines().position(|line| line == "weight = 70000").unwrap() + 1;
    let mistakes = [
        format!("{file}:{line}: service.real.weight is 70000; expected a whole number, 0 to 65535"),
        format!("{file}:{}: unknown key service.real.wieght; did you mean weight?", line + 1),
    ];
    refuse(router, &broken, &mistakes);

    let other_interface = text.replacen("interfaces = [\"eth0\", \"eth1\"]", "interfaces = [\"eth0\"]", 1);
    let other_interface = other_interface.replace("\ninterface = \"eth1\"", "\ninterface = \"eth0\"");
    refuse(
        router,
        &other_interface,
        &[format!("{file}: router.interfaces changed, which needs a restart of lbd")],
    );
    let with_peer = router.standard_config().text().unwrap();
    refuse(router, &with_peer, &[format!("{file}: [peer] changed, which needs a restart of lbd")]);
    std::fs::remove_file(&file).unwrap();
    let gone =
        format!("{file}: cannot be read: No such file or directory (os error 2); expected a TOML file");
    refuse_as_it_is(router, &[gone]);

    assert_eq!((weights(router), picture(router).unwrap()), before);
    assert_eq!(router.service(WEB_NAT).unwrap().reals.len(), 3);

    router.write_config(&text).unwrap();
    assert_eq!(router.lbctl(&["reload"]).unwrap(), "configuration reloaded: 4 services\n");
    assert_eq!(weights(router), [7, 7, 7]);
}

/// Has `text` refused by `lbctl reload`; see [`refuse_as_it_is`].
fn refuse(router: &Router, text: &str, lines: &[String]) {
    router.write_config(text).expect("the file can be written");
    refuse_as_it_is(router, lines);
}

/// Lets the daemon read its file, which it must refuse with `lines`: to `lbctl`, and each as a line of its log.
fn refuse_as_it_is(router: &Router, lines: &[String]) {
    let ended = lbctl(router, &[], &["reload"]).expect("lbctl can be started");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""), "{ended:?}");
    assert_eq!(ended.stderr, format!("lbctl: {}\n", lines.join("\n")));
    let log = router.log_tail();
    for line in lines {
        assert!(log.lines().any(|logged| logged.ends_with(&format!("ERROR {line}"))), "{line}\nin\n{log}");
    }
    assert!(log.ends_with("ERROR not reloaded: the configuration in force stays"), "{log}");
}

/// Weights in force of the NAT service; none while the router does not answer.
fn weights(router: &Router) -> Vec<u32> {
    let service = router.service(WEB_NAT);
    service.map_or(Vec::new(), |service| service.reals.iter().map(|real| real.weight).collect())
}
