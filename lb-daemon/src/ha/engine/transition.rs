//! The table of the role engine: from a state and what happened to what follows. Pure; the guards stand in the events.

use super::{Cause, Role};

/// States of the engine. [`Role`] is what others see of them.
///
/// ```text
///   start                         peer active; election lost
///     |      +---------------------------------------------------------------+
///     v      |                                                               v
///  +----------+  peer silent or leaving;   +--------+  peer active    +---------+
///  | Starting |--------------------------->|        |  and stronger   |         |
///  +----------+  election won              | Active |---------------->| Standby |
///                                          |        |<----------------|         |
///  peer silent or leaving; late            |        |  peer silent or |         |
///        +-------------------------------->|        |  leaving;       |         |
///        |                                 +--------+  election won   +---------+
///        |  operator; peer asks; unfit      |      |                       ^
///  +-------------+<-------------------------+      | stop with a           |
///  |             |                                 | living peer           |
///  | HandingOver |---------------------------------|-----------------------+
///  |             |  peer active                    v
///  +-------------+                           +----------+  peer active or silent; late   +---------+
///        +---------------------------------->| Stopping |------------------------------->| Stopped |
///            stop with a living peer         +----------+                                +---------+
///
///  Any state but Stopping goes straight to Stopped on a stop that nobody can relieve it for.
///  Starting, Standby and Active go to Standby where neither the peer nor a witness is heard.
///  Starting over an active data plane goes to Stopping on a stop, as Active does.
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// Listens before it takes a role.
    Starting,
    /// Watches the active peer.
    Standby,
    /// Forwards.
    Active,
    /// Forwards until the peer has taken over; goes on as standby.
    HandingOver,
    /// Forwards until the peer has taken over; then ends.
    Stopping,
    /// The end.
    Stopped,
}

impl State {
    /// What others see.
    pub(super) const fn role(self) -> Role {
        match self {
            Self::Starting => Role::Starting,
            Self::Standby | Self::Stopped => Role::Standby,
            Self::Active => Role::Active,
            Self::HandingOver | Self::Stopping => Role::Leaving,
        }
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Event {
    /// The peer says it is active. While this router leaves: and it says so knowing that.
    PeerActive(Rival),
    /// The peer forwards still, and wants to be relieved.
    PeerLeaving {
        /// Because it has a fault, maybe.
        fault: bool,
    },
    /// The peer says it is standby or starting.
    PeerPassive(Election),
    /// The peer, standby and of the higher rank, wants the role.
    PeerAsks {
        /// Because its operator holds it active.
        forced: bool,
    },
    /// This active router has a fault, and the peer, standby, has none.
    Unfit,
    /// The operator holds this active router standby, and the peer, standby, can take over.
    Forced,
    /// This router would become active now, and the operator holds it standby.
    Held,
    /// Nothing was heard of the peer for `dead_after`; a witness was, where there are any.
    PeerSilent,
    /// Neither the peer nor a witness was heard for `dead_after`.
    Isolated,
    /// The operator gives the role to the peer, which is alive.
    Failover,
    /// The daemon shall end. `relief`: this router forwards, and a living peer can take over.
    Stop {
        /// Whether to wait for the peer.
        relief: bool,
    },
    /// A router that leaves has waited for long enough.
    Late,
}

/// How this router, if active, stands to a peer that is active too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Rival {
    /// The peer has the lower rank: it yields.
    Weaker,
    /// The peer has the higher rank.
    Stronger,
    /// The peer took the role while this router was frozen.
    Successor,
    /// The peer cannot yield: it does not hear this router.
    Deaf,
}

/// Which of two passive routers becomes active.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Election {
    /// This one: it was active before its daemon restarted.
    Resumed,
    /// This one: it has the higher rank.
    Won,
    /// The peer.
    Lost,
    /// Not decided yet.
    Open,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Nothing.
    Stay,
    /// The role stays, and the network must be told again whose the addresses are.
    Reannounce,
    /// Another state.
    Go(State, Cause),
}

