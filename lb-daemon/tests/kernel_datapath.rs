//! The data plane in the kernel: loading, pinning, attaching and map access. Each test runs in a network namespace and a
//! mount namespace of its own, with its own BPF file system, and leaves nothing behind. They need root.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

#[path = "kernel_datapath/attach.rs"]
mod attach;
#[path = "kernel_datapath/lab.rs"]
mod lab;
#[path = "kernel_datapath/maps.rs"]
mod maps;
#[path = "kernel_datapath/predecessor.rs"]
mod predecessor;
