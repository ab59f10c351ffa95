//! What an unknown key may have been meant for.

use super::{decode::Decode, raw::File};

/// A hint for the unknown `key` of the table at `path`, which knows the keys `known`: the nearest of them, or the
/// tables that do know it, or all keys of this one.
pub(super) fn hint(path: &str, key: &str, known: &[&str]) -> String {
    let near = known.iter().map(|known| (distance(key, known), known)).min();
    if let Some((distance, known)) = near
        && distance <= known.len().max(3) / 3
    {
        return format!("did you mean {known}?");
    }
    let homes = homes(key);
    if !homes.is_empty() {
        return format!("it belongs in {}", homes.join(" or "));
    }
    let place = if path.is_empty() { "here" } else { path };
    format!("{place} knows {}", known.join(", "))
}

/// Paths of the tables that know `key`.
fn homes(key: &str) -> Vec<String> {
    let mut keys = Vec::new();
    File::add_keys("", &mut keys);
    let parents = keys.iter().filter_map(|path| path.rsplit_once('.'));
    parents.filter(|(_, last)| *last == key).map(|(parent, _)| parent.to_owned()).collect()
}

/// Characters to insert, delete or replace in order to get from `a` to `b` (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (to, above) in b.iter().zip(row.iter_mut().skip(1)) {
            let replaced = diagonal + usize::from(from != *to);
            diagonal = *above;
            left = replaced.min(left + 1).min(*above + 1);
            *above = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (a, b, expected) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("port", "port", 0),
            ("prot", "port", 2),
            ("adress", "address", 1),
            ("kitten", "sitting", 3),
            ("größe", "grösse", 2),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
            assert_eq!(distance(b, a), expected, "{b} {a}");
        }
    }

    #[test]
    fn the_nearest_key_comes_first_then_its_home_then_all_keys() {
        let known = ["name", "address", "port"];
        assert_eq!(hint("service", "adress", &known), "did you mean address?");
        assert_eq!(hint("service", "nat_router", &known), "it belongs in router or group");
        assert_eq!(hint("service", "colour", &known), "service knows name, address, port");
        assert_eq!(hint("", "colour", &known), "here knows name, address, port");
    }
}
