//! The calls that the verifier left in the programs, and the record of those on the hot path.

use std::fmt::Write as _;

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value};

use super::report::{number, word};

/// Where the number of helper calls of the hot path is recorded.
pub(super) const RECORD: &str = "lb-ebpf/hot-path.toml";
/// The one key of the record.
const KEY: &str = "helper_calls";

/// A table of all functions of the programs.
///
/// # Errors
/// When `report` is not what `verify-ebpf` prints.
pub(super) fn table(report: &Value) -> Result<String> {
    let mut text = format!("{:<16} {:<18} {:>12}  helper calls\n", "program", "function", "instructions");
    for program in list(report, "translated")? {
        for function in list(program, "functions")? {
            let kfuncs = calls(function, "kfuncs")?;
            let kfuncs =
                if kfuncs.is_empty() { String::new() } else { format!("; kfuncs: {}", names(kfuncs)) };
            let line = format!(
                "{:<16} {:<18} {:>12}  {}{kfuncs}",
                word(program, "program")?,
                word(function, "name")?,
                number(function, "instructions")?,
                names(calls(function, "helpers")?),
            );
            writeln!(text, "{}", line.trim_end())?;
        }
    }
    Ok(text)
}

/// Compares the helper calls of the hot path with the `record`: those of the entry function of the program that has the most, of
/// all that packets may meet first.
///
/// # Errors
/// When they differ, either way, or the record cannot be read.
pub(super) fn compare(report: &Value, record: &str) -> Result<()> {
    let recorded = recorded(record).context(RECORD)?;
    let mut entries = Vec::new();
    for program in list(report, "translated")?.iter().filter(|program| program["met_first"] == true) {
        let entry = list(program, "functions")?.first().context("verify-ebpf: no function")?;
        entries.push(calls(entry, "helpers")?);
    }
    let helpers =
        entries.into_iter().max_by_key(|helpers| sum(helpers)).context("verify-ebpf: no program")?;
    let found = sum(helpers);
    let names = names(helpers);
    if found > recorded {
        bail!("the hot path makes {found} helper calls, {recorded} are recorded in {RECORD}: {names}");
    }
    if found < recorded {
        bail!(
            "the hot path makes only {found} helper calls, {recorded} are recorded: lower {KEY} in {RECORD} ({names})"
        );
    }
    Ok(())
}

/// The number in the record. It is all that stands there beside comments, so it needs no parser of TOML.
fn recorded(text: &str) -> Result<u64> {
    let code = |line: &'_ str| line.split('#').next().unwrap_or_default().trim().to_owned();
    let lines: Vec<_> = text.lines().map(code).filter(|line| !line.is_empty()).collect();
    let [line] = lines.as_slice() else {
        bail!("{} lines, expected is `{KEY} = <number>` alone", lines.len())
    };
    let value = line.split_once('=').filter(|(key, _)| key.trim() == KEY).map(|(_, value)| value.trim());
    value.and_then(|value| value.parse().ok()).with_context(|| format!("`{line}` is not `{KEY} = <number>`"))
}

/// `bpf_redirect, 2 × bpf_xdp_get_buff_len`.
fn names(calls: &Map<String, Value>) -> String {
    let name = |(name, count): (&String, &Value)| match count.as_u64() {
        Some(1) => name.clone(),
        _ => format!("{count} × {name}"),
    };
    calls.iter().map(name).collect::<Vec<_>>().join(", ")
}

fn sum(calls: &Map<String, Value>) -> u64 {
    calls.values().filter_map(Value::as_u64).sum()
}

fn list<'a>(object: &'a Value, key: &str) -> Result<&'a Vec<Value>> {
    object[key].as_array().with_context(|| format!("verify-ebpf: {key} is no list"))
}

fn calls<'a>(object: &'a Value, key: &str) -> Result<&'a Map<String, Value>> {
    object[key].as_object().with_context(|| format!("verify-ebpf: {key} is no table"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_record_must_be_met() {
        assert!(compare(&report(), "# why\nhelper_calls = 3 # each\n").is_ok());
        let more = compare(&report(), "helper_calls = 2").unwrap_err().to_string();
        assert!(more.contains("3 helper calls, 2 are recorded") && more.contains("2 × bpf_b"), "{more}");
        let fewer = compare(&report(), "helper_calls = 4").unwrap_err().to_string();
        assert!(fewer.contains("only 3") && fewer.contains("lower helper_calls"), "{fewer}");
        assert!(!more.contains('\n') && !fewer.contains('\n'));
    }

    #[test]
    fn a_record_of_another_shape_is_an_error() {
        for record in ["", "calls = 3", "helper_calls = three", "helper_calls", "helper_calls = 3\nmore = 1"]
        {
            assert!(compare(&report(), record).is_err(), "{record}");
        }
        assert!(compare(&json!({ "translated": [] }), "helper_calls = 0").is_err());
    }

    #[test]
    fn every_function_has_a_line() {
        let table = table(&report()).unwrap();
        let words: Vec<_> =
            table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        let expected = [
            "less less 7 bpf_a",
            "lb lb 9 bpf_a, 2 × bpf_b",
            "lb route 2 bpf_c; kfuncs: k",
            "rare rare 1 9 × bpf_a",
        ];
        assert_eq!(words, expected);
    }

    fn report() -> Value {
        let none = json!({});
        json!({ "translated": [
            { "program": "less", "met_first": true, "functions": [
                { "name": "less", "instructions": 7, "helpers": { "bpf_a": 1 }, "kfuncs": none },
            ] },
            { "program": "lb", "met_first": true, "functions": [
                { "name": "lb", "instructions": 9, "helpers": { "bpf_a": 1, "bpf_b": 2 }, "kfuncs": none },
                { "name": "route", "instructions": 2, "helpers": { "bpf_c": 1 }, "kfuncs": { "k": 1 } },
            ] },
            { "program": "rare", "met_first": false, "functions": [
                { "name": "rare", "instructions": 1, "helpers": { "bpf_a": 9 }, "kfuncs": none },
            ] },
        ] })
    }
}
