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

/// The cargo that runs this, for a build of its own: without the variables that it has set for the present one.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    for (name, _) in env::vars_os().filter(|(name, _)| belongs_to_build(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command
}

/// Builds the object `binary` of a crate below `target_dir` and returns its path. Warnings go to standard error.
pub(crate) fn build(ebpf_crate: &Path, binary: &str, target_dir: &Path) -> Result<PathBuf, String> {
    let compiler = find_compiler()?;
    let output = command(&compiler, "build", ebpf_crate, target_dir)?
        .arg("--quiet")
        .output()
        .map_err(|error| format!("cargo does not start: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!(
            "the eBPF object does not build with {compiler}; if tools are missing, `cargo xtask setup` installs them\n{said}"
        ));
    }
    eprint!("{said}");
    Ok(target_dir.join(TARGET).join("release").join(binary))
}

/// `cargo <subcommand>` on the XDP program, for the BPF target.
pub(crate) fn command(
    compiler: &Compiler,
    subcommand: &str,
    ebpf_crate: &Path,
    target_dir: &Path,
) -> Result<Command, String> {
    let linker_flag = format!("-Clinker={}", find_linker()?.display());
    let flags = [
        "--cfg=bpf_target_arch=\"x86_64\"",
        "-Cdebuginfo=2",
        // v3 has 32-bit jumps and the atomics that return a value (Linux 5.12).
        "-Ctarget-cpu=v3",
        "-Clink-arg=--btf",
        &linker_flag,
    ];
    let (rustc, build_std) = match compiler {
        Compiler::Prebuilt(rustc) => (rustc, None),
        Compiler::BuildStd(rustc) => (rustc, Some("-Zbuild-std=core")),
    };
    let mut command = cargo();
    command
        .args([subcommand, "--release", "--bins", "--target", TARGET])
        .args(build_std)
        .arg("--manifest-path")
        .arg(ebpf_crate.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target_dir)
        .env("RUSTC", rustc)
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"));
    Ok(command)
}

/// Whether cargo has set this variable for one compilation. What the user says of proxies, registries, paths and terminal
/// holds for every build.
fn belongs_to_build(name: &str) -> bool {
    const USERS: [&str; 8] =
        ["HOME", "HTTP_", "INCREMENTAL", "NET_", "REGISTR", "SOURCE_", "TARGET_DIR", "TERM_"];
    match name.strip_prefix("CARGO_") {
        Some(rest) => !USERS.iter().any(|prefix| rest.starts_with(prefix)),
        None => ["RUSTC", "RUSTDOC", "RUSTFLAGS"].iter().any(|prefix| name.starts_with(prefix)),
    }
}

fn sysroot(rustc: &Path) -> Option<PathBuf> {
    let output = Command::new(rustc).args(["--print", "sysroot"]).output().ok()?;
    output.status.success().then(|| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

fn has_prebuilt_core(rustc: &Path) -> bool {
    sysroot(rustc).is_some_and(|root| root.join("lib/rustlib").join(TARGET).join("lib").is_dir())
}
