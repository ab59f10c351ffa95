//! The state of a TCP connection, as the kernel's IPVS follows it (`ip_vs_proto_tcp.c`, the tables without secure_tcp).
//!
//! A balancer does not check sequence numbers; the state is there to choose how long a connection is remembered, and
//! whether a new SYN means a new connection.

use lb_common::ConnState::{self, *};

use crate::packet::TcpFlags;

/// From where a packet is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// From the client, where replies are seen too: NAT.
    Input,
    /// From the real server.
    Output,
    /// From the client, where replies never pass: direct routing.
    InputOnly,
}

/// What a segment does to the state. A RST counts before a SYN, a SYN before a FIN, a FIN before an ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Event {
    Syn = 0,
    Fin = 1,
    Ack = 2,
    Rst = 3,
}

/// The states after [`Event::Syn`], `Fin`, `Ack` and `Rst`.
type Row = [ConnState; 4];
/// One row for each state, in the order of [`ConnState::ALL`].
type Table = [Row; ConnState::ALL.len()];

static INPUT: Table = [
    /* NONE        */ [SynRecv, Close, Established, Close],
    /* ESTABLISHED */ [Established, CloseWait, Established, Close],
    /* SYN_SENT    */ [Established, SynSent, SynSent, Close],
    /* SYN_RECV    */ [SynRecv, TimeWait, Established, SynRecv],
    /* FIN_WAIT    */ [SynRecv, TimeWait, FinWait, Close],
    /* TIME_WAIT   */ [SynRecv, TimeWait, TimeWait, Close],
    /* CLOSE       */ [SynRecv, Close, Close, Close],
    /* CLOSE_WAIT  */ [SynRecv, CloseWait, CloseWait, Close],
    /* LAST_ACK    */ [SynRecv, LastAck, Close, LastAck],
    /* LISTEN      */ [SynRecv, Listen, Listen, Listen],
    /* SYNACK      */ [SynRecv, TimeWait, Established, SynRecv],
    /* UDP         */ [Udp; 4],
];

static OUTPUT: Table = [
    /* NONE        */ [SynSent, TimeWait, Established, Close],
    /* ESTABLISHED */ [Established, FinWait, Established, Close],
    /* SYN_SENT    */ [SynSent, SynSent, SynSent, SynSent],
    /* SYN_RECV    */ [SynRecv, TimeWait, Established, Close],
    /* FIN_WAIT    */ [SynSent, FinWait, FinWait, Close],
    /* TIME_WAIT   */ [SynSent, TimeWait, TimeWait, TimeWait],
    /* CLOSE       */ [SynSent, Close, Close, Close],
    /* CLOSE_WAIT  */ [SynSent, TimeWait, CloseWait, Close],
    /* LAST_ACK    */ [SynSent, LastAck, LastAck, Close],
    /* LISTEN      */ [Listen, Listen, Established, Close],
    /* SYNACK      */ [SynRecv, TimeWait, Established, Close],
    /* UDP         */ [Udp; 4],
];

static INPUT_ONLY: Table = [
    /* NONE        */ [SynRecv, Close, Established, Close],
    /* ESTABLISHED */ [Established, FinWait, Established, Close],
    /* SYN_SENT    */ [Established, SynSent, SynSent, Close],
    /* SYN_RECV    */ [SynRecv, TimeWait, Established, SynRecv],
    /* FIN_WAIT    */ [SynRecv, FinWait, FinWait, Close],
    /* TIME_WAIT   */ [SynRecv, TimeWait, TimeWait, Close],
    /* CLOSE       */ [SynRecv, Close, Close, Close],
    /* CLOSE_WAIT  */ [SynRecv, CloseWait, CloseWait, Close],
    /* LAST_ACK    */ [SynRecv, LastAck, Close, LastAck],
    /* LISTEN      */ [SynRecv, Listen, Listen, Listen],
    /* SYNACK      */ [SynRecv, TimeWait, Established, Close],
    /* UDP         */ [Udp; 4],
];

/// The state after a segment with `flags`. UDP has no flags and stays what it is.
#[inline(always)]
pub(crate) fn next(side: Side, state: ConnState, flags: TcpFlags) -> ConnState {
    let Some(event) = event(flags) else { return state };
    let table = match side {
        Side::Input => &INPUT,
        Side::Output => &OUTPUT,
        Side::InputOnly => &INPUT_ONLY,
    };
    table.get(state as usize).and_then(|row| row.get(event as usize)).copied().unwrap_or(state)
}

