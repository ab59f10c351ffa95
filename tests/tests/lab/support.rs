//! What the tests share.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
    process::Command,
    time::Duration,
};

use lb_tests::lab::{
    self, Lab, R1,
    config::Config,
    process::Process,
    router::Router,
    run::{have, run},
    serve::payload,
    topology::{DIRECT_VIP, HTTP_PORT, IPERF_PORT, NAT_VIP, Part},
    wait::until,
};
use sha2::{Digest, Sha256};

/// The web service with NAT.
pub(crate) const NAT: SocketAddrV4 = SocketAddrV4::new(NAT_VIP, HTTP_PORT);
/// The web service with direct routing.
pub(crate) const DIRECT: SocketAddrV4 = SocketAddrV4::new(DIRECT_VIP, HTTP_PORT);

/// A laboratory without running routers; `None`, said loudly, where none can be built.
pub(crate) fn lab() -> Option<Lab> {
    if let Some(reason) = lab::missing() {
        eprintln!("SKIPPED: {reason}");
        return None;
    }
    Some(Lab::new().expect("the lab can be built"))
}

/// A laboratory with both routers settled: r1 active, r2 standby, every server up.
pub(crate) fn pair() -> Option<Lab> {
    pair_with(|_| {})
}

/// The same, with the standard configuration changed.
pub(crate) fn pair_with(change: impl Fn(&mut Config)) -> Option<Lab> {
    let mut lab = lab()?;
    lab.start_routers(change).expect("both routers settle");
    Some(lab)
}

/// The configuration of a router that stands alone.
pub(crate) fn lone_config(router: &Router) -> Config {
    Config { peer: None, ..router.standard_config() }
}

/// A laboratory in which r1 alone runs, and is active with its addresses; its servers may not be up yet.
pub(crate) fn lone_router() -> Option<Lab> {
    let mut lab = lab()?;
    let router = &mut lab.routers[R1];
    router.configure(&lone_config(router)).expect("the file can be written");
    router.start().expect("lbd starts");
    until("r1 to be active", Duration::from_secs(20), || {
        let status = router.status()?;
        Ok(status.role == "active" && status.addresses.iter().all(|address| address.present))
    })
    .expect("r1 is active");
    Some(lab)
}

/// Whether `tool` is there; a test without it is skipped loudly.
pub(crate) fn tool(tool: &str) -> bool {
    if !have(tool) {
        eprintln!("SKIPPED: {tool} is missing");
    }
    have(tool)
}

/// A program on the client that is ended after half a minute, however it hangs.
pub(crate) fn client(lab: &Lab, program: &str) -> Command {
    let mut command = lab.client().expect("there is a client").command("timeout");
    command.args(["30", program]);
    command
}

/// What a client gets of `path`, each time on a connection of its own.
pub(crate) fn get(lab: &Lab, target: SocketAddrV4, path: &str) -> String {
    run(client(lab, "curl").args(["-sS", &format!("http://{target}{path}")])).expect("curl succeeds")
}

/// How many of `count` requests each server answers.
pub(crate) fn spread(lab: &Lab, target: SocketAddrV4, count: usize) -> BTreeMap<String, usize> {
    let mut servers = BTreeMap::new();
    for _ in 0..count {
        *servers.entry(get(lab, target, "/")).or_default() += 1;
    }
    servers
}

/// A command that downloads `length` bytes at `rate` (in curl's words) and prints their SHA-256.
pub(crate) fn download(lab: &Lab, target: SocketAddrV4, length: u64, rate: &str) -> Command {
    let mut command = client(lab, "bash");
    let curl = format!("curl -sS --limit-rate {rate} http://{target}/bytes/{length} | sha256sum");
    command.arg("-c").arg(format!("set -o pipefail; {curl}"));
    command
}

/// What [`download`] must print.
pub(crate) fn sha256(length: u64) -> String {
    let mut hash = Sha256::new();
    payload::chunks(length).for_each(|chunk| hash.update(&chunk));
    let digits: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{digits}  -\n")
}

/// Sends two seconds of a bounded stream both ways through the service on iperf3's port of `address`, whose real servers
/// are those of `part`; returns bits a second as the receiver counted them, to the servers and from them.
pub(crate) fn iperf(lab: &Lab, address: Ipv4Addr, part: Part) -> [f64; 2] {
    let servers = lab.servers.iter().filter(|server| server.part() == part);
    let listening: Vec<Process> = servers
        .map(|server| {
            let mut command = server.namespace().command("iperf3");
            command.args(["-s", "-p", &IPERF_PORT.to_string()]).stdout(std::process::Stdio::null());
            Process::start("iperf3", &mut command).expect("iperf3 starts")
        })
        .collect();
    lab::wait::pause(Duration::from_millis(300)).expect("nothing interrupts");
    let rates = [None, Some("-R")].map(|reverse| {
        let mut command = lab.client().expect("there is a client").command("iperf3");
        command.args([
            "-c",
            &address.to_string(),
            "-p",
            &IPERF_PORT.to_string(),
            "-t",
            "2",
            "-b",
            "200M",
            "-J",
        ]);
        let report = run(command.args(reverse)).expect("iperf3 succeeds");
        let report: serde_json::Value = serde_json::from_str(&report).expect("iperf3 prints JSON");
        report["end"]["sum_received"]["bits_per_second"].as_f64().expect("iperf3 counts bits")
    });
    drop(listening);
    rates
}
