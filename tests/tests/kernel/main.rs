//! Everything that needs root and a kernel, in one binary: each would embed the eBPF object again.
#![expect(
    clippy::unwrap_used,
    reason = "a panic is how a test reports; clippy knows only functions marked as tests"
)]

mod datapath;
