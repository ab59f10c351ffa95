//! Starts that are refused: one clear line, the right exit code, and nothing changed.

use std::{fs, net::UdpSocket, os::unix::fs::PermissionsExt};

use lb_tests::lab::{
    R1,
    attempt::{attempt, picture},
    config::Config,
    router::Router,
    xdp_pass::PassProgram,
};

use crate::support::{lab, lone_config, lone_router};

/// A wrapper that makes a program another user's: `nobody` by custom.
pub(crate) const AS_NOBODY: [&str; 4] = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
/// Port of heartbeats unless configured.
const HEARTBEAT_PORT: u16 = 539;

#[test]
fn a_file_with_many_mistakes_is_told_line_by_line() {
    let Some(lab) = lab() else { return };
    let router = &lab.routers[R1];
    let text = router.standard_config().text().unwrap();
    let text = text
        .replacen("weight = 1", "weight = 70000\nwieght = 1", 1)
        .replacen("interfaces = [\"eth0\", \"eth1\"]", "interfaces = [\"eth0\", \"eth1\", \"eth7\"]", 1)
        .replacen("name = \"web-direct\"", "name = \"web-nat\"", 1)
        .replacen("address = \"192.0.2.11/32\"", "address = \"192.0.2.10/32\"", 1);
    router.write_config(&text).unwrap();
    let stderr = refuse(router, 2, &[]);
    let file = router.config_file();
    let line_of = |needle: &str| text.lines().position(|line| line.contains(needle)).unwrap() + 1;
    for (needle, message) in [
        ("weight = 70000", "service.real.weight is 70000; expected a whole number, 0 to 65535"),
        ("wieght", "unknown key service.real.wieght; did you mean weight?"),
        ("eth7", "router.interfaces: there is no network interface \"eth7\"; expected one of eth0, eth1, lo"),
    ] {
        let expected = format!("{}:{}: {message}", file.display(), line_of(needle));
        assert!(stderr.lines().any(|line| line.starts_with(&expected)), "{expected}\nin\n{stderr}");
    }
    for message in ["service.name \"web-nat\" is taken", "192.0.2.10 is already vip.address"] {
        assert!(stderr.contains(message), "{message}\nin\n{stderr}");
    }
    let prefix = format!("{}:", file.display());
    assert!(stderr.lines().all(|line| line.starts_with(&prefix)), "{stderr}");
}

#[test]
fn what_the_machine_lacks_is_named() {
    let Some(lab) = lab() else { return };
    let router = &lab.routers[R1];
    router.configure(&router.standard_config()).unwrap();
    let all = "CAP_NET_ADMIN, CAP_NET_RAW, CAP_PERFMON, CAP_BPF";
    refuse_line(router, &AS_NOBODY, &format!("not enough privilege, {all} missing: run lbd as root"));
    for (dropped, missing) in
        [("-net_admin", "CAP_NET_ADMIN"), ("-net_raw", "CAP_NET_RAW"), ("-bpf,-sys_admin", "CAP_BPF")]
    {
        let wrapper = ["setpriv", "--bounding-set", dropped];
        refuse_line(router, &wrapper, &format!("not enough privilege, {missing} missing: run lbd as root"));
    }

    let plain = lab.folder().join("plain");
    configure(router, |config| config.daemon.pin_dir = plain.clone());
    let mount = format!("mount one with `mkdir -p {0} && mount -t bpf bpf {0}`", plain.display());
    refuse_line(router, &[], &format!("{} is not on a BPF file system: {mount}\n", plain.display()));
    assert!(!plain.exists());
}

#[test]
fn what_others_hold_is_left_to_them() {
    let Some(lab) = lab() else { return };
    let router = &lab.routers[R1];
    router.configure(&router.standard_config()).unwrap();
    let taken =
        router.namespace().enter(|| UdpSocket::bind(("10.11.12.2", HEARTBEAT_PORT))).unwrap().unwrap();
    refuse_line(router, &[], "heartbeat port 539 on 10.11.12.2 is taken by another program: `ss -ulnp");
    drop(taken);

    configure(router, |config| config.peer.as_mut().unwrap().paths[1].local = "10.11.12.99".to_owned());
    refuse_line(router, &[], "heartbeat address 10.11.12.99 is on no interface of this router: add it");

    // On the interface that comes last: those before it must not be touched either.
    router.configure(&router.standard_config()).unwrap();
    let program = PassProgram::load().unwrap();
    let foreign = router.namespace().enter(|| program.attach("eth1")).unwrap().unwrap();
    refuse_line(router, &[], "eth1 already runs another XDP program (id ");
    drop(foreign);
}

