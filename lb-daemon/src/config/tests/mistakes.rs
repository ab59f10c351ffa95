//! What every mistake is called, word for word, and on which line.

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
    check_all(
        "",
        &[
            ("", "1: router is missing; expected a table"),
            ("router = 1", "1: router is of type integer; expected a table"),
            (
                "[router]\nname = \"a\"",
                "1: router.interfaces is missing; expected a list, each element the name of a network interface",
            ),
            (
                "[router]\ninterfaces = []",
                "2: router.interfaces is empty; expected at least one network interface",
            ),
            (
                "[router]\ninterfaces = \"eth0\"",
                "2: router.interfaces is \"eth0\"; expected a list, each element the name of a network interface",
            ),
            (
                "[router]\ninterfaces = [\n\"eth0\",\n3,\n\"a/b\"]",
                "4: router.interfaces is 3; expected the name of a network interface\n5: router.interfaces is \"a/b\"; expected the name of a network interface",
            ),
            (
                "[router]\ninterfaces = [\"eth0\", \"eth0\"]",
                "2: router.interfaces has \"eth0\" twice (line 2); expected each once",
            ),
            (
                "[router]\ninterfaces = [\"eth0\"]\nname = \"a b\"",
                "3: router.name is \"a b\"; expected a name of 1 to 64 characters without blanks",
            ),
        ],
    );
}

#[test]
fn unknown_keys() {
    check_all(
        HEAD,
        &[
            (
                "[[service]]\nnam = \"web\"\nadress = \"192.0.2.10\"\nport = 80\nweight = 1\ncolour = 3",
                "\
6: service.name is missing; expected a name of 1 to 64 characters without blanks
6: service.address is missing; expected a unicast IPv4 address such as \"192.0.2.10\"
7: unknown key service.nam; did you mean name?
8: unknown key service.adress; did you mean address?
10: unknown key service.weight; it belongs in service.real
11: unknown key service.colour; service knows name, address, port, protocol, scheduler, check, real",
            ),
            (
                "[servcie]\nname = 1\n[peers]\nx = 1",
                "\
6: unknown key servcie; did you mean service?
8: unknown key peers; did you mean peer?",
            ),
            ("[deamon]\npin_dir = 1\n\"a\\nb\" = 1", "6: unknown key deamon; did you mean daemon?"),
            ("[daemon]\n\"a\\nb\" = 1", "7: unknown key daemon.a\\nb; daemon knows pin_dir, socket, bpf_log"),
        ],
    );
}

