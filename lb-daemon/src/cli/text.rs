//! Words and numbers for people.

use std::time::Duration;

/// `text` without control characters: part of what is shown comes from the network, and a terminal obeys those.
pub fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// A time span in its two largest units: `"3days 4h"`, `"12s"`.
pub fn span(secs: u64) -> String {
    let full = humantime::format_duration(Duration::from_secs(secs)).to_string();
    let mut units = full.split(' ');
    match (units.next(), units.next()) {
        (Some(first), Some(second)) => format!("{first} {second}"),
        (Some(first), None) => first.to_owned(),
        (None, _) => full,
    }
}

/// A quantity of up to three digits and a decimal prefix: `"0"`, `"0.4"`, `"12"`, `"1.2k"`, `"340M"`.
pub fn scaled(value: f64) -> String {
    let mut value = if value.is_finite() { value.max(0.0) } else { 0.0 };
    let mut prefix = "";
    let mut larger = ["k", "M", "G", "T"].into_iter();
    // 999.5 would be rounded to four digits.
    while value >= 999.5 {
        let Some(next) = larger.next() else { break };
        value /= 1000.0;
        prefix = next;
    }
    let digit = if value >= 9.95 || (prefix.is_empty() && value.fract() == 0.0) { 0 } else { 1 };
    format!("{value:.digit$}{prefix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_do_not_reach_the_terminal() {
        assert_eq!(clean("got \x1b[31mred\r\n\u{9b}x é"), "got  [31mred   x é");
    }

    #[test]
    fn spans_have_two_units() {
        for (secs, expected) in [(0, "0s"), (59, "59s"), (61, "1m 1s"), (7500, "2h 5m"), (90061, "1day 1h")] {
            assert_eq!(span(secs), expected);
        }
    }

    #[test]
    fn quantities_keep_two_or_three_digits() {
        let cases = [
            (0.0, "0"),
            (0.04, "0.0"),
            (0.4, "0.4"),
            (3.0, "3"),
            (9.94, "9.9"),
            (9.96, "10"),
            (999.4, "999"),
            (999.6, "1.0k"),
            (1234.0, "1.2k"),
            (99_960.0, "100k"),
            (12_384_120.0, "12M"),
            (3.4e9, "3.4G"),
            (5e15, "5000T"),
            (-1.0, "0"),
            (f64::NAN, "0"),
            (f64::INFINITY, "0"),
        ];
        for (value, expected) in cases {
            assert_eq!(scaled(value), expected, "{value}");
        }
    }
}
