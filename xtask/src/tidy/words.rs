//! Words that do not belong in the tree, or not there.

use super::{Problem, files::is_test};

/// What is left open belongs in an issue; what a test does not do is not tested. Written in halves: this file is checked too.
const LEFTOVERS: [&str; 7] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("XX", "X"),
    concat!("HA", "CK"),
    concat!("todo", "!("),
    concat!("unimplemented", "!("),
    concat!("#[igno", "re"),
];

/// Home folders: a path below one is right on one machine alone.
const MACHINE_PATHS: [&str; 2] = [concat!("/ro", "ot/"), concat!("/ho", "me/")];

/// Where aya may be named: behind the trait `Datapath`, on the kernel side, in the tests of both, and for `aya::Pod`.
const AYA_FOLDERS: [&str; 3] = ["lb-daemon/src/datapath/", "lb-ebpf/", "lb-common/src/pod.rs"];
/// How Rust names it.
const AYA: [&str; 3] = [concat!("use a", "ya"), concat!("aya:", ":"), concat!("aya_", "log:")];

pub(super) fn check(path: &str, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    if path == "Cargo.lock" {
        return problems;
    }
    let may_name_aya =
        !path.ends_with(".rs") || is_test(path) || AYA_FOLDERS.iter().any(|folder| path.starts_with(folder));
    for (index, line) in text.lines().enumerate() {
        let mut report = |text: String| problems.push(Problem::new(path, index + 1, text));
        if let Some(word) = LEFTOVERS.iter().find(|word| holds_word(line, word)) {
            report(format!("{word}: finish it, or leave it out"));
        }
        if let Some(folder) = MACHINE_PATHS.iter().find(|folder| holds_path(line, folder)) {
            report(format!("{folder}: a path of one machine"));
        }
        if !may_name_aya && !line.trim_start().starts_with("//") && AYA.iter().any(|name| line.contains(name))
        {
            report("aya is used behind the trait Datapath alone".to_owned());
        }
    }
    problems
}

/// Whether `word` stands in the line and is not part of a longer one.
fn holds_word(line: &str, word: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        let open_ended = !word.ends_with(is_letter);
        !before.is_some_and(is_letter) && (open_ended || !after.is_some_and(is_letter))
    })
}

/// Whether an absolute path begins with `folder`.
fn holds_path(line: &str, folder: &str) -> bool {
    let continues = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '~' | '}' | ')' | '*');
    line.match_indices(folder).any(|(at, _)| !line[..at].chars().next_back().is_some_and(continues))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leftovers_are_found_as_words() {
        let [todo, ..] = LEFTOVERS;
        assert_eq!(check("a.rs", &format!("x\n// {todo}: later\n"))[0].line, 2);
        assert_eq!(check("a.rs", &format!("const MAS{todo}S: u8 = 1;\n")), []);
        for word in LEFTOVERS {
            assert_eq!(check("a.rs", &format!("{word}\n")).len(), 1, "{word}");
        }
    }

    #[test]
    fn machine_paths_are_found_at_their_beginning() {
        let [folder, ..] = MACHINE_PATHS;
        assert_eq!(check("a.md", &format!("see {folder}main\n")).len(), 1);
        assert_eq!(check("a.md", &format!("see target{folder}main\n")), []);
    }

    #[test]
    fn aya_stays_behind_its_trait() {
        let [import, ..] = AYA;
        let line = format!("{import}::Ebpf;\n");
        assert_eq!(check("lb-daemon/src/plan.rs", &line).len(), 1);
        assert_eq!(check("lb-daemon/src/datapath/kernel.rs", &line), []);
        assert_eq!(check("lb-daemon/tests/datapath.rs", &line), []);
        assert_eq!(check("lb-daemon/src/plan.rs", &format!("// never {line}")), []);
    }
}
