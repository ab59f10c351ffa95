//! What `verify-ebpf` found, for people.

use std::fmt::Write;

use anyhow::{Context, Result};
use serde_json::Value;

/// What `verify-ebpf` printed.
///
/// # Errors
/// When it is no JSON.
pub(super) fn parse(json: &str) -> Result<Value> {
    serde_json::from_str(json).context("verify-ebpf printed no JSON")
}

/// Program and maps as a text of several lines.
///
/// # Errors
/// When it is not the JSON that `tests/src/bin/verify-ebpf.rs` prints.
pub(super) fn text(report: &Value) -> Result<String> {
    let program = &report["program"];
    let mut text = format!(
        "verifier  accepted: {} instructions verified, {} translated, {} jited\nattach    {}\n",
        number(program, "verified_instructions")?,
        bytes(number(program, "translated_bytes")?),
        bytes(number(program, "jited_bytes")?),
        word(report, "attach")?,
    );
    writeln!(
        text,
        "{:<16} {:<14} {:>8} {:>10} {:>10} {:>10}",
        "map", "type", "key", "value", "entries", "memory"
    )?;
    let maps = report["maps"].as_array().context("verify-ebpf: no list of maps")?;
    let mut sum = 0;
    for map in maps {
        let memory = number(map, "memory_bytes")?;
        sum += memory;
        writeln!(
            text,
            "{:<16} {:<14} {:>8} {:>10} {:>10} {:>10}",
            word(map, "name")?,
            word(map, "type")?,
            bytes(number(map, "key_bytes")?),
            bytes(number(map, "value_bytes")?),
            number(map, "max_entries")?,
            bytes(memory),
        )?;
    }
    writeln!(text, "{:<16} {:>57}", "all maps", bytes(sum))?;
    Ok(text)
}

/// `12 B`, `3.4 KiB`, `5.6 MiB`.
pub(crate) fn bytes(n: u64) -> String {
    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    match n {
        0..KIB => format!("{n} B"),
        KIB..MIB => format!("{:.1} KiB", n as f64 / KIB as f64),
        MIB.. => format!("{:.1} MiB", n as f64 / MIB as f64),
    }
}

pub(super) fn number(object: &Value, key: &str) -> Result<u64> {
    object[key].as_u64().with_context(|| format!("verify-ebpf: {key} is no number"))
}

pub(super) fn word<'a>(object: &'a Value, key: &str) -> Result<&'a str> {
    object[key].as_str().with_context(|| format!("verify-ebpf: {key} is no string"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_becomes_a_table() {
        let json = r#"{
            "program": {"verified_instructions": 1234, "translated_bytes": 2048, "jited_bytes": 999},
            "attach": "native",
            "maps": [
                {"name": "FLOWS", "type": "lru_hash", "key_bytes": 16, "value_bytes": 56, "max_entries": 262144,
                 "memory_bytes": 41943040},
                {"name": "ROUTER", "type": "array", "key_bytes": 4, "value_bytes": 4, "max_entries": 1,
                 "memory_bytes": 512}
            ]
        }"#;
        let text = text(&parse(json).unwrap()).unwrap();
        assert!(text.contains("1234 instructions verified, 2.0 KiB translated, 999 B jited"), "{text}");
        let flows = text.lines().find(|line| line.starts_with("FLOWS")).unwrap();
        let columns: Vec<_> = flows.split_whitespace().collect();
        assert_eq!(columns, ["FLOWS", "lru_hash", "16", "B", "56", "B", "262144", "40.0", "MiB"]);
        assert!(text.trim_end().ends_with("40.0 MiB"), "{text}");
    }

    #[test]
    fn another_shape_is_an_error() {
        assert!(text(&parse("{}").unwrap()).unwrap_err().to_string().contains("verified_instructions"));
        assert!(parse("no JSON").is_err());
    }

    #[test]
    fn sizes_read_well() {
        assert_eq!([0, 1023, 1024, 5 << 20].map(bytes), ["0 B", "1023 B", "1.0 KiB", "5.0 MiB"]);
    }
}