/// Whether a SYN starts a new connection where one in `state` is still remembered (`conn_reuse_mode` 1 of IPVS).
#[inline(always)]
pub(crate) fn may_reuse(side: Side, state: ConnState) -> bool {
    // Without the real server's half nobody can tell FIN_WAIT from TIME_WAIT.
    state.is_over(!matches!(side, Side::InputOnly))
}

#[inline(always)]
fn event(flags: TcpFlags) -> Option<Event> {
    if flags.any(TcpFlags::RST) {
        Some(Event::Rst)
    } else if flags.any(TcpFlags::SYN) {
        Some(Event::Syn)
    } else if flags.any(TcpFlags::FIN) {
        Some(Event::Fin)
    } else if flags.any(TcpFlags::ACK) {
        Some(Event::Ack)
    } else {
        Option::None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDES: [Side; 3] = [Side::Input, Side::Output, Side::InputOnly];

    #[test]
    fn a_whole_connection_by_nat() {
        let states = walk(&[
            (Side::Input, TcpFlags::SYN),
            (Side::Output, TcpFlags::SYN.with(TcpFlags::ACK)),
            (Side::Input, TcpFlags::ACK),
            (Side::Input, TcpFlags::FIN.with(TcpFlags::ACK)),
            (Side::Output, TcpFlags::ACK),
            (Side::Output, TcpFlags::FIN.with(TcpFlags::ACK)),
            (Side::Input, TcpFlags::ACK),
        ]);
        assert_eq!(states, [SynRecv, SynRecv, Established, CloseWait, CloseWait, TimeWait, TimeWait]);
    }

    #[test]
    fn the_server_may_close_first() {
        let states = walk(&[
            (Side::Input, TcpFlags::SYN),
            (Side::Input, TcpFlags::ACK),
            (Side::Output, TcpFlags::FIN),
            (Side::Input, TcpFlags::ACK),
            (Side::Input, TcpFlags::FIN),
        ]);
        assert_eq!(states, [SynRecv, Established, FinWait, FinWait, TimeWait]);
    }

    #[test]
    fn direct_routing_sees_the_client_alone() {
        let states = walk(&[
            (Side::InputOnly, TcpFlags::SYN),
            (Side::InputOnly, TcpFlags::ACK),
            (Side::InputOnly, TcpFlags::FIN),
            (Side::InputOnly, TcpFlags::ACK),
            (Side::InputOnly, TcpFlags::SYN),
        ]);
        assert_eq!(states, [SynRecv, Established, FinWait, FinWait, SynRecv]);
    }

    #[test]
    fn a_reset_closes_but_not_where_it_may_be_forged() {
        for side in SIDES {
            assert_eq!(next(side, Established, TcpFlags::RST), Close);
        }
        for side in [Side::Input, Side::InputOnly] {
            for kept in [SynRecv, LastAck, Listen] {
                assert_eq!(next(side, kept, TcpFlags::RST), kept);
            }
        }
    }

    #[test]
    fn the_graver_flag_counts() {
        let all = TcpFlags(0x3f);
        assert_eq!(next(Side::Input, Established, all), Close);
        assert_eq!(next(Side::Input, FinWait, TcpFlags::SYN.with(TcpFlags::FIN)), SynRecv);
        assert_eq!(next(Side::Input, Established, TcpFlags::FIN.with(TcpFlags::ACK)), CloseWait);
        for state in ConnState::ALL {
            for side in SIDES {
                assert_eq!(next(side, state, TcpFlags::NONE), state, "no flag changes nothing");
            }
        }
    }

    #[test]
    fn datagrams_and_connections_never_become_each_other() {
        for side in SIDES {
            for state in ConnState::ALL {
                for flags in 0..=0x3f {
                    let after = next(side, state, TcpFlags(flags));
                    assert_eq!(after == Udp, state == Udp, "{side:?} {} {flags:x}", state.name());
                }
            }
        }
    }

    #[test]
    fn only_what_is_over_is_used_again() {
        let reused =
            |side| ConnState::ALL.into_iter().filter(|&state| may_reuse(side, state)).collect::<Vec<_>>();
        assert_eq!(reused(Side::Input), [TimeWait, Close]);
        assert_eq!(reused(Side::InputOnly), [FinWait, TimeWait, Close]);
    }

    /// The state after each of these segments.
    fn walk(segments: &[(Side, TcpFlags)]) -> Vec<ConnState> {
        let mut state = None;
        segments
            .iter()
            .map(|&(side, flags)| {
                state = next(side, state, flags);
                state
            })
            .collect()
    }
}
