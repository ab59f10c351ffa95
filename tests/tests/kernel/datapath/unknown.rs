//! Packets of connections that nobody here knows: the second chance at the peer, RST, and what gets neither.

use lb_common::{IPPROTO_TCP, Reason, RouterRole, Scheduler};
use lb_tests::{packet::Frame, prog::Action};

use super::world::*;

/// The answer to a segment of the client, by whoever it is delivered.
fn rst(flags: &str, sequence: u32, acknowledgement: u32) -> Frame {
    Frame::tcp(vip(), client())
        .flags(flags)
        .numbers(sequence, acknowledgement)
        .window(0)
        .identification(0, true)
        .link(PUBLIC_MAC, CLIENT_MAC)
}

/// A frame as the peer hands it on.
fn by_peer(frame: Frame) -> Frame {
    frame.link(PEER_MAC, PUBLIC_MAC)
}

#[test]
fn an_active_router_offers_strays_to_the_peer() {
    with_world(|world| {
        for flags in ["A", "PA", "FA", "SA", "R", "RA", ""] {
            let stray = from_client(flags).ttl(1).payload(b"x");
            world.public(flags, &stray, transmit(Reason::SecondChance, &to_peer(stray.clone())));
        }
        assert!(world.program.flows().unwrap().is_empty());
    });
}

#[test]
fn a_standby_offers_everything_it_does_not_know_to_the_peer() {
    with_world(|world| {
        world.program.set_role(RouterRole::Standby).unwrap();
        for frame in [from_client("S"), from_client("A"), datagram(), datagram().tag(0x8100, 9)] {
            world.public("offered", &frame, transmit(Reason::SecondChance, &to_peer(frame.clone())));
        }
        assert!(world.program.flows().unwrap().is_empty());
    });
}

#[test]
fn a_closed_service_of_an_active_router_is_the_peers() {
    with_world(|world| {
        let (syn, ack, udp) = (from_client("S"), from_client("A"), datagram());
        world.close(IPPROTO_TCP, TCP_RING, 3);
        for frame in [&syn, &ack] {
            world.public("offered", frame, transmit(Reason::SecondChance, &to_peer(frame.clone())));
        }
        world.public("another service", &udp, redirect(Reason::NatIn, &to_server(udp.clone(), 1)));
        // What the peer passes on is opened, as by a standby, and what is known goes on.
        world.public("passed on", &by_peer(syn.clone()), redirect(Reason::NatIn, &to_server(syn, 1)));
        world.public("known", &ack, redirect(Reason::NatIn, &to_server(ack.clone(), 1)));
        let answer = from_server(1, "A");
        world.private("answer", &answer, redirect(Reason::NatOut, &to_client(answer.clone())));
    });
}

#[test]
fn a_standby_forwards_the_connections_it_knows() {
    with_world(|world| {
        let (syn, ack) = (from_client("S"), from_client("A"));
        world.public("SYN", &syn, redirect(Reason::NatIn, &to_server(syn.clone(), 1)));
        world.program.set_role(RouterRole::Standby).unwrap();
        world.public("ACK", &ack, redirect(Reason::NatIn, &to_server(ack.clone(), 1)));
        let answer = from_server(1, "A");
        world.private("answer", &answer, redirect(Reason::NatOut, &to_client(answer.clone())));
    });
}

#[test]
fn nothing_from_the_peer_goes_back_to_the_peer() {
    with_world(|world| {
        world.route();
        for role in [RouterRole::Active, RouterRole::Standby] {
            world.program.set_role(role).unwrap();
            let stray = by_peer(from_client("A").numbers(1000, 77));
            world.public("ACK", &stray, transmit(Reason::UnknownReset, &rst("R", 77, 0)));
            world.public("RST", &by_peer(from_client("R")), drop(Reason::UnknownDropped));
        }
    });
}

#[test]
fn a_standby_schedules_what_the_peer_passes_on() {
    with_world(|world| {
        world.program.set_role(RouterRole::Standby).unwrap();
        let (syn, datagram) = (from_client("S"), datagram());
        world.public("SYN", &by_peer(syn.clone()), redirect(Reason::NatIn, &to_server(syn, 1)));
        let sent = to_server(datagram.clone(), 1);
        world.public("UDP", &by_peer(datagram), redirect(Reason::NatIn, &sent));
    });
}

#[test]
fn what_is_addressed_to_another_host_is_left_alone() {
    const PASSER_BY: lb_tests::packet::Mac = [2, 0, 0, 0, 9, 9];
    with_world(|world| {
        for role in [RouterRole::Active, RouterRole::Standby] {
            world.program.set_role(role).unwrap();
            for frame in [from_client("S"), from_client("A"), datagram()] {
                for to in [PASSER_BY, PEER_MAC, [0xff; 6]] {
                    world.public("client", &frame.clone().link(CLIENT_MAC, to), drop(Reason::Overheard));
                }
            }
            let stray = from_server(1, "A").link(server_mac(1), PEER_PRIVATE_MAC);
            world.private("reply", &stray, pass(Reason::NotOurs));
        }
        world.program.set_role(RouterRole::Active).unwrap();
        let (syn, ack) = (from_client("S"), from_client("A"));
        world.public("SYN", &syn, redirect(Reason::NatIn, &to_server(syn.clone(), 1)));
        world.public("twice", &ack.link(CLIENT_MAC, PEER_MAC), drop(Reason::Overheard));
        let answer = from_server(1, "SA");
        world.private("the way back", &answer, redirect(Reason::NatOut, &to_client(answer.clone())));
    });
}

