//! Functions: their length.

use super::{Problem, blank::blank};

/// Lines of a function that a reader keeps in mind.
const LINES: usize = 60;
/// A function that is nothing but one `match` is read arm by arm.
const DISPATCH_LINES: usize = 80;

pub(super) fn check(path: &str, text: &str) -> Vec<Problem> {
    let code = blank(text);
    functions(&code)
        .into_iter()
        .filter_map(|function| {
            let limit = if function.is_dispatch { DISPATCH_LINES } else { LINES };
            let Function { name, line, lines, .. } = function;
            (lines > limit)
                .then(|| Problem::new(path, line, format!("fn {name}: {lines} lines, more than {limit}")))
        })
        .collect()
}

struct Function<'a> {
    name: &'a str,
    /// Line of the signature's `fn`, from 1.
    line: usize,
    /// Lines from there to the closing brace.
    lines: usize,
    is_dispatch: bool,
}

/// Every function with a body. `code` holds no comments and no strings.
fn functions(code: &str) -> Vec<Function<'_>> {
    let mut found = Vec::new();
    for (at, _) in code.match_indices("fn ") {
        let is_word =
            code[..at].chars().next_back().is_none_or(|before| !before.is_alphanumeric() && before != '_');
        let rest = &code[at..];
        let Some(body) = body(rest).filter(|_| is_word) else { continue };
        let signature = rest[3..].trim_start();
        let name = signature.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
        // A pointer type `fn (u32)` has no name.
        if name.is_empty() {
            continue;
        }
        found.push(Function {
            name,
            line: code[..at].lines().count().max(1),
            lines: rest[..body.end].lines().count(),
            is_dispatch: is_dispatch(&rest[body.start..body.end]),
        });
    }
    found
}

/// Where the body of the function stands that begins `text`, braces included; `None` for one without a body.
fn body(text: &str) -> Option<std::ops::Range<usize>> {
    let mut brackets = 0_i32;
    let start = text.char_indices().find_map(|(at, c)| {
        match c {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if brackets == 0 => return Some(None),
            '{' if brackets == 0 => return Some(Some(at)),
            _ => {}
        }
        None
    })??;
    let mut depth = 0_i32;
    let end = text[start..].char_indices().find_map(|(at, c)| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        (depth == 0).then_some(start + at + 1)
    })?;
    Some(start..end)
}

/// Whether a body is one `match` and nothing after it.
fn is_dispatch(body: &str) -> bool {
    let inner = body.trim_start_matches('{').trim_start();
    if !inner.starts_with("match ") {
        return false;
    }
    let Some(arms) = inner.find('{') else { return false };
    let mut depth = 0_i32;
    let end = inner[arms..].char_indices().find_map(|(at, c)| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        (depth == 0).then_some(arms + at + 1)
    });
    end.is_some_and(|end| inner[end..].trim() == "}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_found_with_their_lengths() {
        let code = "fn short() {}\n\
                    trait T { fn none(&self) -> [u8; 4]; }\n\
                    pub async fn long<F: Fn(u8)>(f: F)\nwhere\n  F: Copy,\n{\n  if x { y }\n}\n\
                    type P = fn (u8) -> u8;\nconst X: u8 = { 1 };\n";
        let found: Vec<_> = functions(code).iter().map(|f| (f.name, f.line, f.lines)).collect();
        assert_eq!(found, [("short", 1, 1), ("long", 3, 6)]);
    }

    #[test]
    fn long_functions_are_problems() {
        let body =
            |first: &str, last: &str, lines| format!("fn f() {{\n{first}{}{last}}}\n", "x;\n".repeat(lines));
        assert_eq!(check("a.rs", &body("", "", LINES - 2)), []);
        assert_eq!(check("a.rs", &body("", "", LINES - 1)).len(), 1);
        assert_eq!(check("a.rs", &body("match x {\n", "}\n", DISPATCH_LINES - 4)), []);
        assert_eq!(check("a.rs", &body("match x {\n", "}\n", DISPATCH_LINES - 3)).len(), 1);
        assert_eq!(
            check("a.rs", &body("match x {\n", "}\ny\n", DISPATCH_LINES - 5)).len(),
            1,
            "more than a match"
        );
    }

    #[test]
    fn a_brace_in_a_string_ends_nothing() {
        let text = format!("fn f() {{\nlet s = \"}}\"; // }}\n{}}}\n", "x;\n".repeat(LINES));
        assert_eq!(check("a.rs", &text).len(), 1);
    }
}
