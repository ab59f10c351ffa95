//! Where each test plays: namespaces and a BPF file system of its own.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::MetadataExt as _,
    panic::resume_unwind,
    path::{Path, PathBuf},
    process::Command,
    thread,
};

use aya::maps::{Map, MapData};
use lb_common::{
    Floating, LAYOUT_VERSION, Method, Methods, PeerHop, Real, RealKey, RealState, RouterRole, Scheduler,
    ServiceKey, VirtualMac, VirtualMacKey,
};
use lb_daemon::{
    config::{BpfLog, Limits},
    datapath::kernel::{KernelDatapath, Settings},
    tables::{ServiceTable, Tables},
};
use nix::{
    mount::{MsFlags, mount},
    net::if_::if_nametoindex,
    sched::{CloneFlags, unshare},
    unistd::geteuid,
};
use tempfile::TempDir;

pub(crate) const LIMITS: Limits = Limits { flows: 65_536, services: 16, reals: 64 };
pub(crate) const WEB: ServiceKey = ServiceKey::new(6, [192, 0, 2, 1], 80);
pub(crate) const DNS: ServiceKey = ServiceKey::new(17, [192, 0, 2, 1], 53);
pub(crate) const NOTHING: [&str; 0] = [];

/// Namespaces with a pair of veth interfaces, `lbt0` and `lbt1`, and a BPF file system.
pub(crate) struct Lab {
    _folder: TempDir,
    pub(crate) pin_dir: PathBuf,
}

impl Lab {
    pub(crate) fn settings(&self) -> Settings {
        Settings {
            pin_dir: self.pin_dir.clone(),
            limits: LIMITS,
            bpf_log: BpfLog::Off,
            has_virtual_macs: false,
        }
    }

    pub(crate) fn open(&self, names: &[&str]) -> (KernelDatapath, Vec<String>) {
        KernelDatapath::open(&self.settings(), &interfaces(names)).unwrap()
    }

    /// A map as the program has it.
    pub(crate) fn map(&self, name: &str) -> Map {
        let path = self.pin_dir.join(format!("v{LAYOUT_VERSION}")).join(name);
        Map::from_map_data(MapData::from_pin(path).unwrap()).unwrap()
    }

    /// What tells the pin of a link from any other, made before or after.
    pub(crate) fn link_pin(&self, interface: &str) -> u64 {
        fs::metadata(self.pin_dir.join("links").join(interface)).unwrap().ino()
    }
}

/// Runs a test in namespaces that end with its thread.
pub(crate) fn in_lab(test: impl FnOnce(&Lab) + Send + 'static) {
    if !geteuid().is_root() {
        eprintln!("SKIPPED: needs root");
        return;
    }
    let result = thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).unwrap();
        let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let bpf = folder.path().join("bpf");
        fs::create_dir(&bpf).unwrap();
        mount(Some("bpf"), &bpf, Some("bpf"), MsFlags::empty(), None::<&str>).unwrap();
        ip("link add lbt0 type veth peer name lbt1");
        let lab = Lab { pin_dir: bpf.join("lbd"), _folder: folder };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&lab)));
        unmount(&bpf);
        result
    });
    match result.join() {
        Ok(Ok(())) => {}
        Ok(Err(panic)) | Err(panic) => resume_unwind(panic),
    }
}

pub(crate) fn unmount(bpf: &Path) {
    nix::mount::umount2(bpf, nix::mount::MntFlags::MNT_DETACH).unwrap();
}

pub(crate) fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().unwrap();
    assert!(status.success(), "ip {arguments}");
}

/// Id of the XDP program of an interface, as iproute2 sees it.
pub(crate) fn program_id(interface: &str) -> Option<u32> {
    let output = Command::new("ip").args(["-j", "link", "show", "dev", interface]).output().unwrap();
    let links: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    links[0]["xdp"]["prog"]["id"].as_u64().and_then(|id| id.try_into().ok())
}

pub(crate) fn interfaces(names: &[&str]) -> BTreeMap<String, u32> {
    names.iter().map(|name| (name.to_string(), if_nametoindex(*name).unwrap())).collect()
}

pub(crate) fn real(host: u8, method: Method) -> Real {
    Real {
        address: [10, 0, 0, host],
        port: 8080,
        method: method as u8,
        state: RealState::Up as u8,
        mac: [2, 0, 0, 0, 0, host],
        source_mac: [2; 6],
        ifindex: 3,
        generation: 1,
        service: 0,
        weight: 1,
        protocol: 6,
        ..Real::default()
    }
}

pub(crate) fn tables() -> Tables {
    let service = |id, scheduler, ring: &[u16], start| ServiceTable {
        id,
        scheduler,
        ring: ring.to_vec(),
        start,
        closed: false,
    };
    Tables {
        role: RouterRole::Active,
        services: BTreeMap::from([
            (WEB, service(0, Scheduler::WeightedRoundRobin, &[0, 1, 0], 1)),
            (DNS, service(5, Scheduler::SourceHash, &[0; 256], 0)),
        ]),
        reals: BTreeMap::from([
            (0, real(1, Method::Nat)),
            (1, real(2, Method::Direct)),
            (63, real(3, Method::Nat)),
        ]),
        real_keys: BTreeMap::from([(RealKey::new(6, [10, 0, 0, 1], 8080), 0)]),
        peer_hops: BTreeMap::from([(3, PeerHop { mac: [6; 6], source_mac: [2; 6] })]),
        locals: [[10, 0, 0, 254].into(), [192, 0, 2, 254].into()].into(),
        methods: Methods::ALL,
        floating: [([192, 0, 2, 10].into(), Floating::new(0, Some([0, 0, 0x5e, 0, 1, 51])))].into(),
        virtual_macs: [(
            VirtualMacKey::new(2, [0, 0, 0x5e, 0, 1, 51]),
            VirtualMac { own: [2, 0, 0, 0, 0, 1], lease: 0 },
        )]
        .into(),
    }
}
