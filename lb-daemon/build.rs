//! Builds the eBPF object and leaves it in `OUT_DIR`, where the daemon embeds it.

#[path = "../lb-ebpf/builder.rs"]
mod builder;

use std::{env, fs, path::PathBuf, process::exit};

fn main() {
    for path in ["../lb-ebpf/src", "../lb-ebpf/Cargo.toml", "../lb-ebpf/builder.rs", "../lb-common/src"] {
        println!("cargo:rerun-if-changed={path}");
    }
    for path in [builder::find_linker().ok(), Some(PathBuf::from("/usr/bin/rustc"))].into_iter().flatten() {
        println!("cargo:rerun-if-changed={}", path.display());
    }
    if let Err(error) = build() {
        // One message for a person, instead of the backtrace that a panic would print.
        for line in error.lines() {
            println!("cargo:warning={line}");
        }
        eprintln!("error: {error}");
        exit(1);
    }
}

fn build() -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let ebpf_crate = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?)
        .join("../lb-ebpf");
    let object = builder::build(&ebpf_crate, "lb", &out.join("ebpf-target"))?;
    fs::copy(&object, out.join("lb.o")).map_err(|error| format!("{}: {error}", object.display()))?;
    Ok(())
}
