//! Keys and the files that hold them.

use std::{fs, io, io::Write, os::unix::fs::PermissionsExt, path::Path};

use super::PAIR;
use crate::config::{Host, load, parse};

#[test]
fn a_configuration_is_loaded_with_the_key_file_it_names() {
    let directory = tempfile::tempdir().unwrap();
    let config = pair_with_key(directory.path(), b"a key of twenty byte\n", 0o600);
    let peer = load(&config, &Host::default()).unwrap().peer.unwrap();
    assert_eq!(peer.keys.signing.0, b"a key of twenty byte");
}

#[test]
fn a_key_file_that_everyone_may_read_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for mode in [0o604, 0o644, 0o602, 0o777] {
        let config = pair_with_key(directory.path(), b"a key of twenty byte\n", mode);
        let errors = load(&config, &Host::default()).unwrap_err().to_string();
        assert!(errors.contains(&format!("it is open to everyone (mode {mode:04o})")), "{errors}");
        assert!(!errors.contains("twenty"), "{errors}");
    }
    let config = pair_with_key(directory.path(), b"a key of twenty byte\n", 0o640);
    assert!(load(&config, &Host::default()).is_ok());
}

#[test]
fn a_file_that_is_not_there_is_one_error() {
    let error = load(Path::new("/nonexistent/lbd.toml"), &Host::default()).unwrap_err();
    let expected =
        "/nonexistent/lbd.toml: cannot be read: No such file or directory (os error 2); expected a TOML file";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn a_file_that_is_not_text_is_one_error() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&[0xff, 0xfe, 0x00]).unwrap();
    assert_eq!(load(file.path(), &Host::default()).unwrap_err().iter().count(), 1);
}

#[test]
fn keys_lose_their_newline_and_nothing_else() {
    for (content, key) in [
        ("0123456789abcdef", "0123456789abcdef"),
        ("0123456789abcdef\n", "0123456789abcdef"),
        ("0123456789abcdef\r\n", "0123456789abcdef"),
        (" 123456789abcde \n", " 123456789abcde "),
    ] {
        let config = parse(PAIR, "lbd.toml", &Host::default(), &|_| Ok(content.to_owned())).unwrap();
        assert_eq!(config.peer.unwrap().keys.signing.0, key.as_bytes());
    }
}

#[test]
fn the_key_file_is_asked_for_by_its_path() {
    let refuse = |path: &Path| Err(io::Error::other(format!("asked for {}", path.display())));
    let errors = parse(PAIR, "lbd.toml", &Host::default(), &refuse).unwrap_err().to_string();
    assert!(errors.contains("asked for /etc/lbd/heartbeat.key"), "{errors}");
}

#[test]
fn no_message_shows_a_key() {
    for line in [
        "key = \"hunter2\"",
        "key = [\"hunter2\"]",
        "key = { a = \"hunter2\" }",
        "key = 8765432",
        "key = hunter2",
    ] {
        let text = PAIR.replace("key_file = \"/etc/lbd/heartbeat.key\"", line);
        let errors = super::messages(&text);
        assert!(!errors.is_empty() && !errors.contains("hunter2") && !errors.contains("8765432"), "{errors}");
    }
    let both = PAIR.replace("[peer]", "[peer]\nkey = \"hunter2-hunter2-hunter2\"");
    assert!(!super::messages(&both).contains("hunter2"), "{}", super::messages(&both));
}

#[test]
fn a_key_never_shows_in_debug_output() {
    let config =
        parse(PAIR, "lbd.toml", &Host::default(), &|_| Ok("hunter2-hunter2-hunter2".to_owned())).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

/// Writes [`PAIR`] with a key file of `mode` beside it; the configuration's path.
fn pair_with_key(directory: &Path, key: &[u8], mode: u32) -> std::path::PathBuf {
    let key_file = directory.join("heartbeat.key");
    fs::write(&key_file, key).unwrap();
    fs::set_permissions(&key_file, fs::Permissions::from_mode(mode)).unwrap();
    let config = directory.join("lbd.toml");
    fs::write(&config, PAIR.replace("/etc/lbd/heartbeat.key", &key_file.display().to_string())).unwrap();
    config
}