#[test]
fn a_broadcast_is_not_answered_where_no_peer_is_known() {
    with_world(|world| {
        world.program.clear().unwrap();
        world.program.set_role(RouterRole::Active).unwrap();
        world.serve(IPPROTO_TCP, TCP_RING, Scheduler::RoundRobin, &[]);
        let stray = from_client("A").link(CLIENT_MAC, [0xff; 6]);
        world.public("ACK", &stray, drop(Reason::Overheard));
    });
}

#[test]
fn no_packet_circles_between_the_routers() {
    with_world(|world| {
        world.route();
        let replies = ["A", "SA", "FA", "R", "S", ""].map(|flags| from_server(1, flags));
        for role in [RouterRole::Active, RouterRole::Standby] {
            for (ingress, peer, own) in
                [(world.public, PEER_MAC, PUBLIC_MAC), (world.private, PEER_PRIVATE_MAC, PRIVATE_MAC)]
            {
                for known in [false, true] {
                    for frame in
                        replies.iter().cloned().chain(["A", "SA", "FA", "R", "S", ""].map(from_client))
                    {
                        world.reset();
                        if known {
                            let syn = from_client("S").bytes();
                            world.program.run(world.public, &syn).unwrap();
                        }
                        world.program.set_role(role).unwrap();
                        let frame = frame.link(peer, own);
                        let run = world.program.run(ingress, &frame.bytes()).unwrap();
                        let sent = matches!(run.action, Action::Tx | Action::Redirect);
                        let back = [PEER_MAC, PEER_PRIVATE_MAC].iter().any(|mac| run.frame.starts_with(mac));
                        assert!(
                            !(sent && back),
                            "{role:?}, known {known}, in by {ingress}: {frame:?}, {run:?}"
                        );
                    }
                }
            }
        }
    });
}

#[test]
fn without_a_route_the_peers_strays_are_dropped() {
    with_world(|world| {
        world.public("ACK", &by_peer(from_client("A")), drop(Reason::UnknownDropped));
    });
}

#[test]
fn without_a_peer_strays_are_answered_as_rfc_9293_says() {
    let rows = [
        ("acknowledging", from_client("A").numbers(1000, 5000), rst("R", 5000, 0)),
        ("with data", from_client("PA").numbers(1, 0xffff_ffff).payload(b"abc"), rst("R", 0xffff_ffff, 0)),
        ("SYN ACK", from_client("SA").numbers(1, 2), rst("R", 2, 0)),
        ("neither", from_client("").numbers(1000, 5000), rst("RA", 0, 1000)),
        ("data", from_client("P").numbers(1000, 0).payload(b"abcde"), rst("RA", 0, 1005)),
        ("FIN", from_client("F").numbers(1000, 0).payload(b"abcde"), rst("RA", 0, 1006)),
        ("SYN FIN", from_client("SF").numbers(0xffff_ffff, 0), rst("RA", 0, 1)),
        (
            "options",
            from_client("").numbers(1, 0).tcp_options(&[1; 40]).ip_options(&[1; 40]),
            rst("RA", 0, 1),
        ),
        ("tags", from_client("A").numbers(1, 9).tag(0x88a8, 1).tag(0x8100, 2), {
            rst("R", 9, 0).tag(0x88a8, 1).tag(0x8100, 2)
        }),
        ("jumbo", from_client("A").numbers(1, 9).payload(&[7; 8000]), rst("R", 9, 0)),
    ];
    with_world(|world| {
        world.program.clear().unwrap();
        world.program.set_role(RouterRole::Active).unwrap();
        world.serve(IPPROTO_TCP, TCP_RING, Scheduler::RoundRobin, &[]);
        for (row, stray, answer) in rows {
            world.public(row, &stray, transmit(Reason::UnknownReset, &answer));
        }
        let mut padded = from_client("A").numbers(1, 9).bytes();
        padded.resize(60, 0);
        world.row(
            "padding is no data",
            world.public,
            &padded,
            &transmit(Reason::UnknownReset, &rst("R", 9, 0)),
        );
        world.public("RST", &from_client("R"), drop(Reason::UnknownDropped));
        world.public("RST ACK", &from_client("RA"), drop(Reason::UnknownDropped));
    });
}

#[test]
fn a_standby_without_a_peer_leaves_all_to_the_kernel() {
    with_world(|world| {
        world.program.clear().unwrap();
        world.serve(IPPROTO_TCP, TCP_RING, Scheduler::RoundRobin, &[1]);
        world.public("SYN", &from_client("S"), pass(Reason::NotOurs));
        world.public("ACK", &from_client("A"), pass(Reason::NotOurs));
    });
}

#[test]
fn a_reply_of_no_known_connection_goes_to_the_peer() {
    with_world(|world| {
        let stray = from_server(1, "SA").ttl(1);
        let offered = stray.clone().link(PRIVATE_MAC, PEER_PRIVATE_MAC);
        for role in [RouterRole::Active, RouterRole::Standby] {
            world.program.set_role(role).unwrap();
            world.private(&format!("{role:?}"), &stray, transmit(Reason::SecondChance, &offered));
        }
        let by_peer = stray.clone().link(PEER_PRIVATE_MAC, PRIVATE_MAC);
        world.private("from the peer", &by_peer, pass(Reason::NotOurs));
        let own = from_server(1, "S");
        world.private("a connection of the server's own", &own, pass(Reason::NotOurs));
        let datagram = Frame::udp(server(1), client()).link(server_mac(1), PRIVATE_MAC);
        world.private("UDP", &datagram, pass(Reason::NotOurs));
        let other_port = std::net::SocketAddrV4::new(*server(1).ip(), 9090);
        world.private("another port", &stray.clone().source(other_port), pass(Reason::NotOurs));
        world.program.add_local([10, 0, 0, 100]).unwrap();
        world.private("to the router itself", &stray, pass(Reason::Local));
    });
}
