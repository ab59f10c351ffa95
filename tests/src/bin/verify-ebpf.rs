//! Has the kernel's verifier load an object, attaches it natively to a veth in a network namespace of its own, and
//! prints what the kernel then knows about programs and maps, as JSON. `cargo xtask build-ebpf` shows it.

use std::{
    env, fs,
    os::fd::{AsFd as _, AsRawFd as _},
    process::Command,
};

use anyhow::{Context, Result, bail};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Map, MapData, MapInfo},
    programs::{ProgramInfo, Xdp, XdpMode},
};
use lb_common::{
    Methods,
    flow_table::{HashKey, bucket_count},
    program,
};
use lb_daemon::datapath::{globals::Globals, programs};
use lb_tests::translated::{self, Symbols};
use nix::sched::{CloneFlags, unshare};
use serde_json::{Value, json};

/// Global of aya-log that holds the level; 0 is what `lbd` sets by default, and the verifier then drops the calls.
const LOG_LEVEL: &str = "AYA_LOG_LEVEL";
/// Connections that the map in the object has room for.
const FLOWS: u32 = 1 << 20;
/// Both ends of the link that the program is attached to.
const LINK: [&str; 2] = ["verify0", "verify1"];

fn main() -> Result<()> {
    let path = env::args_os().nth(1).context("usage: verify-ebpf <object>")?;
    let object = fs::read(&path).with_context(|| path.display().to_string())?;
    let globals = Globals::new(bucket_count(FLOWS), HashKey::default());
    let mut loader = EbpfLoader::new();
    globals.set(&mut loader);
    let mut ebpf = loader.override_global(LOG_LEVEL, &0u8, false).load(&object)?;
    programs::load(&mut ebpf).context("the kernel refuses a program")?;
    let program = programs::entry(&mut ebpf, Methods::ALL)?;
    let info = program.info()?;
    attach_natively(program)?;
    let report = json!({
        "program": describe_program(&info)?,
        "attach": "native (veth)",
        "translated": describe_translated(&ebpf)?,
        "maps": describe_maps(&ebpf)?,
    });
    println!("{report}");
    Ok(())
}

/// Attaches the program in driver mode. Namespace, link and attachment go when this process ends.
fn attach_natively(program: &mut Xdp) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNET).context("no network namespace of its own")?;
    let [end, other] = LINK;
    ip(&["link", "add", end, "type", "veth", "peer", "name", other])?;
    ip(&["link", "set", end, "up"])?;
    program.attach(end, XdpMode::Driver).context("no native attachment to a veth")?;
    Ok(())
}

fn ip(arguments: &[&str]) -> Result<()> {
    let status = Command::new("ip").args(arguments).status().context("ip does not start")?;
    if !status.success() {
        bail!("ip {} failed: {status}", arguments.join(" "));
    }
    Ok(())
}

fn describe_program(info: &ProgramInfo) -> Result<Value> {
    Ok(json!({
        // Kernels before 5.16 do not count.
        "verified_instructions": info.verified_instruction_count().unwrap_or(0),
        "translated_bytes": info.size_translated().context("the kernel tells no translated size")?,
        "jited_bytes": info.size_jitted(),
    }))
}

/// The functions of the programs that packets run through, the hot path first.
fn describe_translated(ebpf: &Ebpf) -> Result<Vec<Value>> {
    let symbols = Symbols::read()?;
    let describe = |name| {
        let program = ebpf.program(name).with_context(|| format!("no program {name}"))?;
        let functions = translated::functions(program.fd()?.as_fd(), &symbols)
            .with_context(|| format!("program {name}"))?;
        let is_met_first = program::ENTRIES.contains(&name);
        Ok(json!({ "program": name, "met_first": is_met_first, "functions": functions }))
    };
    program::ENTRIES.into_iter().chain([program::ANY, program::NO_CONNECTION]).map(describe).collect()
}

fn describe_maps(ebpf: &Ebpf) -> Result<Vec<Value>> {
    let mut maps: Vec<_> = ebpf.maps().filter_map(|(name, map)| Some((name, data(map)?))).collect();
    maps.sort_by_key(|(name, _)| *name);
    maps.into_iter().map(|(name, map)| describe_map(name, &map.info()?)).collect()
}

fn describe_map(name: &str, info: &MapInfo) -> Result<Value> {
    Ok(json!({
        "name": name,
        "type": format!("{:?}", info.map_type()?),
        "key_bytes": info.key_size(),
        "value_bytes": info.value_size(),
        "max_entries": info.max_entries(),
        "memory_bytes": memory(info)?,
    }))
}

/// Memory that the kernel accounts to a map: the line `memlock` of its descriptor's fdinfo (`bpf_map_show_fdinfo` in
/// kernel/bpf/syscall.c).
fn memory(info: &MapInfo) -> Result<u64> {
    let fd = info.fd()?;
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("memlock:")).context("no memlock in fdinfo")?;
    line.trim().parse().with_context(|| format!("memlock: {line}"))
}

/// The map behind aya's type for it; `None` for types that the program has none of.
fn data(map: &Map) -> Option<&MapData> {
    match map {
        Map::Array(data)
        | Map::PerCpuArray(data)
        | Map::HashMap(data)
        | Map::LruHashMap(data)
        | Map::PerCpuHashMap(data)
        | Map::PerCpuLruHashMap(data)
        | Map::LpmTrie(data)
        | Map::DevMap(data)
        | Map::DevMapHash(data)
        | Map::RingBuf(data)
        | Map::ProgramArray(data) => Some(data),
        _ => None,
    }
}
