//! The way of the many: a packet of the common shape whose connection stands, is in use and goes on as before. Whatever is not
//! certain at first sight goes on in another program, which looks at everything anew; until then nothing has been changed.

use lb_common::{IPPROTO_UDP, Method, Methods, Reason};

use crate::{
    addresses::Concern,
    bytes::Access as _,
    count,
    flows::{self, Connection, First},
    forward,
    hop::{self, Hop},
    last_hops,
    outcome::{Outcome, Sent},
    packet::{Packet, TcpFlags},
    plain::Plain,
};

/// Where a packet goes on.
#[derive(Clone, Copy)]
pub(crate) enum Elsewhere {
    /// Its connection may be known, but not at first sight.
    Any,
    /// Its connection is not known.
    NoConnection,
}

/// Rewrites a packet of an established connection, as `describe` describes it, where that takes one of `methods`. They are known
/// when this is compiled: what serves the others alone costs nothing.
///
/// # Errors
/// Where it goes on.
#[inline(always)]
pub(crate) fn process(
    plain: &mut Plain,
    describe: fn(&Plain) -> Option<Packet>,
    concern: Concern,
    methods: Methods,
) -> Result<Sent, Elsewhere> {
    let packet = &describe(plain).ok_or(Elsewhere::Any)?;
    if forward::check_ttl(packet).is_err() {
        return Err(Elsewhere::Any);
    }
    if concern.to_service {
        match flows::first_of_client(&packet.key, flows::now()) {
            First::Its(connection) => from_client(plain, packet, &connection, methods),
            // A real server may itself be the client of a virtual service.
            First::None if !concern.from_real => Err(Elsewhere::NoConnection),
            First::None | First::Other => Err(Elsewhere::Any),
        }
    } else if !methods.has(Method::Nat) {
        Err(Elsewhere::Any)
    } else {
        match flows::first_of_reply(&packet.key, flows::now()) {
            First::Its(connection) => from_real_server(plain, packet, &connection),
            First::None => Err(Elsewhere::NoConnection),
            First::Other => Err(Elsewhere::Any),
        }
    }
}

/// A packet of a client.
#[inline(always)]
fn from_client(
    plain: &mut Plain,
    packet: &Packet,
    connection: &Connection,
    methods: Methods,
) -> Result<Sent, Elsewhere> {
    let Connection { real, meta, .. } = *connection;
    // A datagram whose real server is down begins another connection.
    if !goes_on(packet, connection)
        || real.ifindex == 0
        || packet.key.protocol == IPPROTO_UDP && !connection.is_up()
    {
        return Err(Elsewhere::Any);
    }
    match Method::from_u8(real.method) {
        Some(Method::Nat) if methods.has(Method::Nat) => {
            // Replies go back by the last hop, which must be the one that is remembered.
            if last_hops::get(meta.hop()) != plain.macs().last_hop(plain.ingress()) {
                return Err(Elsewhere::Any);
            }
            to_real_server(Method::Nat, plain, packet, connection)
        }
        Some(Method::Direct) if methods.has(Method::Direct) => {
            to_real_server(Method::Direct, plain, packet, connection)
        }
        Some(Method::Nat | Method::Direct) | None => Err(Elsewhere::Any),
    }
}

/// A packet of a client that nothing keeps. Once for each method.
#[inline(always)]
fn to_real_server(
    method: Method,
    plain: &mut Plain,
    packet: &Packet,
    connection: &Connection,
) -> Result<Sent, Elsewhere> {
    connection.refresh();
    count::to_real(connection.index, packet.total_length);
    sent(forward::by(method, plain, packet, connection.real))
}

/// A reply of a NAT real server.
#[inline(always)]
fn from_real_server(plain: &mut Plain, packet: &Packet, connection: &Connection) -> Result<Sent, Elsewhere> {
    let Connection { real, index, meta, .. } = *connection;
    let hop = Hop::of_last(&last_hops::get(meta.hop())).ok_or(Elsewhere::Any)?;
    if !goes_on(packet, connection) {
        return Err(Elsewhere::Any);
    }
    connection.refresh();
    count::from_real(index, packet.total_length);
    sent(forward::nat::to_client(plain, packet, real).and_then(|reason| hop::send(plain, &hop, reason)))
}

/// Whether the packet leaves the state of its connection as it is.
#[inline(always)]
fn goes_on(packet: &Packet, connection: &Connection) -> bool {
    if packet.key.protocol == IPPROTO_UDP {
        return true;
    }
    let changes = TcpFlags::SYN.with(TcpFlags::FIN).with(TcpFlags::RST);
    connection.is_established() && !packet.flags.any(changes)
}

/// The end of a packet whose every header was looked at before: no rewriting fails.
#[inline(always)]
fn sent(outcome: Outcome) -> Result<Sent, Elsewhere> {
    outcome.map_err(|_: Reason| Elsewhere::Any)
}
