//! Nothing makes the parser panic, and no mistake is without a line of the file.

use proptest::prelude::*;

use super::{PAIR, read};

proptest! {
    #[test]
    fn arbitrary_text(text in any::<String>()) {
        judge(&text)?;
    }

    #[test]
    fn arbitrary_lines_of_the_language(lines in prop::collection::vec(line(), 0..40)) {
        judge(&lines.join("\n"))?;
    }

    #[test]
    fn good_files_with_a_piece_replaced(start in 0..PAIR.len(), length in 0..80_usize, with in "[\\PC\n\"=\\[\\]{}#]{0,12}") {
        let (start, end) = (boundary(start), boundary((start + length).min(PAIR.len())));
        judge(&format!("{}{with}{}", &PAIR[..start], &PAIR[end..]))?;
    }

    #[test]
    fn good_files_with_lines_moved(from in 0..90_usize, to in 0..90_usize) {
        let mut lines: Vec<&str> = PAIR.lines().collect();
        let line = lines.remove(from % lines.len());
        lines.insert(to % lines.len(), line);
        judge(&lines.join("\n"))?;
    }
}

#[test]
fn depth_does_not_exhaust_the_stack() {
    for opening in ["[", "{a=", "a."] {
        let text = format!("router = {}", opening.repeat(100_000));
        assert!(read(&text).is_err(), "{opening}");
        assert!(read(&opening.repeat(100_000)).is_err(), "{opening}");
    }
}

/// Reads `text`; what is wrong with it must stand on a line of it.
fn judge(text: &str) -> Result<(), TestCaseError> {
    let Err(errors) = read(text) else { return Ok(()) };
    let last = text.matches('\n').count() + 1;
    prop_assert!(errors.iter().count() > 0);
    for error in errors.iter() {
        prop_assert!((0..=last).contains(&error.line), "{error:?}");
        prop_assert!(!error.message.contains('\n'), "{error:?}");
    }
    Ok(())
}

/// Something like a line of a configuration file.
fn line() -> impl Strategy<Value = String> {
    let header = prop::sample::select(vec![
        "[router]",
        "[peer]",
        "[[vip]]",
        "[[service]]",
        "[[service.real]]",
        "[limits]",
        "[daemon]",
        "[service]",
        "[vip",
    ]);
    let key = prop::sample::select(vec![
        "name",
        "interfaces",
        "nat_router",
        "priority",
        "interval",
        "dead_after",
        "key",
        "paths",
        "address",
        "interface",
        "port",
        "protocol",
        "check",
        "check.type",
        "method",
        "weight",
        "flows",
        "pin_dir",
        "check.expect_regex",
        "x",
    ]);
    let value = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| number.to_string()),
        "\\PC{0,20}".prop_map(|text| format!("{text:?}")),
        "\\PC{0,10}",
        Just("\"192.0.2.10\"".to_owned()),
        Just("\"eth0\"".to_owned()),
        Just("[\"eth0\"]".to_owned()),
        Just("{ type = \"http\", interval = \"1s\" }".to_owned()),
        Just("[{ local = \"192.0.2.2\", remote = \"192.0.2.2\" }, {}, 1]".to_owned()),
    ];
    prop_oneof![
        1 => header.prop_map(str::to_owned),
        4 => (key, value).prop_map(|(key, value)| format!("{key} = {value}")),
    ]
}

/// The last character boundary of [`PAIR`] at or before `at`.
fn boundary(at: usize) -> usize {
    (0..=at).rev().find(|at| PAIR.is_char_boundary(*at)).unwrap_or_default()
}