#[test]
fn files_that_are_not_as_they_must_be_are_named() {
    let Some(lab) = lab() else { return };
    let router = &lab.routers[R1];
    let key = lab.folder().join("key");
    fs::write(&key, "a-shared-secret-of-the-lab\n").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let text = router.standard_config().text().unwrap();
    let text =
        text.replace("key = \"a-shared-secret-of-the-lab\"", &format!("key_file = \"{}\"", key.display()));
    router.write_config(&text).unwrap();
    let stderr = refuse(router, 2, &[]);
    let line = text.lines().position(|line| line.starts_with("key_file")).unwrap() + 1;
    let why =
        "it is open to everyone (mode 0644); expected a file of mode 0600 that holds the keys, one a line";
    let (file, key) = (router.config_file(), key.display());
    assert_eq!(stderr, format!("{}:{line}: {key} cannot be read: {why}\n", file.display()));

    for (socket, message) in [
        ("/proc/nowhere/lbd.sock".to_owned(), "creating its directory failed: "),
        ("/proc/lbd.sock".to_owned(), "bind failed: "),
        (format!("{key}/lbd.sock"), "stat failed: Not a directory"),
        (key.to_string(), "a file that is no socket stands there; "),
    ] {
        configure(router, |config| config.daemon.socket = socket.clone().into());
        refuse_line(router, &[], &format!("API socket {socket}: {message}"));
    }
    assert_eq!(fs::read_to_string(key.to_string()).unwrap(), "a-shared-secret-of-the-lab\n");
}

#[test]
fn a_second_daemon_leaves_the_first_alone() {
    let Some(mut lab) = lone_router() else { return };
    let router = &lab.routers[R1];
    let line = format!("another lbd answers on {}: stop it first", router.socket().display());
    refuse_line(router, &[], &line);
    let before = picture(router).unwrap();
    let ended = attempt(router, &[], &["teardown"]).unwrap();
    assert_eq!((ended.code, ended.stderr.contains(&line)), (Some(1), true), "{ended:?}");
    assert_eq!(picture(router).unwrap(), before);
    assert!(lab.routers[R1].is_running() && lab.routers[R1].is_active());
}

#[test]
fn what_a_stopped_daemon_leaves_is_taken_away_by_teardown_and_by_nothing_else() {
    let Some(mut lab) = lone_router() else { return };
    assert!(lab.routers[R1].stop().unwrap().success());
    let router = &lab.routers[R1];
    assert!(!router.socket().exists(), "a daemon that has ended answers on no socket");

    // Packets keep flowing, also when the next start is refused.
    assert!(picture(router).unwrap().contains("prog/xdp"));
    let taken = router.namespace().enter(|| UdpSocket::bind(("0.0.0.0", HEARTBEAT_PORT))).unwrap().unwrap();
    configure(router, |_| {});
    refuse_line(router, &[], "heartbeat port 539 on 192.0.2.2 is taken by another program");
    drop(taken);

    router.configure(&lone_config(router)).unwrap();
    let ended = attempt(router, &[], &["teardown"]).unwrap();
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.stdout.contains("detached from eth0\ndetached from eth1\nremoved "), "{ended:?}");
    let left = picture(router).unwrap();
    let nothing = ["prog/xdp", "/bpf/v", "/bpf/links", "192.0.2.10", "192.0.2.11", "10.11.12.10", "socket "];
    assert!(nothing.iter().all(|thing| !left.contains(thing)), "{left}");
    let again = attempt(router, &[], &["teardown"]).unwrap();
    assert_eq!(
        (again.code, again.stdout.as_str(), again.stderr.as_str()),
        (Some(0), "", ""),
        "a second time"
    );
}

/// The standard configuration after `change`.
fn configure(router: &Router, change: impl FnOnce(&mut Config)) {
    let mut config = router.standard_config();
    change(&mut config);
    router.configure(&config).expect("the file can be written");
}

/// Starts `lbd`, which must refuse with exit code 1 and one line that begins like this; see [`refuse`].
fn refuse_line(router: &Router, wrapper: &[&str], expected: &str) {
    let stderr = refuse(router, 1, wrapper);
    assert!(stderr.starts_with(&format!("lbd: {expected}")), "{expected}\nin\n{stderr}");
    assert_eq!(stderr.matches('\n').count(), 1, "{stderr}");
    println!("{stderr}");
}

/// Starts `lbd`, which must refuse with this exit code, and change nothing; returns what it says.
fn refuse(router: &Router, code: i32, wrapper: &[&str]) -> String {
    let before = picture(router).expect("the router can be looked at");
    let ended = attempt(router, wrapper, &[]).expect("lbd can be started");
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(code), ""), "{ended:?}");
    assert_eq!(picture(router).expect("the router can be looked at"), before, "{ended:?}");
    ended.stderr
}
