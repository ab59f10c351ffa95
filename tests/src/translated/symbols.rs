//! The kernel's functions by their addresses.

use std::{collections::HashMap, fs};

use anyhow::{Context as _, Result};

/// The verifier replaces a helper's number by the distance of its function from this one (`__BPF_CALL_IMM` in
/// include/linux/filter.h). A look-up that it specialises for a kind of map is a function of its own.
const BASE: &str = "__bpf_call_base";

/// Names of the kernel's functions. Empty where the kernel hides its addresses.
#[derive(Default)]
pub struct Symbols {
    base: Option<u64>,
    names: HashMap<u64, String>,
}

impl Symbols {
    /// Those of the running kernel.
    ///
    /// # Errors
    /// When `/proc/kallsyms` cannot be read.
    pub fn read() -> Result<Self> {
        let path = "/proc/kallsyms";
        Ok(Self::parse(&fs::read_to_string(path).context(path)?))
    }

    /// Those of a text in the format of `/proc/kallsyms`: address, kind, name. Hidden addresses are zeros. Of several
    /// names at one address the first one stands.
    pub(super) fn parse(text: &str) -> Self {
        let mut symbols = Self::default();
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(address), Some(kind), Some(name)) = (words.next(), words.next(), words.next()) else {
                continue;
            };
            let Ok(address @ 1..) = u64::from_str_radix(address, 16) else { continue };
            if !matches!(kind, "t" | "T" | "w" | "W") {
                continue;
            }
            if name == BASE {
                symbols.base = Some(address);
            }
            symbols.names.entry(address).or_insert_with(|| name.to_owned());
        }
        symbols
    }

    /// The function that a call with this immediate value goes to.
    pub(super) fn of_call(&self, immediate: i32) -> Option<&str> {
        let address = self.base?.checked_add_signed(i64::from(immediate))?;
        // Zero is what the kernel shows to those who may not know.
        self.names.get(&address).filter(|_| immediate != 0).map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_a_distance() {
        let symbols = Symbols::parse(
            "ffffffff81000010 t before\nffffffff81000020 T __bpf_call_base\nffffffff81000030 D data\n\
             ffffffff81000040 T first\nffffffff81000040 T second\nffffffff81000050 t in_module\t[module]\n",
        );
        let found = [-0x10, 0, 0x10, 0x20, 0x30, 0x40].map(|immediate| symbols.of_call(immediate));
        assert_eq!(found, [Some("before"), None, None, Some("first"), Some("in_module"), None]);
    }

    #[test]
    fn hidden_addresses_name_nothing() {
        let symbols = Symbols::parse("0000000000000000 T __bpf_call_base\n0000000000000000 T first\n");
        assert_eq!(symbols.of_call(0x20), None);
    }
}
