//! How a command ends: its output, its error line, its exit code.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::error::ErrorKind;
use serde::Serialize;

use crate::api::{client::ClientError, types::Failure};

/// Exit codes, the same for every command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done = 0,
    /// The daemon refused, or the output could not be written.
    Refused = 1,
    /// The arguments or the configuration file are wrong; clap's own code for it.
    Usage = 2,
    /// The daemon does not answer, or not as it should.
    NoAnswer = 3,
    /// The socket is not for this user.
    Permission = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command was not done. Its text is for a person, one line for each thing that is wrong.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The call of the daemon failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The arguments make no sense together.
    #[error("{0}")]
    Usage(String),
    /// The configuration file is wrong, a line for each mistake.
    #[error("{0}")]
    Config(String),
    /// This machine refused what every command needs.
    #[error("{0}")]
    System(#[from] io::Error),
}

impl CliError {
    /// The exit code that says the same.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Client(ClientError::Refused { .. }) | Self::System(_) => Exit::Refused,
            Self::Client(ClientError::Permission(_)) => Exit::Permission,
            Self::Client(
                ClientError::NotRunning(_) | ClientError::Silent { .. } | ClientError::Protocol { .. },
            ) => Exit::NoAnswer,
            Self::Usage(_) | Self::Config(_) => Exit::Usage,
        }
    }
}

/// How answers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// The API's own JSON.
    Json,
}

impl Format {
    /// The answer as JSON, or as `text` shows it.
    ///
    /// # Errors
    /// When `value` has no JSON.
    pub fn render<T: Serialize>(
        self,
        value: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<String, CliError> {
        match self {
            Self::Text => Ok(text(value)),
            Self::Json => Ok(serde_json::to_string_pretty(value).map_err(io::Error::from)? + "\n"),
        }
    }
}

/// Writes a command's output.
pub fn print(text: &str) -> Exit {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Exit::Done,
        // The reader, `head` perhaps, has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(error) => {
            complain(&format!("standard output: {error}"));
            Exit::Refused
        }
    }
}

/// Says why a command failed: lines on standard error, and with [`Format::Json`] an object on standard output too.
pub fn fail(error: &CliError, format: Format) -> Exit {
    let failure = Failure { error: error.to_string() };
    match error {
        // Each line begins with file and line, as editors and make know them.
        CliError::Config(mistakes) => to_stderr(mistakes),
        CliError::Client(_) | CliError::Usage(_) | CliError::System(_) => complain(&failure.error),
    }
    match format.render(&failure, |_| String::new()).map(|json| print(&json)) {
        Ok(Exit::Done) | Err(_) => error.exit(),
        Ok(other) => other,
    }
}

/// Shows what clap has to say: help and version are answers, anything else is a usage error.
pub fn usage(error: &clap::Error) -> Exit {
    let text = error.to_string();
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        to_stderr(text.trim_end());
        Exit::Usage
    } else if error.use_stderr() {
        complain(text.strip_prefix("error: ").unwrap_or(&text).trim_end());
        Exit::Usage
    } else {
        print(&text)
    }
}

fn complain(message: &str) {
    to_stderr(&format!("lbctl: {message}"));
}

/// Nothing is left to do where even this fails.
fn to_stderr(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