/// The whole table.
pub(super) const fn step(state: State, event: Event) -> Step {
    use Election::{Lost, Open, Resumed, Won};
    use Event::{Failover, Forced, Held, Isolated, Late, PeerSilent, Stop, Unfit};
    use Event::{PeerActive, PeerAsks, PeerLeaving, PeerPassive};
    use Rival::{Deaf, Stronger, Successor, Weaker};
    use State::{Active, HandingOver, Standby, Starting, Stopped, Stopping};
    use Step::{Go, Reannounce, Stay};

    match (state, event) {
        (Starting, PeerActive(Weaker | Stronger | Successor | Deaf)) => Go(Standby, Cause::PeerActive),
        (Starting | Standby | HandingOver, PeerLeaving { fault: false }) => Go(Active, Cause::PeerLeft),
        (Starting | Standby | HandingOver, PeerLeaving { fault: true }) => Go(Active, Cause::PeerUnfit),
        (Starting, PeerPassive(Resumed)) => Go(Active, Cause::Resumed),
        (Starting | Standby, PeerPassive(Won)) => Go(Active, Cause::Elected),
        (Starting, PeerPassive(Lost)) => Go(Standby, Cause::NotElected),
        (Starting | Standby, PeerSilent) => Go(Active, Cause::PeerSilent),
        (Starting | Standby | Active, Isolated) => Go(Standby, Cause::Isolated),
        (Starting, Stop { relief: true }) => Go(Stopping, Cause::Stop),
        (Starting, Stop { relief: false }) => Go(Stopped, Cause::Stop),
        (Starting, Held) => Go(Standby, Cause::Held),
        (Starting, PeerPassive(Open) | PeerAsks { .. } | Unfit | Forced | Failover | Late) => Stay,

        (Standby, Stop { relief: true | false }) => Go(Stopped, Cause::Stop),
        (Standby, PeerActive(Weaker | Stronger | Successor | Deaf)) => Stay,
        (Standby, PeerPassive(Resumed | Lost | Open) | PeerAsks { .. } | Unfit | Forced | Held) => Stay,
        (Standby, Failover | Late) => Stay,

        (Active, PeerActive(Weaker)) => Reannounce,
        (Active, PeerActive(Stronger)) => Go(Standby, Cause::Outranked),
        (Active, PeerActive(Successor)) => Go(Standby, Cause::Frozen),
        (Active, PeerActive(Deaf)) => Go(Standby, Cause::Unheard),
        (Active, PeerAsks { forced: false }) => Go(HandingOver, Cause::Asked),
        (Active, PeerAsks { forced: true }) => Go(HandingOver, Cause::PeerHeld),
        (Active, Forced) => Go(HandingOver, Cause::Held),
        (Active, Unfit) => Go(HandingOver, Cause::Unfit),
        (Active, Failover) => Go(HandingOver, Cause::Operator),
        (Active | HandingOver, Stop { relief: true }) => Go(Stopping, Cause::Stop),
        (Active | HandingOver, Stop { relief: false }) => Go(Stopped, Cause::Stop),
        (Active, PeerLeaving { fault: false | true } | PeerPassive(Resumed | Won | Lost | Open)) => Stay,
        (Active, PeerSilent | Late | Held) => Stay,

        (HandingOver, PeerActive(Weaker | Stronger | Successor | Deaf)) => Go(Standby, Cause::Relieved),
        (HandingOver, PeerSilent) => Go(Active, Cause::PeerSilent),
        (HandingOver, Late) => Go(Active, Cause::NotRelieved),
        (HandingOver, PeerPassive(Resumed | Won | Lost | Open) | PeerAsks { .. }) => Stay,
        (HandingOver, Unfit | Forced | Held | Failover | Isolated) => Stay,

        (Stopping, PeerActive(Weaker | Stronger | Successor | Deaf)) => Go(Stopped, Cause::Relieved),
        (Stopping, PeerSilent) => Go(Stopped, Cause::PeerSilent),
        (Stopping, Late) => Go(Stopped, Cause::NotRelieved),
        (Stopping, PeerLeaving { fault: false | true } | PeerPassive(Resumed | Won | Lost | Open)) => Stay,
        (Stopping, PeerAsks { .. } | Unfit | Forced | Held | Failover | Isolated) => Stay,
        (Stopping, Stop { relief: true | false }) => Stay,

        (Stopped, PeerActive(Weaker | Stronger | Successor | Deaf)) => Stay,
        (Stopped, PeerLeaving { fault: false | true } | PeerSilent | Unfit | Forced | Held) => Stay,
        (Stopped, PeerPassive(Resumed | Won | Lost | Open) | PeerAsks { .. } | Failover | Late) => Stay,
        (Stopped, Isolated | Stop { relief: true | false }) => Stay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [State; 6] = {
        use State::*;
        [Starting, Standby, Active, HandingOver, Stopping, Stopped]
    };

    /// Every event, and what follows in each of [`STATES`]: the name of the next state, `-` for none, `!` for a new
    /// announcement.
    #[rustfmt::skip]
    const TABLE: [(Event, [&str; 6]); 21] = {
        use Election::*;
        use Event::*;
        use Rival::*;
        [
            //                        Starting    Standby    Active         HandingOver Stopping   Stopped
            (PeerActive(Weaker),     ["Standby",  "-",       "!",           "Standby",  "Stopped", "-"]),
            (PeerActive(Stronger),   ["Standby",  "-",       "Standby",     "Standby",  "Stopped", "-"]),
            (PeerActive(Successor),  ["Standby",  "-",       "Standby",     "Standby",  "Stopped", "-"]),
            (PeerActive(Deaf),       ["Standby",  "-",       "Standby",     "Standby",  "Stopped", "-"]),
            (PeerLeaving { fault: false }, ["Active", "Active", "-",        "Active",   "-",       "-"]),
            (PeerLeaving { fault: true }, ["Active", "Active", "-",         "Active",   "-",       "-"]),
            (PeerPassive(Resumed),   ["Active",   "-",       "-",           "-",        "-",       "-"]),
            (PeerPassive(Won),       ["Active",   "Active",  "-",           "-",        "-",       "-"]),
            (PeerPassive(Lost),      ["Standby",  "-",       "-",           "-",        "-",       "-"]),
            (PeerPassive(Open),      ["-",        "-",       "-",           "-",        "-",       "-"]),
            (PeerAsks { forced: false }, ["-",    "-",       "HandingOver", "-",        "-",       "-"]),
            (PeerAsks { forced: true }, ["-",     "-",       "HandingOver", "-",        "-",       "-"]),
            (Forced,                 ["-",        "-",       "HandingOver", "-",        "-",       "-"]),
            (Held,                   ["Standby",  "-",       "-",           "-",        "-",       "-"]),
            (Unfit,                  ["-",        "-",       "HandingOver", "-",        "-",       "-"]),
            (PeerSilent,             ["Active",   "Active",  "-",           "Active",   "Stopped", "-"]),
            (Isolated,               ["Standby",  "Standby", "Standby",     "-",        "-",       "-"]),
            (Failover,               ["-",        "-",       "HandingOver", "-",        "-",       "-"]),
            (Stop { relief: true },  ["Stopping", "Stopped", "Stopping",    "Stopping", "-",       "-"]),
            (Stop { relief: false }, ["Stopped",  "Stopped", "Stopped",     "Stopped",  "-",       "-"]),
            (Late,                   ["-",        "-",       "-",           "Active",   "Stopped", "-"]),
        ]
    };

    #[test]
    fn every_state_and_event_has_its_step() {
        for (event, row) in TABLE {
            for (state, expected) in STATES.into_iter().zip(row) {
                let found = match step(state, event) {
                    Step::Stay => "-".to_owned(),
                    Step::Reannounce => "!".to_owned(),
                    Step::Go(next, _) => format!("{next:?}"),
                };
                assert_eq!(found, expected, "{state:?}, {event:?}");
            }
        }
    }

    #[test]
    fn a_router_stops_forwarding_only_for_an_active_peer_or_alone() {
        for (event, _) in TABLE {
            for state in STATES.into_iter().filter(|state| state.role().forwards()) {
                let Step::Go(next, _) = step(state, event) else { continue };
                let relieved = matches!(event, Event::PeerActive(_));
                let alone = matches!(
                    event,
                    Event::Stop { relief: false } | Event::PeerSilent | Event::Isolated | Event::Late
                );
                assert!(next.role().forwards() || relieved || alone, "{state:?}, {event:?}");
            }
        }
    }
}
