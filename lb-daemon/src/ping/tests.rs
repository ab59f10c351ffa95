//! Echoes of the kernel, in a network namespace of each test's own.

use proptest::prelude::*;

use super::*;
use crate::namespace::{in_namespace, ip};

/// Far more than an echo takes.
const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(50);

#[test]
fn a_host_of_either_family_answers() {
    in_namespace(async {
        ip("link add lbdtest0 type veth peer lbdtest1");
        ip("link set lbdtest1 up");
        ip("link set lbdtest0 up");
        ip("address add fe80::1/64 dev lbdtest0 nodad");
        ip("address add fd00::1/64 dev lbdtest0 nodad");
        for (text, interface) in [("127.0.0.1", None), ("fd00::1", None), ("fe80::1", Some("lbdtest0"))] {
            answers(&host(text, interface), None).await;
        }
        answers(&host("127.0.0.1", None), Some("lo")).await;
    });
}

#[test]
fn a_host_that_is_not_there_is_waited_for_and_no_longer() {
    in_namespace(async {
        // Everything goes to the loopback, which has another address.
        ip("address add 192.0.2.1/24 dev lo");
        ip("link add lbdtest0 type veth peer lbdtest1");
        ip("link set lbdtest1 up");
        ip("link set lbdtest0 up");
        ip("address add 198.51.100.1/24 dev lbdtest0");
        let failure = ping(&host("198.51.100.9", None), None, SHORT).await.unwrap_err();
        assert_eq!((failure.to_string().as_str(), failure.is_local()), ("no echo within 50ms", false));
        let unreachable = ping(&host("203.0.113.1", None), None, SHORT).await.unwrap_err().to_string();
        assert!(unreachable.starts_with("cannot ask for an echo: Network is unreachable"), "{unreachable}");
        let gone = ping(&host("192.0.2.1", None), Some("none0"), SHORT).await.unwrap_err().to_string();
        assert!(gone.starts_with("cannot ask for an echo: No such device"), "{gone}");
    });
}

#[test]
fn only_the_echo_that_was_asked_for_is_one() {
    for to in ["192.0.2.1", "fd00::1"] {
        let [one, other] = [(); 2].map(|()| Question::new(to.parse().unwrap()).unwrap());
        assert!(one.is_answered_by(&answer(&one)));
        assert!(!one.is_answered_by(&answer(&other)));
        assert!(!one.is_answered_by(&one.packet), "a question is no answer");
    }
}

proptest! {
    #[test]
    fn no_packet_makes_it_panic(packet in prop::collection::vec(any::<u8>(), 0..100), ipv6 in any::<bool>()) {
        let to = if ipv6 { "fd00::1" } else { "192.0.2.1" };
        prop_assert!(!Question::new(to.parse().unwrap()).unwrap().is_answered_by(&packet));
    }
}

/// Asks until there is an answer: what is sent while an interface comes up may be lost.
async fn answers(host: &HostAddress, interface: Option<&str>) {
    let asked = async { while ping(host, interface, Duration::from_secs(1)).await.is_err() {} };
    tokio::time::timeout(LONG, asked).await.unwrap_or_else(|_| panic!("{host} does not answer"));
}

/// What a raw socket would deliver as the answer to `question`.
fn answer(question: &Question) -> Vec<u8> {
    if question.ipv6 {
        let header = Icmpv6Header::new(Icmpv6Type::EchoReply(question.echo)).to_bytes();
        [&header[..], &question.payload].concat()
    } else {
        let header = Icmpv4Header::with_checksum(Icmpv4Type::EchoReply(question.echo), &question.payload);
        let mut packet = Vec::new();
        etherparse::PacketBuilder::ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64)
            .icmpv4(header.icmp_type)
            .write(&mut packet, &question.payload)
            .unwrap();
        packet
    }
}

fn host(text: &str, interface: Option<&str>) -> HostAddress {
    HostAddress { ip: text.parse().unwrap(), interface: interface.map(str::to_owned) }
}
