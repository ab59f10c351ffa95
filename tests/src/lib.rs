//! What the tests that need a kernel are made of.

pub mod packet;
pub mod prog;
