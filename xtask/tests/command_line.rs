//! The command line as a person meets it: a reader that goes, as `head` does, and commands that do not exist.

use std::{io, os::unix::process::ExitStatusExt, process::Command};

#[test]
fn a_reader_that_is_gone_ends_the_command_without_a_panic() {
    let (reader, writer) = io::pipe().unwrap();
    drop(reader);
    let output = Command::new(env!("CARGO_BIN_EXE_xtask")).arg("tidy").stdout(writer).output().unwrap();
    assert_eq!(output.status.signal(), Some(libc::SIGPIPE), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
}

#[test]
fn whoever_types_no_command_or_a_wrong_one_sees_them_all() {
    for arguments in [&[][..], &["nonsense"]] {
        let output = Command::new(env!("CARGO_BIN_EXE_xtask")).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        let text = String::from_utf8_lossy(&output.stderr);
        for command in ["setup", "build-ebpf", "test", "demo", "outage", "soak", "fuzz", "lint", "tidy", "ci"]
        {
            assert!(text.contains(&format!("\n  {command} ")), "{arguments:?}: {text}");
        }
    }
}
