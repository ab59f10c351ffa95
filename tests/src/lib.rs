//! Everything that needs a kernel: packet tables, the laboratory of network namespaces, the demo.

pub mod bench;
pub mod demo;
pub mod lab;
pub mod mapped;
pub mod outage;
pub mod packet;
pub mod prog;
pub mod soak;
pub mod translated;
