//! Links between documents: file and heading exist.

use std::path::{Component, Path, PathBuf};

use super::{Problem, Tree};

pub(super) fn check(path: &str, text: &str, tree: &Tree) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (index, line) in prose(text) {
        for target in targets(line) {
            if let Err(reason) = resolve(path, target, tree) {
                problems.push(Problem::new(path, index + 1, format!("link to {target}: {reason}")));
            }
        }
    }
    problems
}

/// Lines outside code blocks, with their index.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut in_code = false;
    text.lines().enumerate().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        in_code ^= fence;
        !in_code && !fence
    })
}

/// What stands in `](…)`, but for links to other places of the world.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .filter(|target| !target.contains("://"))
}

fn resolve(from: &str, target: &str, tree: &Tree) -> Result<(), String> {
    let (file, anchor) = target.split_once('#').map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() { from.to_owned() } else { join(from, file) };
    let Some(text) = tree.get(&path) else {
        // The root is the folder without a name.
        let is_folder = tree.keys().any(|name| Path::new(name).starts_with(&path));
        return if is_folder { Ok(()) } else { Err(format!("there is no {path}")) };
    };
    match anchor {
        Some(anchor) if !headings(text).any(|heading| heading == anchor) => {
            Err(format!("no heading in {path}"))
        }
        _ => Ok(()),
    }
}

/// The path that `file` means in the document `from`.
fn join(from: &str, file: &str) -> String {
    let joined = Path::new(from).parent().unwrap_or(Path::new("")).join(file);
    let mut clean = PathBuf::new();
    for part in joined.components() {
        match part {
            Component::ParentDir => drop(clean.pop()),
            Component::CurDir => {}
            other => clean.push(other),
        }
    }
    clean.to_string_lossy().into_owned()
}

/// The headings of a document as GitHub makes anchors of them.
fn headings(text: &str) -> impl Iterator<Item = String> {
    prose(text).filter(|(_, line)| line.starts_with('#')).map(|(_, line)| {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        let title: String = line.trim_start_matches('#').trim().to_lowercase().chars().filter(kept).collect();
        title.replace(' ', "-")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_resolve() {
        let tree = tree();
        for good in [
            "other.md",
            "../README.md",
            "other.md#two-words-done",
            "#own",
            "https://example.org/x",
            "../src/",
            "..",
        ] {
            assert_eq!(check("docs/a.md", &format!("# Own\n[x]({good})\n"), &with_a(&tree)), [], "{good}");
        }
    }

    #[test]
    fn dead_links_are_problems() {
        let tree = tree();
        for bad in ["none.md", "other.md#none", "#none", "../none/"] {
            assert_eq!(check("docs/a.md", &format!("[x]({bad}) text\n"), &with_a(&tree)).len(), 1, "{bad}");
        }
    }

    #[test]
    fn code_is_no_prose() {
        assert_eq!(check("docs/a.md", "```\n[x](none.md)\n```\n", &tree()), []);
    }

    fn tree() -> Tree {
        [("README.md", "# Top\n"), ("docs/other.md", "# Other\n## Two `words`, done\n"), ("src/x.rs", "")]
            .map(|(path, text)| (path.to_owned(), text.to_owned()))
            .into()
    }

    fn with_a(tree: &Tree) -> Tree {
        let mut tree = tree.clone();
        tree.insert("docs/a.md".to_owned(), "# Own\n".to_owned());
        tree
    }
}
