//! Rust text with everything blanked that only looks like code: comments, strings, characters.

/// `source` with the same length and lines, in which comments and the contents of literals are spaces.
pub(super) fn blank(source: &str) -> String {
    let mut blanker = Blanker { rest: source, out: String::with_capacity(source.len()) };
    while !blanker.rest.is_empty() {
        blanker.step();
    }
    blanker.out
}

struct Blanker<'a> {
    rest: &'a str,
    out: String,
}

impl Blanker<'_> {
    fn step(&mut self) {
        let rest = self.rest;
        if rest.starts_with("//") {
            self.hide(rest.find('\n').unwrap_or(rest.len()));
        } else if rest.starts_with("/*") {
            self.hide(block_comment(rest));
        } else if let Some(length) = raw_string(rest).filter(|_| !self.in_word()) {
            self.hide(length);
        } else if rest.starts_with('"') {
            self.hide(string(rest));
        } else if let Some(length) = character(rest) {
            self.hide(length);
        } else {
            self.keep();
        }
    }

    /// Whether the character before belongs to a word: then an `r` is no beginning of a raw string.
    fn in_word(&self) -> bool {
        self.out.ends_with(|c: char| c.is_alphanumeric() || c == '_') && !self.out.ends_with('b')
    }

    fn hide(&mut self, length: usize) {
        let (hidden, rest) = self.rest.split_at(length);
        self.out.extend(hidden.chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
        self.rest = rest;
    }

    fn keep(&mut self) {
        let mut characters = self.rest.chars();
        self.out.extend(characters.next());
        self.rest = characters.as_str();
    }
}

/// Length of a block comment, which may hold others.
fn block_comment(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Length of a string literal with its quotes.
fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '"' if !escaped => return at + 1,
            _ => escaped = c == '\\' && !escaped,
        }
    }
    text.len()
}

/// Length of a raw string literal; `None` if the text does not begin with one.
fn raw_string(text: &str) -> Option<usize> {
    let hashes = text.strip_prefix('r')?.bytes().take_while(|byte| *byte == b'#').count();
    let start = 1 + hashes + 1;
    if text.as_bytes().get(1 + hashes) != Some(&b'"') {
        return None;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    Some(text[start..].find(&end).map_or(text.len(), |at| start + at + end.len()))
}

/// Length of a character literal; `None` for a lifetime and everything else.
fn character(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    let first = inner.chars().next()?;
    if first == '\\' {
        let second = inner[1..].chars().next()?;
        let from = 1 + second.len_utf8();
        return inner[from..].find('\'').map(|at| 1 + from + at + 1);
    }
    inner[first.len_utf8()..].starts_with('\'').then_some(1 + first.len_utf8() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_looks_like_code_is_gone() {
        for source in [
            "// { fn }",
            "/* { /* fn */ } */",
            "\"{ fn \\\" }\"",
            "r#\"{ \" fn }\"#",
            "'{'",
            "'\\''",
            "'\\u{7b}'",
            "\"open { at the end",
        ] {
            let blanked = blank(source);
            assert!(!blanked.contains(['{', '}']) && !blanked.contains("fn"), "{source} becomes {blanked}");
        }
    }

    #[test]
    fn code_stays() {
        for source in ["fn f<'a>(x: &'a str) {}", "let r = br + r; {", "'outer: loop {}", "for r in x {}"] {
            assert_eq!(blank(source), source);
        }
    }

    #[test]
    fn lines_stay_where_they_are() {
        let source = "a // é\n/* b\nc */ d\n\"x\ny\" e\n";
        let blanked = blank(source);
        assert_eq!(blanked.lines().count(), source.lines().count());
        assert_eq!(blanked.split_whitespace().collect::<Vec<_>>(), ["a", "d", "e"]);
    }
}
