//! `lbctl check`, which needs no daemon.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::fake::{Outcome, lbctl};

/// Its interfaces need not exist here.
const EXAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/single.toml");

#[tokio::test]
async fn a_right_file_is_ok() {
    let outcome = lbctl(Path::new("/nonexistent"), &["check", EXAMPLE]).await;
    let stdout = format!("{EXAMPLE}: ok (1 service, 2 real servers)\n");
    assert_eq!(outcome, Outcome { code: Some(0), stdout, stderr: String::new() });
}

#[tokio::test]
async fn every_mistake_is_a_line_that_begins_with_file_and_line() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("lbd.toml");
    fs::write(&path, "[router]\nnmae = \"lb1\"\n\n[nonsense]\n").unwrap();
    let file = path.to_str().unwrap();
    let outcome = lbctl(Path::new("/nonexistent"), &["check", file, "--json"]).await;
    assert_eq!(outcome.code, Some(2));
    let lines: Vec<_> = outcome.stderr.lines().collect();
    assert!(lines.len() >= 2, "{lines:?}");
    for line in &lines {
        assert!(line.starts_with(&format!("{file}:")), "{line}");
    }
    let answer: Value = serde_json::from_str(&outcome.stdout).unwrap();
    assert_eq!(answer, json!({"error": lines.join("\n")}));
}

#[tokio::test]
async fn a_file_that_is_not_there_is_told() {
    let outcome = lbctl(Path::new("/nonexistent"), &["check", "/nonexistent/lbd.toml"]).await;
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(2), ""));
    assert!(outcome.stderr.contains("/nonexistent/lbd.toml"), "{}", outcome.stderr);
}
