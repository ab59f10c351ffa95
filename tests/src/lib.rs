//! Everything that needs a kernel: packet tables, the laboratory of network namespaces, the demo's lab.

pub mod lab;
//! What the tests that need a kernel are made of.

pub mod packet;
pub mod prog;