#[test]
fn syntax() {
    check_all(
        HEAD,
        &[
            (
                "[limits]\nflows = 10a\nservices = 0\ncolour = 1",
                "\
7: not TOML: string values must be quoted, expected literal string
8: limits.services is 0; expected a whole number, 1 to 4096
9: unknown key limits.colour; limits knows flows, services, reals",
            ),
            ("[limits\nflows = 10\ncolour = 1", "6: not TOML: unclosed table, expected `]`"),
            (
                "[limits]\nreals = 0\nreals = 10\n[daemon]\nsocket = run\n",
                "\
7: limits.reals is 0; expected a whole number, 1 to 65535
8: not TOML: duplicate key
10: not TOML: string values must be quoted, expected literal string",
            ),
        ],
    );
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
    check_all(HEAD, &[
        ("[vip]", "6: not TOML: duplicate key"),
        ("[[vip]]\naddress = \"192.0.2.10/24\"\ninterface = \"eth1\"", "7: vip.address 192.0.2.10 is already vip.address (line 4); expected an address of its own"),
        ("[[vip]]\naddress = \"192.0.2.11\"\ninterface = \"eth7\"", "8: vip.interface is \"eth7\"; expected one of router.interfaces: eth0, eth1"),
        ("[[vip]]\n[[vip]]\naddress = 1\ninterface = \"\"", "\
6: vip.address is missing; expected a unicast IPv4 address, with a prefix length or alone, such as \"192.0.2.10/32\"
6: vip.interface is missing; expected the name of a network interface
8: vip.address is 1; expected a unicast IPv4 address, with a prefix length or alone, such as \"192.0.2.10/32\"
9: vip.interface is \"\"; expected the name of a network interface"),
    ]);
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
    check_all(
        &format!("{HEAD}{PEER}"),
        &[
            ("priority = 0", "9: peer.priority is 0; expected a whole number, 1 to 255"),
            ("priority = 256", "9: peer.priority is 256; expected a whole number, 1 to 255"),
            (
                "priority = 99999999999999999999",
                "9: peer.priority is 99999999999999999999; expected a whole number, 1 to 255",
            ),
            ("priority = 1.5", "9: peer.priority is 1.5; expected a whole number, 1 to 255"),
            ("port = 0", "9: peer.port is 0; expected a whole number, 1 to 65535"),
            ("interval = \"19ms\"", "9: peer.interval is \"19ms\"; expected a duration, \"20ms\" to \"1m\""),
            ("interval = \"61s\"", "9: peer.interval is \"61s\"; expected a duration, \"20ms\" to \"1m\""),
            ("interval = 1", "9: peer.interval is 1; expected a duration, \"20ms\" to \"1m\""),
            ("interval = \"soon\"", "9: peer.interval is \"soon\"; expected a duration, \"20ms\" to \"1m\""),
            (
                "interval = \"400ms\"",
                "9: peer.dead_after is 1s by default; expected at least 3 times peer.interval, 1s 200ms",
            ),
            (
                "interval = \"1s\"\ndead_after = \"2s\"",
                "10: peer.dead_after is 2s; expected at least 3 times peer.interval, 3s",
            ),
            (
                "dead_after = \"500ms\"",
                "9: peer.dead_after is 500ms; expected at least 3 times peer.interval, 600ms",
            ),
            ("failback = true", "9: peer.failback is true; expected one of \"auto\", \"manual\""),
            (
                "failback_delay = \"1s\"",
                "9: peer.failback_delay has no effect; expected it only with failback = \"auto\"",
            ),
            (
                "failback = \"auto\"\nfailback_delay = \"2h\"",
                "10: peer.failback_delay is \"2h\"; expected a duration, \"0s\" to \"1h\"",
            ),
            ("key_file = \"/key\"", "9: both peer.key and peer.key_file are given; expected one of them"),
            ("key_file = \"key\"", "9: peer.key_file is \"key\"; expected an absolute path"),
        ],
    );
    check_all(
        &HEAD.replace("192.0.2.10", "192.0.2.3"),
        &[(
            PEER,
            "4: vip.address 192.0.2.3 is also peer.paths.remote (line 8); expected an address that is neither router's own, since it moves between them",
        )],
    );
    check_all(
        HEAD,
        &[
            (
                "[peer]",
                "\
6: peer.paths is missing; expected a list, each element a table
6: peer.key_file is missing; expected peer.key_file, or peer.key",
            ),
            (
                "[peer]\nkey = \"0123456789abcde\"\npaths = []",
                "\
7: peer.key holds a key of 15 bytes; expected at least 16 bytes
8: peer.paths is empty; expected at least one path",
            ),
            (
                "[peer]\nkey = 5\npaths = [3]",
                "\
7: peer.key is not usable; expected a string
8: peer.paths is of type integer; expected a table",
            ),
            (
                "[peer]\nkey = \"0123456789abcdef\"\n[[peer.paths]]\nlocal = \"192.0.2.2\"\nremote = \"192.0.2.2\"\n[[peer.paths]]\nlocal = \"192.0.2.2\"\nremote = \"239.0.0.1\"",
                "\
10: peer.paths.remote is 192.0.2.2, like local; expected an address of the other router
12: peer.paths.local is 192.0.2.2 on two paths (line 9); expected another address on each path
13: peer.paths.remote is \"239.0.0.1\"; expected a unicast IPv4 address such as \"192.0.2.10\"",
            ),
        ],
    );
}

