//! What every mistake is called, word for word, and on which line. Most files with mistakes stand in the folder
//! `mistakes`.

use super::{messages, read};
use crate::config::{Host, parse};

/// Lines 1 to 5 of most files here.
const HEAD: &str = r#"[router]
interfaces = ["eth0", "eth1"]
[[vip]]
address = "192.0.2.10"
interface = "eth0"
"#;

/// Lines 6 to 9 of those with a service.
const SERVICE: &str = r#"[[service]]
name = "web"
address = "192.0.2.10"
port = 80
"#;

/// Lines 6 to 8 of those with a peer.
const PEER: &str = r#"[peer]
key = "0123456789abcdef"
paths = [{ local = "192.0.2.2", remote = "192.0.2.3" }]
"#;

#[test]
fn heads_are_good() {
    assert_eq!(messages(&format!("{HEAD}{PEER}{SERVICE}")), "");
}

#[test]
fn the_shape_of_the_file() {
    check_all("", include_str!("mistakes/document.txt"));
}

#[test]
fn unknown_keys() {
    check_all(HEAD, include_str!("mistakes/unknown_keys.txt"));
}

#[test]
fn syntax() {
    check_all(HEAD, include_str!("mistakes/syntax.txt"));
    check(
        &format!("{HEAD}[daemon]\nsocket = \"/run\npin_dir = 3"),
        "\
7: not TOML: invalid basic string; expected `\"`
8: daemon.pin_dir is 3; expected an absolute path",
    );
    // What follows an open list may all belong to it: nothing else is judged.
    let errors = read(&format!("{HEAD}{PEER}x = [1,\n[limits]\nflows = 0")).unwrap_err();
    assert!(errors.iter().all(|error| error.message.starts_with("not TOML: ")), "{errors}");
}

#[test]
fn virtual_addresses() {
    let vip = "[[vip]]\ninterface = \"eth0\"\naddress = ";
    for address in [
        "0.0.0.0",
        "224.0.0.5",
        "255.255.255.255",
        "192.0.2.0/24",
        "192.0.2.255/24",
        "192.0.2.1/33",
        "::1",
        "",
    ] {
        let expected = format!(
            "8: vip.address is \"{address}\"; expected a unicast IPv4 address, with a prefix length or alone, such as \"192.0.2.10/32\""
        );
        check(&format!("{HEAD}{vip}\"{address}\""), &expected);
    }
    check_all(HEAD, include_str!("mistakes/vip.txt"));
    let nat_router = "nat_router = { address = \"192.0.2.10/24\", interface = \"eth9\" }\n[[vip]]";
    check(
        &HEAD.replace("[[vip]]", nat_router),
        "\
3: router.nat_router.interface is \"eth9\"; expected one of router.interfaces: eth0, eth1
5: vip.address 192.0.2.10 is already router.nat_router.address (line 3); expected an address of its own",
    );
}

#[test]
fn interfaces_of_this_host() {
    let host = Host { interfaces: Some(["lo", "eth0"].map(String::from).into()) };
    let errors = parse(HEAD, "lbd.toml", &host, &|_| unreachable!("no key file is named")).unwrap_err();
    assert_eq!(
        errors.to_string(),
        "lbd.toml:2: router.interfaces: there is no network interface \"eth1\"; expected one of eth0, lo"
    );
}

#[test]
fn the_peer() {
    check_all(&format!("{HEAD}{PEER}"), include_str!("mistakes/peer_keys.txt"));
    let text = format!("{}{PEER}", HEAD.replace("192.0.2.10", "192.0.2.3"));
    let expected = "4: vip.address 192.0.2.3 is also peer.paths.remote (line 8); expected an address that is neither \
                    router's own, since it moves between them";
    check(&text, expected);
    let text = format!("{HEAD}{PEER}witness = [\"192.0.2.10\"]");
    let expected = "4: vip.address 192.0.2.10 is also peer.witness (line 9); expected an address that is neither \
                    router's own, since it moves between them";
    check(&text, expected);
    check_all(HEAD, include_str!("mistakes/peer.txt"));
}

#[test]
fn tracks() {
    check_all(HEAD, include_str!("mistakes/track.txt"));
    let host = Host { interfaces: Some(["eth0", "eth1"].map(String::from).into()) };
    let text = format!("{HEAD}[[track]]\nname = \"a\"\ntype = \"link\"\ninterface = \"eth2\"\nfault = true");
    let errors = parse(&text, "lbd.toml", &host, &|_| unreachable!("no key file is named")).unwrap_err();
    let expected =
        "lbd.toml:9: track.interface: there is no network interface \"eth2\"; expected one of eth0, eth1";
    assert_eq!(errors.to_string(), expected);
}

#[test]
fn announcements() {
    check_all(HEAD, include_str!("mistakes/announce.txt"));
}

