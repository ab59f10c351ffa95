//! The API and `lbctl` together: the real binary and the real client against the real server, before a backend that
//! gives prepared answers.
#![expect(clippy::unwrap_used, reason = "tests may unwrap, and so may what they share")]

#[path = "cli/api.rs"]
mod api;
#[path = "cli/check.rs"]
mod check;
#[path = "cli/commands.rs"]
mod commands;
#[path = "cli/exit_codes.rs"]
mod exit_codes;
#[path = "cli/fake.rs"]
mod fake;
#[path = "cli/fixture.rs"]
mod fixture;
#[path = "cli/ipvsadm.rs"]
mod ipvsadm;
#[path = "cli/snapshot.rs"]
mod snapshot;
