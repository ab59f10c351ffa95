//! Commands of the operator's.

use crate::config::{
    decode::{Field, List},
    errors::Report,
    values::SomeText,
};

/// User that commands run as unless the file says otherwise: one that may do nothing.
pub(super) const USER: &str = "nobody";

/// The words of the command that stands at `path`; `Some(None)` where there is none.
pub(super) fn words(
    field: &Field<List<SomeText>>,
    path: &str,
    report: &mut Report,
) -> Option<Option<Vec<String>>> {
    let Some(list) = field.at() else { return field.optional().map(|_| None) };
    if !list.value.complete {
        return None;
    }
    let words: Vec<String> = list.value.items.iter().map(|word| word.value.0.clone()).collect();
    let program = words.first().map_or("", String::as_str);
    if !program.starts_with('/') || words.iter().any(|word| word.contains('\0')) {
        let what = format!("{path} starts with \"{program}\"");
        report.wrong(list.line, what, "the absolute path of a program, then its arguments");
        return None;
    }
    Some(Some(words))
}
