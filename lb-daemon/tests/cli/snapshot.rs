//! Expected output as files under `tests/snapshots`. `UPDATE=1 cargo test` writes them anew, for `git diff` to show.

use std::{env, fs, path::Path};

/// Compares `actual` with the snapshot of this name.
pub(crate) fn assert_snapshot(name: &str, actual: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/snapshots").join(name);
    if env::var_os("UPDATE").is_some() {
        fs::write(&path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; UPDATE=1 writes it", path.display()));
    assert!(
        expected == actual,
        "{name} differs; UPDATE=1 blesses it\nexpected:\n{expected}\nactual:\n{actual}"
    );
}