#[test]
fn groups() {
    let grouped = HEAD.replace("interface = \"eth0\"\n", "interface = \"eth0\"\ngroup = \"east\"\n");
    // Without a name that can be read, any may be meant.
    check_all(&grouped, include_str!("mistakes/group.txt"));
    check(&grouped, "6: vip.group: there is no group \"east\"; expected a [[group]] with name = \"east\"");
    let router = "nat_router = { address = \"10.0.0.1/24\", interface = \"eth1\" }\n[[vip]]";
    let text = format!("{}[[group]]\nname = \"east\"", grouped.replace("[[vip]]", router));
    let expected =
        "3: router.nat_router moves with no role where there are groups; expected nat_router of a [[group]]";
    check(&text, expected);
    let many: String = (0..17).map(|number| format!("[[group]]\nname = \"g{number}\"\n")).collect();
    let text = format!("{grouped}{}", many.replace("\"g0\"", "\"east\""));
    check(&text, "39: there are 17 groups; expected at most 16");
}

#[test]
fn virtual_macs() {
    for bad in [
        "0",
        "256",
        "true",
        "\"ff:ff:ff:ff:ff:ff\"",
        "\"01:00:5e:00:00:12\"",
        "\"00:00:00:00:00:00\"",
        "\"51\"",
    ] {
        let text = HEAD.replace("[router]\n", &format!("[router]\nvirtual_mac = {bad}\n"));
        let expected = format!(
            "2: router.virtual_mac is {bad}; expected a whole number, 1 to 255, or a unicast MAC address such as \
             \"02:00:00:00:00:33\""
        );
        check(&text, &expected);
    }
    let with = HEAD.replace("[router]\n", "[router]\nvirtual_mac = 51\n");
    let refresh = "2: announce.refresh is 5m, and a virtual MAC address needs it; expected a refresh before 5m, when \
                   switches forget";
    check(&format!("{with}[announce]\nrefresh = \"5m\""), refresh);
    check(&format!("{with}[announce]\nrefresh = \"0s\""), &refresh.replacen("5m", "0s", 1));
    check(&format!("{with}[announce]\nrefresh = \"299s\""), "");
    let groups = "group = \"a\"\n[[group]]\nname = \"a\"\nvirtual_mac = 51\n\
                  [[group]]\nname = \"b\"\nvirtual_mac = \"00:00:5E:00:01:33\"\n";
    check(
        &format!("{with}{groups}"),
        "2: router.virtual_mac moves with no role where there are groups; expected virtual_mac of a [[group]]\n\
         13: group.virtual_mac 00:00:5e:00:01:33 is taken (line 10); expected a virtual MAC address of its own",
    );
}

#[test]
fn commands_that_are_told() {
    check_all(HEAD, include_str!("mistakes/notify.txt"));
}

#[test]
fn services() {
    check_all(&format!("{HEAD}{SERVICE}"), include_str!("mistakes/service.txt"));
    // A VIP that cannot be read may be the one that is meant.
    let unreadable = HEAD.replace("\"192.0.2.10\"", "\"192.0.2.310\"");
    assert_eq!(read(&format!("{unreadable}{SERVICE}")).unwrap_err().iter().count(), 1);
}

#[test]
fn real_servers() {
    check_all(&format!("{HEAD}{SERVICE}"), include_str!("mistakes/real.txt"));
}

#[test]
fn checks() {
    check_all(&format!("{HEAD}{SERVICE}"), include_str!("mistakes/check.txt"));
}

#[test]
fn limits_and_paths() {
    check_all(HEAD, include_str!("mistakes/limits_and_daemon.txt"));
    let two = SERVICE.replace("web", "b").replace("80", "81");
    let real = "[[service.real]]\naddress = \"10.0.0.1\"\n";
    check(
        &format!("{HEAD}{SERVICE}{real}{two}{real}[limits]\nservices = 1\nreals = 1"),
        "\
18: limits.services is 1; expected at least 2, as many as there are
18: limits.reals is 1; expected at least 2, as many as there are",
    );
}

#[test]
fn long_values_are_cut_in_messages() {
    let errors = messages(&format!("{HEAD}[daemon]\nsocket = \"{}\"", "ä".repeat(1000)));
    assert_eq!(
        errors,
        format!("lbd.toml:7: daemon.socket is \"{}\"…; expected an absolute path", "ä".repeat(60))
    );
}

/// Checks many files that start with `head`. `cases` are separated by lines of dashes; in each, the mistakes stand behind
/// `#!` on the lines that they are about.
fn check_all(head: &str, cases: &str) {
    for case in cases.split("---\n") {
        let text = format!("{head}{case}");
        let mut expected = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            expected
                .extend(line.split("#! ").skip(1).map(|mistake| format!("{number}: {}", mistake.trim_end())));
        }
        check(&text, &expected.join("\n"));
    }
}

/// Checks that the messages about `text` are the lines of `expected`, which leave out the file's name.
fn check(text: &str, expected: &str) {
    let expected: Vec<String> = expected.lines().map(|line| format!("lbd.toml:{line}")).collect();
    assert_eq!(messages(text), expected.join("\n"), "\n{text}");
}
