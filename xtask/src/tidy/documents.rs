//! Documents that list what the code has list all of it.

use super::{Problem, Tree};

/// A list in the code, and the document that explains each of its names.
struct List {
    code: &'static str,
    document: &'static str,
    /// The name that a line of the code adds to the list.
    name: fn(&str) -> Option<&str>,
}

const LISTS: [List; 2] = [
    List { code: "lb-common/src/reason.rs", document: "docs/operations.md", name: reason },
    List { code: "lb-ebpf/src/maps.rs", document: "docs/datapath.md", name: map },
];

pub(super) fn check(tree: &Tree) -> Vec<Problem> {
    LISTS.iter().flat_map(|list| check_list(list, tree)).collect()
}

fn check_list(list: &List, tree: &Tree) -> Vec<Problem> {
    let Some(code) = tree.get(list.code) else {
        return vec![Problem::new(
            list.code,
            0,
            "the list that this file holds is gone; tidy looks for it here",
        )];
    };
    let document = tree.get(list.document).map_or("", String::as_str);
    let names = code.lines().filter_map(list.name);
    let absent = names.filter(|name| !document.contains(&format!("`{name}`")));
    absent
        .map(|name| Problem::new(list.document, 0, format!("{name} of {} is not explained", list.code)))
        .collect()
}

/// `NotIpv4 = 0, Pass, "not_ipv4";` names `not_ipv4`.
fn reason(line: &str) -> Option<&str> {
    let (_, rest) = line.trim().strip_suffix("\";")?.split_once(" = ")?;
    rest.split_once('"').map(|(_, name)| name)
}

/// `pub static SERVICES: HashMap<…` names `SERVICES`.
fn map(line: &str) -> Option<&str> {
    line.strip_prefix("pub static ").or_else(|| line.strip_prefix("pub(crate) static "))?.split(':').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_the_code() {
        assert_eq!(reason("    NotIpv4 = 0, Pass, \"not_ipv4\";"), Some("not_ipv4"));
        assert_eq!(reason("    pub const fn name(self) -> &'static str {"), None);
        assert_eq!(
            map("pub static FLOWS: LruHashMap<FlowKey, Flow, 262144> = LruHashMap::new();"),
            Some("FLOWS")
        );
        assert_eq!(map("use lb_common::Flow;"), None);
    }

    #[test]
    fn a_name_that_no_document_explains_is_a_problem() {
        let code = "pub static SERVICES: A = A;\npub static REALS: A = A;\n";
        let tree: Tree =
            [("lb-ebpf/src/maps.rs", code), ("docs/datapath.md", "| `SERVICES` | virtual services |\n")]
                .map(|(path, text)| (path.to_owned(), text.to_owned()))
                .into();
        let [_, maps] = &LISTS;
        let problems = check_list(maps, &tree);
        assert_eq!(problems.len(), 1);
        assert!(problems[0].text.starts_with("REALS"), "{}", problems[0]);
    }
}
