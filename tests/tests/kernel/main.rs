//! Everything that needs root and a kernel, in one binary: each would embed the eBPF object again.

mod datapath;
