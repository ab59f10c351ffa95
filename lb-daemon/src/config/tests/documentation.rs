//! The documentation and the examples keep up with the parser.

use std::collections::BTreeMap;

use crate::config::{decode::Decode, raw::File};

const DOCUMENT: &str = include_str!("../../../../docs/config.md");

#[test]
fn every_key_is_documented_in_its_section() {
    let sections = sections();
    let mut keys = Vec::new();
    File::add_keys("", &mut keys);
    assert!(keys.len() > 50, "{keys:?}");
    for path in keys {
        let (table, key) = path.rsplit_once('.').unwrap_or(("", &path));
        let Some(section) = sections.get(table) else {
            panic!("docs/config.md has no section for {table:?}")
        };
        assert!(section.contains(&format!("\n| `{key}` |")), "docs/config.md does not say what {path} is");
    }
}

#[test]
fn every_documented_key_exists() {
    let mut keys = Vec::new();
    File::add_keys("", &mut keys);
    for (table, section) in sections() {
        for row in section.lines().filter_map(|line| line.strip_prefix("| `")) {
            let key = row.split('`').next().unwrap_or_default();
            let path = crate::config::decode::join(table, key);
            assert!(keys.contains(&path), "docs/config.md describes {path}, which is no key");
        }
    }
}

#[test]
fn the_readme_shows_the_smallest_example() {
    const README: &str = include_str!("../../../../README.md");
    let blocks: Vec<&str> =
        README.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    let [shown] = blocks[..] else { panic!("one configuration is expected in README.md: {blocks:?}") };
    assert_eq!(super::messages(shown), "");
    assert_eq!(super::read(shown), super::read(super::SINGLE));
}

#[test]
fn every_example_is_accepted() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples");
    let mut seen = 0;
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let errors = super::messages(&std::fs::read_to_string(&path).unwrap());
            assert_eq!(errors, "", "{}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 2);
}

/// Sections of the document by the path of their table, which is in the anchor above them.
fn sections() -> BTreeMap<&'static str, &'static str> {
    DOCUMENT
        .split("<!-- keys of ")
        .skip(1)
        .map(|section| {
            let (table, rest) = section.split_once(" -->").unwrap();
            (if table == "the file" { "" } else { table }, rest)
        })
        .collect()
}
