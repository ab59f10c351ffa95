//! Builds the bench's harness and leaves it in `OUT_DIR`, where the bench embeds it.

#[path = "../lb-ebpf/builder.rs"]
mod builder;

use std::{env, fs, path::PathBuf, process::exit};

fn main() {
    for path in ["bench-ebpf/src", "bench-ebpf/Cargo.toml", "../lb-ebpf/builder.rs"] {
        println!("cargo:rerun-if-changed={path}");
    }
    if let Err(error) = build() {
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
        .join("bench-ebpf");
    let object = builder::build(&ebpf_crate, "harness", &out.join("ebpf-target"))?;
    fs::copy(&object, out.join("harness.o")).map_err(|error| format!("{}: {error}", object.display()))?;
    Ok(())
}