#[test]
fn services() {
    check_all(
        &format!("{HEAD}{SERVICE}"),
        &[
            ("protocol = \"sctp\"", "10: service.protocol is \"sctp\"; expected one of \"tcp\", \"udp\""),
            (
                "scheduler = \"lc\"",
                "10: service.scheduler is \"lc\"; expected one of \"rr\", \"wrr\", \"sh\"",
            ),
            (
                "[[service]]\nname = \"web\"\naddress = \"192.0.2.10\"\nport = 80",
                "\
10: tcp 192.0.2.10:80 is already a service (line 6); expected another address, port or protocol
11: service.name \"web\" is taken (line 7); expected a name of its own",
            ),
            ("[[service]]\nname = \"dns\"\naddress = \"192.0.2.10\"\nport = 80\nprotocol = \"udp\"", ""),
            (
                "[[service]]\nname = \"b\"\naddress = \"192.0.2.12\"\nport = 0",
                "\
12: service.address 192.0.2.12 is no virtual address; expected a [[vip]] with address = \"192.0.2.12\"
13: service.port is 0; expected a whole number, 1 to 65535",
            ),
        ],
    );
    // A VIP that cannot be read may be the one that is meant.
    let unreadable = HEAD.replace("\"192.0.2.10\"", "\"192.0.2.310\"");
    assert_eq!(read(&format!("{unreadable}{SERVICE}")).unwrap_err().iter().count(), 1);
}

#[test]
fn real_servers() {
    check_all(
        &format!("{HEAD}{SERVICE}[[service.real]]\n"),
        &[
            (
                "",
                "10: service.real.address is missing; expected a unicast IPv4 address such as \"192.0.2.10\"",
            ),
            (
                "address = \"10.0.0.1\"\nweight = -1",
                "12: service.real.weight is -1; expected a whole number, 0 to 65535",
            ),
            (
                "address = \"10.0.0.1\"\nweight = 65536",
                "12: service.real.weight is 65536; expected a whole number, 0 to 65535",
            ),
            (
                "address = \"10.0.0.1\"\nport = 65536",
                "12: service.real.port is 65536; expected a whole number, 1 to 65535",
            ),
            (
                "address = \"10.0.0.1\"\nmethod = \"tunnel\"",
                "12: service.real.method is \"tunnel\"; expected one of \"nat\", \"direct\"",
            ),
            (
                "address = \"10.0.0.1\"\nmethod = \"direct\"\nport = 8080",
                "13: service.real.port is 8080 with method = \"direct\"; expected 80, the service's, for direct routing changes no port",
            ),
            (
                "address = \"192.0.2.10\"",
                "11: service.real.address 192.0.2.10 is also vip.address (line 4); expected the real server's own address",
            ),
            (
                "address = \"10.0.0.1\"\n[[service.real]]\naddress = \"10.0.0.1\"\nport = 80",
                "12: service.real 10.0.0.1:80 stands twice (line 10); expected each address and port once in a service",
            ),
            ("address = \"10.0.0.1\"\n[[service.real]]\naddress = \"10.0.0.1\"\nport = 81", ""),
            (
                "address = \"10.0.0.1\"\nname = \"a\"\n[[service.real]]\naddress = \"10.0.0.2\"\nname = \"a\"",
                "13: service.real.name \"a\" is taken (line 10); expected a name of its own within the service",
            ),
        ],
    );
}

