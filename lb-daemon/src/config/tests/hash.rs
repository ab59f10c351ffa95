//! What the fingerprint covers.

use super::{GROUPS, PAIR, SINGLE, read};

#[test]
fn the_fingerprint_never_changes_between_versions() {
    assert_eq!(format!("{:016x}", hash(SINGLE)), "b2cce1e1f0fb77cb");
    assert_eq!(format!("{:016x}", hash(PAIR)), "9bc7cbdc8d86a2fd");
}

#[test]
fn both_routers_must_have_the_same_groups() {
    for (from, to) in [
        ("\"mail\"", "\"post\""),
        ("10.11.12.10/24", "10.11.12.11/24"),
        ("virtual_mac = 52", "virtual_mac = 53"),
        ("virtual_mac = 52", ""),
        ("group = \"mail\"", "group = \"shop\""),
    ] {
        assert!(GROUPS.contains(from));
        assert_ne!(hash(GROUPS), hash(&GROUPS.replace(from, to)), "{to}");
    }
    assert_eq!(hash(GROUPS), hash(&GROUPS.replace("priority = 150", "priority = 50")));
}

#[test]
fn both_routers_must_have_the_same_virtual_macs() {
    let with = |id: u8| PAIR.replace("[router]", &format!("[router]\nvirtual_mac = {id}"));
    let hashes = [hash(PAIR), hash(&with(51)), hash(&with(52))];
    assert!(hashes[0] != hashes[1] && hashes[1] != hashes[2]);
}

#[test]
fn what_is_each_routers_own_does_not_count() {
    for (from, to) in [
        ("name = \"lvs1\"", "name = \"lvs2\""),
        ("priority = 150", "priority = 100"),
        ("local = \"192.0.2.2\", remote = \"192.0.2.3\"", "local = \"192.0.2.3\", remote = \"192.0.2.2\""),
        ("eth0", "ens3"),
        ("name = \"web1\"", "name = \"w1\""),
        ("name = \"mail\"", "name = \"smtp\""),
        ("flows = 1_048_576", "flows = 65536"),
        ("bpf_log = \"warn\"", "bpf_log = \"off\""),
    ] {
        assert_eq!(hash(PAIR), hash(&changed(from, to)), "{to}");
    }
}

#[test]
fn what_clients_see_counts() {
    for (from, to) in [
        ("10.11.12.10/24", "10.11.12.11/24"),
        ("10.11.12.10/24", "10.11.12.10/16"),
        ("address = \"192.0.2.10\"\ninterface", "address = \"192.0.2.10/24\"\ninterface"),
        ("port = 80\n", "port = 81\n"),
        ("protocol = \"udp\"", "protocol = \"tcp\""),
        ("\"sh\"", "\"rr\""),
        ("/health", "/"),
        ("www.example.org", "example.org"),
        ("200-299", "200-399"),
        ("body = \"ok\"", "body = \"OK\""),
        ("QUIT", "NOOP"),
        ("expect = \"220 \"", "expect = \"220\""),
        ("expect = \"220 \"", "expect_regex = \"220 \""),
        ("interval = \"5s\"", "interval = \"6s\""),
        ("timeout = \"3s\"", "timeout = \"4s\""),
        ("fall = 3", "fall = 4"),
        ("fall = 3", "fall = 3, rise = 3"),
        ("type = \"connect\", port = 53", "type = \"connect\""),
        ("type = \"connect\", port = 53", "type = \"none\""),
        ("10.11.12.21", "10.11.12.23"),
        ("port = 8080\nweight = 2", "port = 8081\nweight = 2"),
        ("weight = 2", "weight = 3"),
        ("address = \"192.0.2.41\"\nmethod = \"direct\"", "address = \"192.0.2.41\"\nmethod = \"nat\""),
    ] {
        assert_ne!(hash(PAIR), hash(&changed(from, to)), "{to}");
    }
}

#[test]
fn services_may_stand_in_any_order() {
    let mut config = read(PAIR).unwrap();
    let before = config.hash();
    config.services.reverse();
    config.vips.reverse();
    assert_eq!(config.hash(), before);
}

#[test]
fn schedules_follow_the_order_of_real_servers() {
    let mut config = read(PAIR).unwrap();
    let before = config.hash();
    config.services[2].reals.reverse();
    assert_ne!(config.hash(), before);
}

/// The fingerprint of a good file.
fn hash(text: &str) -> u64 {
    read(text).unwrap().hash()
}

/// [`PAIR`] with a change that takes place.
fn changed(from: &str, to: &str) -> String {
    assert!(PAIR.contains(from), "{from}");
    PAIR.replace(from, to)
}
