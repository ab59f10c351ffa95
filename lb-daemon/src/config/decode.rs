//! From a TOML document to typed values, without stopping at the first mistake: a value that cannot be used is
//! reported and left out, an unknown key is reported, a missing one too.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{errors::Report, suggest};

/// A value and the line it stands on.
#[derive(Clone, Copy, Debug)]
pub(super) struct At<T> {
    pub(super) value: T,
    pub(super) line: usize,
}

/// What a table says for one of its keys.
#[derive(Debug)]
pub(super) enum Field<T> {
    /// Nothing.
    Absent,
    /// Something that has been reported; or nothing although the key is required, which has been reported too.
    Bad,
    /// A usable value.
    Set(At<T>),
}

impl<T> Field<T> {
    /// The value with its line, if it is usable.
    pub(super) fn at(&self) -> Option<At<&T>> {
        match self {
            Self::Set(At { value, line }) => Some(At { value, line: *line }),
            Self::Absent | Self::Bad => None,
        }
    }

    /// The value, if it is usable.
    pub(super) fn get(&self) -> Option<&T> {
        self.at().map(|at| at.value)
    }

    /// The value or `None` for an absent one; the outer `None` stands for a mistake.
    pub(super) fn optional(&self) -> Option<Option<&T>> {
        match self {
            Self::Absent => Some(None),
            Self::Bad => None,
            Self::Set(at) => Some(Some(&at.value)),
        }
    }

    /// The value or, where it is absent, `default`; `None` stands for a mistake.
    pub(super) fn or(&self, default: T) -> Option<T>
    where
        T: Clone,
    {
        Some(self.optional()?.cloned().unwrap_or(default))
    }
}

/// The elements of a list.
#[derive(Debug)]
pub(super) struct List<T> {
    /// Those that are usable.
    pub(super) items: Vec<At<T>>,
    /// Whether that is all of them.
    pub(super) complete: bool,
}

impl<T> Field<List<T>> {
    /// The usable elements; none where the key is absent.
    pub(super) fn items(&self) -> &[At<T>] {
        self.get().map_or(&[], |list| &list.items)
    }

    /// Whether [`items`](Self::items) is all that was meant.
    pub(super) fn is_complete(&self) -> bool {
        self.optional().is_some_and(|list| list.is_none_or(|list| list.complete))
    }
}

/// What can stand for a key.
pub(super) trait Decode: Sized {
    /// What is expected, for people.
    fn expected() -> String;

    /// The value; `None` after reporting what is wrong with it.
    fn decode(value: &Spanned<DeValue<'_>>, path: &str, report: &mut Report) -> Option<Self>;

    /// Adds the path of every key below `path`.
    fn add_keys(_path: &str, _keys: &mut Vec<String>) {}
}

/// A value without parts.
pub(super) trait Scalar: Sized {
    /// Whether its value must not be shown.
    const SECRET: bool = false;

    /// What is expected, for people.
    fn expected() -> String;

    /// The value, if it is one.
    fn from_value(value: &DeValue<'_>) -> Option<Self>;
}

impl<T: Scalar> Decode for T {
    fn expected() -> String {
        T::expected()
    }

    fn decode(value: &Spanned<DeValue<'_>>, path: &str, report: &mut Report) -> Option<Self> {
        let decoded = T::from_value(value.get_ref());
        if decoded.is_none() {
            let shown = if T::SECRET { "not usable".to_owned() } else { show(value.get_ref()) };
            report.wrong(report.line(value.span().start), format_args!("{path} is {shown}"), T::expected());
        }
        decoded
    }
}

impl<T: Decode> Decode for List<T> {
    fn expected() -> String {
        format!("a list, each element {}", T::expected())
    }

    fn decode(value: &Spanned<DeValue<'_>>, path: &str, report: &mut Report) -> Option<Self> {
        let Some(array) = value.get_ref().as_array() else {
            let line = report.line(value.span().start);
            let expected = match value.get_ref() {
                DeValue::Table(_) => format!("[[{path}]], for there may be several"),
                _ => Self::expected(),
            };
            report.wrong(line, format_args!("{path} is {}", show(value.get_ref())), expected);
            return None;
        };
        let mut items = Vec::new();
        for element in array.iter() {
            let line = report.line(element.span().start);
            items.extend(T::decode(element, path, report).map(|value| At { value, line }));
        }
        Some(Self { complete: items.len() == array.len(), items })
    }

