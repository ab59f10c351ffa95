//! Everything that needs a kernel: packet tables, the laboratory of network namespaces, the demo's lab.

pub mod demo;
pub mod lab;
