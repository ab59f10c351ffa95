//! How the eBPF object is built. The one place that knows: `lb-daemon/build.rs` and xtask both include this file.
//!
//! Two ways exist, and whichever is there is taken: a rustc that has `core` for the BPF target prebuilt (Debian 12:
//! packages `rustc-web` and `libstd-rust-web-dev-bpf`, installed as `/usr/bin/rustc`), or a rustup toolchain with the
//! component `rust-src`, which builds `core` itself. Both need `RUSTC_BOOTSTRAP`: aya-ebpf uses inline assembly of
//! an architecture that is still unstable in rustc.

use std::{
    env, fmt,
    path::{Path, PathBuf},
    process::Command,
};

/// The target: BPF in the byte order of the machines this runs on.
pub(crate) const TARGET: &str = "bpfel-unknown-none";
/// The linker, from the crate of the same name.
pub(crate) const LINKER: &str = "bpf-linker";

/// A rustc that can build for BPF.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Compiler {
    /// Has `core` for the target prebuilt.
    Prebuilt(PathBuf),
    /// Builds `core` from `rust-src`.
    BuildStd(PathBuf),
}

impl fmt::Display for Compiler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prebuilt(rustc) => write!(f, "{} (prebuilt core)", rustc.display()),
            Self::BuildStd(rustc) => write!(f, "{} (rust-src, -Z build-std=core)", rustc.display()),
        }
    }
}

/// Finds a compiler; the error says what to install.
pub(crate) fn find_compiler() -> Result<Compiler, String> {
    let debian = PathBuf::from("/usr/bin/rustc");
    if has_prebuilt_core(&debian) {
        return Ok(Compiler::Prebuilt(debian));
    }
    let own = PathBuf::from(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    if has_prebuilt_core(&own) {
        return Ok(Compiler::Prebuilt(own));
    }
    if sysroot(&own).is_some_and(|root| root.join("lib/rustlib/src/rust/library/core").is_dir()) {
        return Ok(Compiler::BuildStd(own));
    }
    Err(format!("no rustc here can build for {TARGET}; `cargo xtask setup` installs one"))
}

/// Finds the linker; the error says what to install.
pub(crate) fn find_linker() -> Result<PathBuf, String> {
    let cargo_bin = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")))
        .map(|home| home.join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(cargo_bin)
        .map(|folder| folder.join(LINKER))
        .find(|file| file.is_file())
        .ok_or_else(|| format!("{LINKER} is not installed; `cargo xtask setup` installs it"))
}

/// Builds the object below `target_dir` and returns its path.
pub(crate) fn build(ebpf_crate: &Path, target_dir: &Path) -> Result<PathBuf, String> {
    let compiler = find_compiler()?;
    let linker = find_linker()?;
    let (rustc, build_std) = match &compiler {
        Compiler::Prebuilt(rustc) => (rustc, None),
        Compiler::BuildStd(rustc) => (rustc, Some("-Zbuild-std=core")),
    };
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let linker_flag = format!("-Clinker={}", linker.display());
    let flags = [
        "--cfg=bpf_target_arch=\"x86_64\"",
        "-Cdebuginfo=2",
        // v3 has 32-bit jumps and the atomics that return a value (Linux 5.12).
        "-Ctarget-cpu=v3",
        "-Clink-arg=--btf",
        &linker_flag,
    ];
    let mut command = Command::new(cargo);
    // The calling cargo has set variables for its own compilation; of these only paths and proxies may reach ours.
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if name.starts_with("CARGO_") && !matches!(name.as_str(), "CARGO_HOME" | "CARGO_NET_OFFLINE")
            || name.starts_with("RUST") && !name.starts_with("RUSTUP")
        {
            command.env_remove(name);
        }
    }
    let output = command
        .arg("build")
        .args(["--release", "--bins", "--target", TARGET])
        .args(build_std)
        .arg("--manifest-path")
        .arg(ebpf_crate.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target_dir)
        .env("RUSTC", rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .output()
        .map_err(|error| format!("cargo does not start: {error}"))?;
    if output.status.success() {
        return Ok(target_dir.join(TARGET).join("release").join("lb"));
    }
    Err(format!(
        "the eBPF object does not build with {compiler}; if tools are missing, `cargo xtask setup` installs them\n{}",
        String::from_utf8_lossy(&output.stderr)
    ))
}

fn sysroot(rustc: &Path) -> Option<PathBuf> {
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().ok()?;
    output.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

fn has_prebuilt_core(rustc: &Path) -> bool {
    sysroot(rustc).is_some_and(|root| root.join("lib/rustlib").join(TARGET).join("lib").is_dir())
}
