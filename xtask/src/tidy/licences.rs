//! Licences: every crate names one, and every one that is named is here.

use super::{Problem, Tree};

/// Where the text of a licence stands, by its SPDX identifier.
const TEXTS: [(&str, &str); 3] =
    [("MIT", "LICENSE-MIT"), ("Apache-2.0", "LICENSE-APACHE"), ("GPL-2.0-only", "lb-ebpf/LICENSE-GPL")];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (path, text) in tree.iter().filter(|(path, _)| path.ends_with("Cargo.toml")) {
        let licences: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("license")).collect();
        if licences.is_empty() {
            problems.push(Problem::new(path, 0, "no license field"));
        }
        // `license = "MIT OR …"`; a crate that has `license.workspace = true` is covered by the workspace's own line.
        let words = licences.iter().flat_map(|line| line.split(['"', ' ', '=']));
        for word in words.filter(|word| word.chars().next().is_some_and(char::is_uppercase) && *word != "OR")
        {
            if !TEXTS.iter().any(|(name, file)| *name == word && tree.contains_key(*file)) {
                problems.push(Problem::new(
                    path,
                    0,
                    format!("the text of licence {word} is not in the tree"),
                ));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crates_name_licences_that_are_here() {
        let tree = tree(&[
            ("Cargo.toml", "license = \"MIT OR Apache-2.0\"\n"),
            ("a/Cargo.toml", "license.workspace = true\n"),
            ("LICENSE-MIT", ""),
            ("LICENSE-APACHE", ""),
        ]);
        assert_eq!(check(&tree), []);
    }

    #[test]
    fn missing_fields_and_texts_are_problems() {
        assert_eq!(check(&tree(&[("a/Cargo.toml", "[package]\n")])).len(), 1);
        assert_eq!(check(&tree(&[("a/Cargo.toml", "license = \"MIT OR GPL-2.0-only\"\n")])).len(), 2);
    }

    fn tree(files: &[(&str, &str)]) -> Tree {
        files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
    }
}
