//! The packet tables: a frame in, the verdict, the frame out byte by byte, and the one counter that moved; on the real
//! program, by `BPF_PROG_TEST_RUN`. And, in `processors`, the same program on two processors at once.

mod arp;
mod changes;
mod counters;
mod direct;
mod flows;
mod garbage;
mod methods;
mod nat;
mod object;
mod overflow;
mod parse;
mod processors;
mod schedule;
mod unknown;
mod virtual_mac;
mod world;