    fn add_keys(path: &str, keys: &mut Vec<String>) {
        T::add_keys(path, keys);
    }
}

/// A table while its keys are taken out.
pub(super) struct Reader<'t, 'r> {
    pub(super) entries: &'t DeTable<'t>,
    /// Path of the table, empty for the document.
    pub(super) path: &'t str,
    /// Line of the table's header.
    pub(super) line: usize,
    pub(super) report: &'r mut Report,
}

impl Reader<'_, '_> {
    /// What the table says for `key`, which may be absent.
    pub(super) fn optional<T: Decode>(&mut self, key: &str) -> Field<T> {
        let Some(value) = self.entries.get(key) else { return Field::Absent };
        let line = self.report.line(value.span().start);
        match T::decode(value, &join(self.path, key), self.report) {
            Some(value) => Field::Set(At { value, line }),
            None => Field::Bad,
        }
    }

    /// What the table says for `key`, which must be there.
    pub(super) fn required<T: Decode>(&mut self, key: &str) -> Field<T> {
        match self.optional(key) {
            Field::Absent => {
                let path = join(self.path, key);
                self.report.missing(self.line, &path, T::expected());
                Field::Bad
            }
            field @ (Field::Bad | Field::Set(_)) => field,
        }
    }

    /// Reports every key that is not in `known`.
    pub(super) fn reject_unknown(&mut self, known: &[&str]) {
        for key in self.entries.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            let line = self.report.line(key.span().start);
            let hint = suggest::hint(self.path, key.get_ref(), known);
            let path = join(self.path, key.get_ref());
            self.report.note(line, format!("unknown key {}; {hint}", path.escape_debug()));
        }
    }
}

/// The path of `key` in the table at `path`.
pub(super) fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

/// The longest string that a message quotes, in characters.
const SHOWN: usize = 60;

/// A value as a message shows it.
fn show(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() > SHOWN => {
            format!("{:?}…", text.chars().take(SHOWN).collect::<String>())
        }
        DeValue::String(text) => format!("{text:?}"),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(value) => value.to_string(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}

/// Declares a table of the file: a struct with a [`Field`] for each key, and how it is decoded. A key is `required` or
/// `optional`; one that is no Rust identifier is given by `as`.
macro_rules! table {
    ($(#[$doc:meta])* $name:ident { $($need:ident $field:ident $(as $key:literal)?: $type:ty,)+ }) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub(super) struct $name {
            $(pub(super) $field: $crate::config::decode::Field<$type>,)+
        }

        impl $name {
            /// The table at `path` whose header stands on `line`.
            pub(super) fn from_entries(
                entries: &toml::de::DeTable<'_>,
                path: &str,
                line: usize,
                report: &mut $crate::config::errors::Report,
            ) -> Self {
                let mut reader = $crate::config::decode::Reader { entries, path, line, report };
                reader.reject_unknown(&[$(table!(@key $field $($key)?),)+]);
                Self { $($field: reader.$need(table!(@key $field $($key)?)),)+ }
            }
        }

        impl $crate::config::decode::Decode for $name {
            fn expected() -> String {
                "a table".to_owned()
            }

            fn decode(
                value: &toml::Spanned<toml::de::DeValue<'_>>,
                path: &str,
                report: &mut $crate::config::errors::Report,
            ) -> Option<Self> {
                let line = report.line(value.span().start);
                let Some(entries) = value.get_ref().as_table() else {
                    let kind = value.get_ref().type_str();
                    report.wrong(line, format_args!("{path} is of type {kind}"), Self::expected());
                    return None;
                };
                Some(Self::from_entries(entries, path, line, report))
            }

            fn add_keys(path: &str, keys: &mut Vec<String>) {
                $(
                    let key = $crate::config::decode::join(path, table!(@key $field $($key)?));
                    <$type as $crate::config::decode::Decode>::add_keys(&key, keys);
                    keys.push(key);
                )+
            }
        }
    };
    (@key $field:ident) => { stringify!($field) };
    (@key $field:ident $key:literal) => { $key };
}
pub(super) use table;
