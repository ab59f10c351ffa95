//! Where the programs under test are.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// Folder with `lbd` and `lbctl`, where they are not beside the running program.
const FOLDER_VARIABLE: &str = "LBD_BIN";

/// The daemon.
///
/// # Errors
/// When it has not been built.
pub fn lbd() -> Result<PathBuf> {
    product("lbd")
}

/// Its command line.
///
/// # Errors
/// When it has not been built.
pub fn lbctl() -> Result<PathBuf> {
    product("lbctl")
}

/// The lab's real server.
///
/// # Errors
/// When it has not been built.
pub fn lab_server() -> Result<PathBuf> {
    existing(target_folder()?.join("lab-server"), "cargo build -p lb-tests")
}

fn product(name: &str) -> Result<PathBuf> {
    let folder = match std::env::var_os(FOLDER_VARIABLE) {
        Some(folder) => PathBuf::from(folder),
        None => target_folder()?,
    };
    existing(folder.join(name), "cargo build -p lb-daemon")
}

fn existing(path: PathBuf, hint: &str) -> Result<PathBuf> {
    if !path.is_file() {
        bail!("{} is missing: {hint}", path.display());
    }
    Ok(path)
}

/// The folder of the running program; cargo puts test programs one level below the others, in `deps`.
fn target_folder() -> Result<PathBuf> {
    let program = std::env::current_exe().context("where this program is")?;
    let folder = program.parent().unwrap_or(Path::new("/"));
    Ok(match folder.ends_with("deps") {
        true => folder.parent().unwrap_or(folder),
        false => folder,
    }
    .to_owned())
}
