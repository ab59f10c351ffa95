//! The program: loaded, attached to interfaces, behind pinned links.

use std::collections::BTreeMap;

use lb_common::{LAYOUT_VERSION, Method, Methods, map};
use lb_daemon::{
    config::BpfLog,
    datapath::{
        Datapath as _, Op,
        kernel::{KernelDatapath, Settings},
        pins::teardown,
    },
    reconcile::reconcile,
    tables::Tables,
};

use super::lab::*;

#[test]
fn a_veth_is_attached_natively_and_teardown_leaves_nothing() {
    in_lab(|lab| {
        let (datapath, notices) = lab.open(&["lbt0"]);
        assert_eq!(notices, NOTHING);
        assert_eq!(datapath.attach_modes(), BTreeMap::from([("lbt0".to_owned(), "native")]));
        assert_eq!(datapath.limits(), LIMITS);
        drop(datapath);
        assert!(program_id("lbt0").is_some(), "the program outlives the daemon");

        let done = teardown(&lab.pin_dir).unwrap();
        let folder = lab.pin_dir.join(format!("v{LAYOUT_VERSION}"));
        let maps = format!("removed {} maps in {}", map::ALL.len(), folder.display());
        assert_eq!(done, ["detached from lbt0", &maps]);
        assert_eq!(program_id("lbt0"), None);
        assert!(!lab.pin_dir.exists());
        assert_eq!(teardown(&lab.pin_dir).unwrap(), NOTHING, "a second time there is nothing to do");
    });
}

#[test]
fn opening_again_keeps_maps_and_link_and_replaces_the_program() {
    in_lab(|lab| {
        let (mut first, _) = lab.open(&["lbt0"]);
        reconcile(&mut first, &tables()).unwrap();
        let (program, link) = (program_id("lbt0"), lab.link_pin("lbt0"));
        drop(first);

        let (second, notices) = lab.open(&["lbt0"]);
        assert_eq!(notices, NOTHING);
        assert_eq!(second.installed().unwrap(), tables());
        assert_eq!(lab.link_pin("lbt0"), link, "the same link");
        assert!(program_id("lbt0").is_some() && program_id("lbt0") != program, "with another program");
        assert_eq!(second.attach_modes()["lbt0"], "native");
    });
}

#[test]
fn packets_meet_the_program_for_the_methods_in_use() {
    in_lab(|lab| {
        let (mut datapath, _) = lab.open(&["lbt0"]);
        let made = program_id("lbt0");
        let direct = Tables {
            reals: [(1, real(2, Method::Direct))].into(),
            methods: Methods::NONE.with(Method::Direct),
            ..Tables::default()
        };
        assert!(reconcile(&mut datapath, &direct).unwrap().contains(&Op::UseMethods(direct.methods)));
        assert_eq!(datapath.installed().unwrap(), direct);
        let smaller = program_id("lbt0");
        assert!(smaller.is_some() && smaller != made, "another program");
        assert_eq!(reconcile(&mut datapath, &direct).unwrap(), []);
        assert_eq!(program_id("lbt0"), smaller);

        // An interface that is gone is nobody's concern here.
        ip("link del lbt0");
        reconcile(&mut datapath, &tables()).unwrap();
        assert_eq!(datapath.installed().unwrap(), tables());
    });
}

#[test]
fn another_owners_program_is_refused_by_its_id() {
    in_lab(|lab| {
        let (_datapath, _) = lab.open(&["lbt0"]);
        let id = program_id("lbt0").unwrap();
        let other = Settings { pin_dir: lab.pin_dir.with_file_name("other"), ..lab.settings() };
        let error = KernelDatapath::open(&other, &interfaces(&["lbt0"])).err().unwrap().to_string();
        assert!(error.starts_with(&format!("lbt0 already runs another XDP program (id {id}): ")), "{error}");
        assert!(error.contains("bpftool net show dev lbt0"), "{error}");
        assert_eq!(program_id("lbt0"), Some(id));
        assert!(!other.pin_dir.exists(), "nothing is left of a first start that was refused");
    });
}

