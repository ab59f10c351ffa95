//! Writes the seeds of every target into folders of their names below the folder that is given.

use std::{env, fs, path::PathBuf};

use anyhow::{Context as _, Result};

fn main() -> Result<()> {
    let folder = PathBuf::from(env::args_os().nth(1).context("usage: fuzz-seeds FOLDER")?);
    for target in lb_fuzz::TARGETS {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            let file = folder.join(format!("seed-{number:02}"));
            fs::write(&file, seed).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    Ok(())
}
