//! Whole files: what good ones mean, what every mistake is called, and that nothing makes the parser panic.

mod arbitrary;
mod documentation;
mod good;
mod hash;
mod keys;
mod mistakes;

use std::{io, path::Path};

use super::{Config, Errors, Host, parse};

/// A key file's content.
const KEY: &str = "0123456789abcdef\n";

/// A file that uses every section.
const PAIR: &str = include_str!("../../../examples/pair.toml");

/// The example of a pair that is active on both sides.
const GROUPS: &str = include_str!("../../../examples/groups.toml");

/// The smallest useful file.
const SINGLE: &str = include_str!("../../../examples/single.toml");

/// Reads `text` on a host of which nothing is known, with a key file that holds [`KEY`].
fn read(text: &str) -> Result<Config, Errors> {
    parse(text, "lbd.toml", &Host::default(), &|_: &Path| io::Result::Ok(KEY.to_owned()))
}

/// The messages about `text`, one line each; empty for a good file.
fn messages(text: &str) -> String {
    read(text).err().map(|errors| errors.to_string()).unwrap_or_default()
}