#[test]
fn a_driver_without_xdp_runs_it_generically_and_says_so() {
    in_lab(|lab| {
        // The loopback interface has a driver without XDP, and every kernel has it.
        let (datapath, notices) = lab.open(&["lo"]);
        assert_eq!(datapath.attach_modes()["lo"], "generic");
        assert!(
            notices.len() == 1 && notices[0].starts_with("lo: its driver does not run XDP natively"),
            "{notices:?}"
        );
        assert!(notices[0].contains("GENERIC"), "{notices:?}");
        drop(datapath);
        let (datapath, _) = lab.open(&["lo"]);
        assert_eq!(datapath.attach_modes()["lo"], "generic", "as its link was made");
    });
}

#[test]
fn an_interface_with_a_dot_in_its_name_is_pinned() {
    in_lab(|lab| {
        ip("link add lbt.100 type veth peer name lbt.101");
        drop(lab.open(&["lbt.100"]));
        let (_, notices) = lab.open(&["lbt.100"]);
        assert_eq!(notices, NOTHING, "it is found again");
        assert_eq!(teardown(&lab.pin_dir).unwrap()[0], "detached from lbt.100");
    });
}

#[test]
fn interfaces_come_go_and_are_made_anew() {
    in_lab(|lab| {
        drop(lab.open(&["lbt0", "lbt1"]));
        ip("link del lbt0");
        ip("link add lbt0 type veth peer name lbt1");
        let (datapath, notices) = lab.open(&["lbt0"]);
        assert_eq!(
            notices,
            ["lbt1 is no longer configured: detached", "lbt0 was removed and made anew: attached again"]
        );
        assert_eq!(datapath.attach_modes(), BTreeMap::from([("lbt0".to_owned(), "native")]));
        assert!(program_id("lbt0").is_some());
        drop(datapath);
        let (_, notices) = lab.open(&["lbt0", "lbt1"]);
        assert_eq!(notices, NOTHING);
        let (_, notices) = lab.open(&["lbt1"]);
        assert_eq!(notices, ["lbt0 is no longer configured: detached"]);
        assert_eq!((program_id("lbt0"), program_id("lbt1").is_some()), (None, true));
    });
}

#[test]
fn a_renamed_interface_is_attached_by_its_new_name() {
    in_lab(|lab| {
        drop(lab.open(&["lbt0"]));
        ip("link set lbt0 name lbt7");
        let (_, notices) = lab.open(&["lbt7"]);
        assert_eq!(notices, ["lbt0 is no longer configured: detached"]);
        assert!(program_id("lbt7").is_some());
    });
}

#[test]
fn an_interface_that_is_not_there_is_named() {
    in_lab(|lab| {
        let mut missing = interfaces(&["lbt0"]);
        missing.insert("lbt9".to_owned(), 999_999);
        let error = KernelDatapath::open(&lab.settings(), &missing).err().unwrap().to_string();
        assert_eq!(error, "there is no interface lbt9");
        // The one before it had the program for a moment.
        assert_eq!(program_id("lbt0"), None);
        assert!(!lab.pin_dir.exists());
    });
}

#[test]
fn a_pin_directory_outside_of_a_bpf_file_system_is_refused() {
    in_lab(|lab| {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings { pin_dir: folder.path().join("lbd"), ..lab.settings() };
        let error = KernelDatapath::open(&settings, &BTreeMap::new()).err().unwrap().to_string();
        assert!(error.contains("is not on a BPF file system: mount one with `mkdir -p "), "{error}");
    });
}

#[test]
fn the_programs_log_is_read_while_the_daemon_runs() {
    in_lab(|lab| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let settings = Settings { bpf_log: BpfLog::Debug, ..lab.settings() };
        let (datapath, _) =
            runtime.block_on(async { KernelDatapath::open(&settings, &interfaces(&["lbt0"])) }).unwrap();
        assert_eq!(datapath.attach_modes()["lbt0"], "native");
    });
}
