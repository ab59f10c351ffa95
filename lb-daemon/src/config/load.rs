//! From a file, or its text, to a [`Config`].

use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use toml::de::DeTable;

use super::{Config, Errors, check, errors::Report, raw};

/// What a configuration is held against.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Names of the network interfaces that exist; `None` when that is not to be checked, as for a file that is meant
    /// for another machine.
    pub interfaces: Option<BTreeSet<String>>,
}

/// Reads the configuration file at `path`, and the key file that it names.
///
/// # Errors
/// Every mistake of the file at once, each with its line; or one error where the file cannot be read.
pub fn load(path: &Path, host: &Host) -> Result<Config, Errors> {
    let origin = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => parse(&text, &origin, host, &read_key_file),
        Err(error) => {
            Err(Errors::whole_file(&origin, format!("cannot be read: {error}; expected a TOML file")))
        }
    }
}

/// Turns the text of a configuration file into a value. `origin` names the file in errors; `read_key` reads the key
/// file. Nothing else is read, except the host's name where the file gives none.
///
/// # Errors
/// Every mistake at once, each with its line. Where the text is not TOML, that is: every syntax error, and what is
/// wrong on the other lines by themselves, but nothing that depends on what a broken line may have said.
pub fn parse(
    text: &str,
    origin: &str,
    host: &Host,
    read_key: &dyn Fn(&Path) -> io::Result<String>,
) -> Result<Config, Errors> {
    let mut report = Report::new(text);
    let (document, syntax_errors) = DeTable::parse_recoverable(text);
    if !syntax_errors.is_empty() {
        note_syntax_errors(&syntax_errors, &mut report);
        judge_other_lines(text, &mut report);
        return Err(report.into_errors(origin));
    }
    let file = raw::File::from_entries(document.get_ref(), "", 1, &mut report);
    let config = check::check(&file, host, read_key, &mut report);
    match config {
        Some(config) if report.is_empty() => Ok(config),
        Some(_) | None => Err(report.into_errors(origin)),
    }
}

/// Reports what makes the text no TOML, in the form of all messages.
fn note_syntax_errors(errors: &[toml::de::Error], report: &mut Report) {
    for error in errors {
        let line = report.line(error.span().map_or(0, |span| span.start));
        let (what, expected) = match error.message() {
            what @ "duplicate key" => (what, "each key once"),
            message => message.split_once(", expected ").unwrap_or((message, "something else")),
        };
        report.wrong(line, format_args!("not TOML: {what}"), expected);
    }
}

/// Reports unknown keys and unusable values on the lines that have no syntax error, if those make a document: not
/// when a table's header is broken, or when a string or list does not end.
fn judge_other_lines(text: &str, report: &mut Report) {
    let broken = report.lines();
    let mut remaining = String::new();
    for (line, content) in (1..).zip(text.split_inclusive('\n')) {
        match broken.contains(&line) {
            true if content.trim_start().starts_with('[') => return,
            true => remaining.push('\n'),
            false => remaining.push_str(content),
        }
    }
    if let Ok(document) = DeTable::parse(&remaining) {
        let mut others = Report::without_missing(&remaining);
        raw::File::from_entries(document.get_ref(), "", 1, &mut others);
        report.append(others);
    }
}

/// Bits of a file's mode that open it to everyone.
const EVERYONE: u32 = 0o007;

/// Longest key file that is read, in bytes; a longer one is cut and cannot be meant.
const KEY_FILE_MAX: u64 = 64 * 1024;

/// Reads a key file, which must not be open to everyone.
fn read_key_file(path: &Path) -> io::Result<String> {
    // The mode is that of the file that is then read, not of one that may stand there by now.
    let file = File::open(path)?;
    let mode = file.metadata()?.permissions().mode() & 0o7777;
    if mode & EVERYONE != 0 {
        return Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            format!("it is open to everyone (mode {mode:04o})"),
        ));
    }
    let mut key = String::new();
    file.take(KEY_FILE_MAX).read_to_string(&mut key)?;
    Ok(key)
}

/// The host's name, as `uname -n` prints it.
pub(super) fn host_name() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/hostname")?.trim_end().to_owned())
}
