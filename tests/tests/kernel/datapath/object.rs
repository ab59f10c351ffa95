//! The object itself: what the verifier, a driver and bpftool make of it.

use std::process::Command;

use lb_common::{Reason, map};
use lb_tests::prog::Program;
use serde_json::{Value, json};

use super::world::*;

/// `Level::Warn` of aya-log, the gravest that any line has.
const WARN: u8 = 2;
/// `Level::Debug` of aya-log, of which the least grave lines are.
const DEBUG: u8 = 4;
/// Instructions that the verifier of Linux walks through at most (`BPF_COMPLEXITY_LIMIT_INSNS`).
const VERIFIER_LIMIT: u32 = 1_000_000;

#[test]
fn it_loads_at_every_log_level_and_at_zero_no_log_call_is_left() {
    with_world(|world| {
        for info in world.program.infos().unwrap() {
            assert!(
                info.verified_instruction_count().unwrap() < VERIFIER_LIMIT / 2,
                "room for other kernels"
            );
        }
        let quiet = translated(&world.program);
        let mut smaller = quiet;
        for level in WARN..=DEBUG {
            let size = translated(&Program::load_with_log_level(level).unwrap());
            assert!(size > smaller, "level {level} adds the lines of that level");
            smaller = size;
        }
        // One below the gravest line: what is left has no log call.
        assert_eq!(quiet, translated(&Program::load_with_log_level(WARN - 1).unwrap()));
    });
}

/// Bytes of both programs after the verifier.
fn translated(program: &Program) -> u32 {
    program.infos().unwrap().iter().map(|info| info.size_translated().unwrap()).sum()
}

#[test]
fn a_driver_takes_it_for_jumbo_frames() {
    with_world(|world| {
        world.set_mtu("public", 9000);
        // A program of its own: it stays attached as long as it lives.
        Program::load().unwrap().attach(world.public).unwrap();
    });
}

#[test]
fn bpftool_prints_maps_with_the_names_of_their_fields() {
    if Command::new("bpftool").arg("version").output().is_err() {
        eprintln!("SKIPPED: bpftool is not installed");
        return;
    }
    with_world(|world| {
        let syn = from_client("S");
        world.public("SYN", &syn, redirect(Reason::NatIn, &to_server(syn.clone(), 1)));
        world.program.add_local([10, 0, 0, 1]).unwrap();
        world.program.set_floating([10, 0, 0, 2], 0).unwrap();
        world.program.set_virtual_mac(world.public, [0, 0, 0x5e, 0, 1, 51], PUBLIC_MAC).unwrap();
        // An array of programs has no entries that a dump could format.
        for name in map::ALL.into_iter().filter(|name| *name != map::PROGRAMS) {
            let entries = dump(world.program.map_id(name).unwrap());
            assert!(
                entries.as_array().is_some_and(|entries| !entries.is_empty()),
                "{name} has typed entries"
            );
        }
        let flows = dump(world.program.map_id(map::FLOWS).unwrap());
        let entries =
            flows.as_array().unwrap().iter().flat_map(|bucket| bucket["value"]["ways"].as_array().unwrap());
        let used: Vec<&Value> = entries.filter(|entry| entry["seen_and_state"] != 0).collect();
        assert_eq!(used.len(), 1);
        assert_eq!(used[0]["real"], 1);
        assert_eq!(used[0]["client_port"], client().port());
        assert_eq!(used[0]["client_address"], json!(client().ip().octets()));
    });
}

/// The entries of a map as bpftool formats them by BTF.
fn dump(id: u32) -> Value {
    let output =
        Command::new("bpftool").args(["--json", "map", "dump", "id", &id.to_string()]).output().unwrap();
    let mut entries: Value = serde_json::from_slice(&output.stdout).unwrap();
    // Raw bytes stand beside what BTF makes of them.
    entries.as_array_mut().unwrap().iter_mut().for_each(|entry| *entry = entry["formatted"].take());
    assert!(entries.as_array().unwrap().iter().all(|entry| !entry.is_null()), "map {id} has BTF");
    entries
}
