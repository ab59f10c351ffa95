//! The list of what is needed.

use crate::{builder, lint, shell};

use super::linker;

/// One thing that must be here.
pub(super) struct Item {
    /// What a person calls it.
    pub(super) name: &'static str,
    /// What the project does with it.
    pub(super) purpose: &'static str,
    /// Which commands need it.
    pub(super) scope: Scope,
    /// Debian 12 packages that bring it, or that its build needs.
    pub(super) packages: &'static [&'static str],
    /// Builds it, where Debian has no package of it.
    pub(super) build: Option<fn() -> anyhow::Result<()>>,
    /// Where it was found, or why it does not count as found.
    pub(super) found: fn() -> Result<String, String>,
}

/// What an item is needed for; a later scope includes the earlier ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Scope {
    /// Building the XDP program.
    Build,
    /// Running it in the laboratory.
    Lab,
    /// Fuzzing, on demand alone.
    Fuzz,
}

impl Item {
    /// Where it comes from, in the words of the package manager.
    pub(super) fn origin(&self) -> String {
        let packages = self.packages.join(", ");
        match self.build {
            Some(_) => format!("built by cargo install, with {packages}"),
            None => packages,
        }
    }
}

/// Everything, in the order in which it is needed.
pub(super) fn all() -> Vec<Item> {
    vec![
        Item {
            name: "BPF compiler",
            purpose: "compiles the XDP program",
            scope: Scope::Build,
            packages: &["rustc-web", "libstd-rust-web-dev-bpf"],
            build: None,
            found: || builder::find_compiler().map(|compiler| compiler.to_string()),
        },
        Item {
            name: builder::LINKER,
            purpose: "links the XDP program",
            scope: Scope::Build,
            packages: linker::PACKAGES,
            build: Some(linker::build),
            found: linker::find,
        },
        tool("BPF clippy", "lints the XDP program", &["rust-web-clippy"], || {
            builder::find_compiler()
                .and_then(|compiler| lint::clippy_driver(&compiler))
                .map(|path| path.display().to_string())
        }),
        tool("git", "lists the files of the tree", &["git"], || program("git")),
        tool("bpftool", "reads programs and maps", &["bpftool"], || program("bpftool")),
        tool("ip", "makes the laboratory's network", &["iproute2"], || program("ip")),
        tool("ethtool", "switches off offloads that virtual links only pretend to do", &["ethtool"], || {
            program("ethtool")
        }),
        tool("nsenter", "runs programs inside the laboratory", &["util-linux"], || program("nsenter")),
        tool("ps", "shows the laboratory's processes", &["procps"], || program("ps")),
        tool("curl", "asks virtual services as a client does", &["curl"], || program("curl")),
        tool("wrk", "asks virtual services as many clients do", &["wrk"], || program("wrk")),
        tool("iperf3", "measures throughput", &["iperf3"], || program("iperf3")),
        Item {
            name: "C++ compiler",
            purpose: "builds libFuzzer, for `cargo xtask fuzz` alone",
            scope: Scope::Fuzz,
            packages: &["g++"],
            build: None,
            found: || program("c++"),
        },
    ]
}

/// A program of the laboratory.
fn tool(
    name: &'static str,
    purpose: &'static str,
    packages: &'static [&'static str],
    found: fn() -> Result<String, String>,
) -> Item {
    Item { name, purpose, scope: Scope::Lab, packages, build: None, found }
}

fn program(name: &str) -> Result<String, String> {
    shell::find(name)
        .map(|path| path.display().to_string())
        .ok_or_else(|| format!("no program {name} in PATH"))
}