#[test]
fn checks() {
    check_all(
        &format!("{HEAD}{SERVICE}[service.check]\n"),
        &[
            (
                "",
                "10: service.check.type is missing; expected one of \"connect\", \"send_expect\", \"http\", \"none\"",
            ),
            (
                "type = \"ping\"",
                "11: service.check.type is \"ping\"; expected one of \"connect\", \"send_expect\", \"http\", \"none\"",
            ),
            (
                "type = \"connect\"\npath = \"/\"\nsend = \"\"",
                "\
12: service.check.path has no effect; expected it only with type = \"http\"
13: service.check.send has no effect; expected it only with type = \"send_expect\"",
            ),
            (
                "type = \"none\"\nrise = 1",
                "12: service.check.rise has no effect; expected it only with a type that asks something",
            ),
            (
                "type = \"connect\"\nrise = 0\nfall = 101\nport = 0",
                "\
12: service.check.rise is 0; expected a whole number, 1 to 100
13: service.check.fall is 101; expected a whole number, 1 to 100
14: service.check.port is 0; expected a whole number, 1 to 65535",
            ),
            (
                "type = \"connect\"\ninterval = \"99ms\"\ntimeout = \"9ms\"",
                "\
12: service.check.interval is \"99ms\"; expected a duration, \"100ms\" to \"1h\"
13: service.check.timeout is \"9ms\"; expected a duration, \"10ms\" to \"1h\"",
            ),
            (
                "type = \"connect\"\ntimeout = \"3s\"",
                "12: service.check.timeout is 3s; expected at most service.check.interval, 2s",
            ),
            (
                "type = \"send_expect\"",
                "10: service.check.expect is missing; expected service.check.expect, or service.check.expect_regex",
            ),
            (
                "type = \"send_expect\"\nexpect = \"\"",
                "12: service.check.expect is \"\"; expected a string that is not empty",
            ),
            (
                "type = \"send_expect\"\nexpect = \"a\"\nexpect_regex = \"a\"",
                "13: both service.check.expect and service.check.expect_regex are given; expected one of them",
            ),
            (
                "type = \"send_expect\"\nexpect_regex = \"(a\"",
                "12: service.check.expect_regex is \"(a\": unclosed group; expected a regular expression (syntax of the Rust crate regex)",
            ),
            (
                "type = \"http\"\npath = \"a\"\nhost = \"a b\"\nstatus = \"399-200\"\nbody = \"\"",
                "\
12: service.check.path is \"a\"; expected a path that starts with \"/\" and is percent-encoded
13: service.check.host is \"a b\"; expected a host name, with a port or without
14: service.check.status is \"399-200\"; expected status codes from 200 to 599, such as \"200-399\" or \"204\"
15: service.check.body is \"\"; expected a string that is not empty",
            ),
            (
                "type = \"http\"\npath = \"/ HTTP/1.1\\r\\nX: y\"",
                "12: service.check.path is \"/ HTTP/1.1\\r\\nX: y\"; expected a path that starts with \"/\" and is percent-encoded",
            ),
        ],
    );
}

#[test]
fn limits_and_paths() {
    check_all(
        HEAD,
        &[
            (
                "[limits]\nflows = 1023\nservices = 4097\nreals = 65536",
                "\
7: limits.flows is 1023; expected a whole number, 1024 to 67108864
8: limits.services is 4097; expected a whole number, 1 to 4096
9: limits.reals is 65536; expected a whole number, 1 to 65535",
            ),
            (
                "[daemon]\npin_dir = \"bpf\"\nsocket = 3\nbpf_log = \"all\"",
                "\
7: daemon.pin_dir is \"bpf\"; expected an absolute path
8: daemon.socket is 3; expected an absolute path
9: daemon.bpf_log is \"all\"; expected one of \"off\", \"warn\", \"info\", \"debug\"",
            ),
        ],
    );
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

/// Checks many files that start with `head`.
fn check_all(head: &str, cases: &[(&str, &str)]) {
    for (body, expected) in cases {
        check(&format!("{head}{body}"), expected);
    }
}

/// Checks that the messages about `text` are the lines of `expected`, which leave out the file's name.
fn check(text: &str, expected: &str) {
    let expected: Vec<String> = expected.lines().map(|line| format!("lbd.toml:{line}")).collect();
    assert_eq!(messages(text), expected.join("\n"), "\n{text}");
}
