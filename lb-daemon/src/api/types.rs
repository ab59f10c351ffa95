//! What goes over the API, as JSON. Both sides use these types.

mod readiness;

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddrV4},
};

use lb_common::ConnState;
use serde::{Deserialize, Serialize};

pub use self::readiness::{BehindStatus, FailbackStatus};
pub use crate::ha::engine::{Forced, Maintenance};

/// `GET /v1/status`: the whole router at a glance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// Name of this router.
    pub router: String,
    /// `lbd` version.
    pub version: String,
    /// `"active"`, `"standby"`, `"starting"` or `"leaving"` (forwards until the peer has taken over); `"mixed"` where groups
    /// have different ones.
    pub role: String,
    /// One sentence: why this role.
    pub reason: String,
    /// Seconds in this role.
    pub since_secs: u64,
    /// What the operator holds this router in, for all its groups; absent when nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    /// The groups, each with its own role; none where everything has one role, which is that of the router.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupStatus>,
    /// The pair; absent for a single router.
    pub peer: Option<PeerStatus>,
    /// What the router watches about itself.
    #[serde(default)]
    pub tracks: Vec<TrackStatus>,
    /// How connections are copied between the routers; absent for a single router.
    pub sync: Option<SyncStatus>,
    /// How those of this router's own groups are copied to the peer, where each router is active for some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_out: Option<SyncStatus>,
    /// Interfaces with the program and the way it is attached.
    pub interfaces: Vec<InterfaceStatus>,
    /// Virtual addresses and the NAT router address, and whether they stand on the interface now.
    pub addresses: Vec<AddressStatus>,
    /// Addresses that somebody else claims.
    #[serde(default)]
    pub conflicts: Vec<ConflictStatus>,
    /// Services.
    pub services: Vec<ServiceStatus>,
    /// Things that are not as they should be, one line each.
    pub warnings: Vec<String>,
}

/// What is known of the peer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PeerStatus {
    /// Its name, once heard.
    pub name: Option<String>,
    /// Its role as it says, once heard.
    pub role: Option<String>,
    /// Whether it is heard on any path.
    pub alive: bool,
    /// Whether it has a fault, as it says.
    #[serde(default)]
    pub fault: bool,
    /// What its operator holds it in, as it says: `"standby"` or `"active"`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forced: Option<String>,
    /// Its priority now, as it says, once heard.
    #[serde(default)]
    pub priority: Option<u8>,
    /// Every path.
    pub paths: Vec<PathStatus>,
    /// Every witness.
    #[serde(default)]
    pub witnesses: Vec<WitnessStatus>,
    /// Whether this router takes its role back; absent where each group has its own, and for a single router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failback: Option<FailbackStatus>,
    /// How far the standby of the two routers is behind with connections, by their heartbeats: of several groups, the one that is
    /// furthest. Absent where that cannot be told: both have the same role, or the peer is too old to say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<BehindStatus>,
    /// Until when this router answers ARP for the addresses: of several groups, the one that ends first.
    #[serde(default)]
    pub lease: LeaseStatus,
    /// Heartbeats ignored, by cause: `"wrong_key"`, `"replayed"`, `"truncated"`, `"stranger"`, `"version"`, `"unknown_group"`,
    /// `"unproven"` (authentic, but its sender has not answered this router yet: a few whenever a router starts).
    pub ignored: BTreeMap<String, u64>,
    /// The last transitions of this router's role, newest first.
    pub transitions: Vec<Transition>,
}

/// A group, and how its role stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupStatus {
    /// Name.
    pub name: String,
    /// Role of this router: as that of [`Status`].
    pub role: String,
    /// One sentence: why this role.
    pub reason: String,
    /// Seconds in this role.
    pub since_secs: u64,
    /// Priority of this router now.
    pub priority: u8,
    /// What the operator holds this router in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maintenance: Option<Maintenance>,
    /// Role of the peer as it says, while it is heard.
    pub peer_role: Option<String>,
    /// Its priority.
    pub peer_priority: Option<u8>,
    /// What its operator holds it in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_forced: Option<String>,
    /// Whether this router takes its role back; absent for a single router.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failback: Option<FailbackStatus>,
    /// As that of [`PeerStatus`], for this group.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<BehindStatus>,
}

/// `POST /v1/failover`, whose body may be absent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failover {
    /// The group whose role is given away; every one that this router is active for without it.
    #[serde(default)]
    pub group: Option<String>,
}

/// `POST /v1/maintenance`: holds this router in a role, or releases it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaintenanceChange {
    /// The role; `null` releases it.
    pub role: Option<Forced>,
    /// What for.
    #[serde(default)]
    pub reason: String,
    /// Only for this group; for all of them without it.
    #[serde(default)]
    pub group: Option<String>,
}

/// Until when a router answers ARP for the addresses, unless it says more before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseStatus {
    /// `"running"`, `"expired"` (active, and no answer until it is known that the peer is not), or `"none"` (not active).
    pub state: String,
    /// Milliseconds that are left of it.
    pub left_ms: Option<u64>,
}

/// How connections are copied from the active router to the other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncStatus {
    /// `"off"`, `"waiting"` (for a role), `"alone"` (active, and no standby is connected), `"sending"`, `"connecting"` (standby,
    /// without a stream) or `"receiving"`.
    pub state: String,
    /// While sending: the peer has everything, and is behind by less than a second. Else: this router may become active
    /// without losing a connection that its peer knows.
    pub in_sync: bool,
    /// How much of the full transfer is done, while there is a stream.
    pub progress_percent: Option<u8>,
    /// While sending, once the full transfer is over: how old the oldest change may be that the peer does not have.
    pub behind_ms: Option<u64>,
    /// Records sent that the peer has not acknowledged.
    pub unacknowledged: u64,
    /// Why there is no stream.
    pub detail: Option<String>,
    /// Records sent since the daemon started.
    pub sent: u64,
    /// Records received.
    pub received: u64,
    /// Those of them that were applied.
    pub applied: u64,
    /// Connections that were removed at the end of a full transfer, since the peer does not have them any more.
    pub unlisted: u64,
    /// Records that were not applied, by cause: `"unknown_server"`, `"active_here"`, `"used_here"`,
    /// `"table_full"`, `"contended"`, `"expired"`.
    pub refused: BTreeMap<String, u64>,
    /// Streams that were refused, by cause: `"stranger"`, `"busy"`, `"timeout"`, `"wrong_key"`, `"version"`, `"broken"`.
    pub rejected: BTreeMap<String, u64>,
}

/// One heartbeat path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PathStatus {
    /// Own address; a link-local one with its interface, `fe80::2%eth1`.
    pub local: String,
    /// The peer's address likewise.
    pub remote: String,
    /// Whether heartbeats arrive on it.
    pub alive: bool,
    /// Milliseconds since the last one.
    pub silent_ms: Option<u64>,
}

/// A host that tells a router whose peer is silent whether it is itself cut off.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessStatus {
    /// Its address.
    pub address: String,
    /// Whether it has answered within `dead_after`.
    pub answers: bool,
    /// Milliseconds since it was asked what it answered last.
    pub silent_ms: Option<u64>,
}

/// A change of role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// Seconds ago.
    pub ago_secs: u64,
    /// The group that it was of, where there are groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Role before.
    pub from: String,
    /// Role after.
    pub to: String,
    /// Why.
    pub reason: String,
}

/// Something that the router watches about itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackStatus {
    /// Name in the configuration.
    pub name: String,
    /// Whether all is well; absent before the first look.
    pub ok: Option<bool>,
    /// What the priority is lowered by while it fails.
    pub weight: u8,
    /// Whether it is a fault while it fails.
    pub fault: bool,
    /// What the last look found.
    pub detail: String,
}

/// An interface that the program is attached to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceStatus {
    /// Name.
    pub name: String,
    /// `"native"` or `"generic"`.
    pub mode: String,
}

/// An address that moves with the role.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressStatus {
    /// The group that it belongs to, where there are groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// `address/prefix`.
    pub address: String,
    /// Interface.
    pub interface: String,
    /// Whether it stands on the interface now.
    pub present: bool,
    /// The virtual MAC address that it keeps when it moves, where it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub virtual_mac: Option<String>,
}

/// Somebody else claims an address that is not his.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConflictStatus {
    /// The address.
    pub address: Ipv4Addr,
    /// Interface that it was heard on.
    pub interface: String,
    /// MAC address of whoever claims it.
    pub mac: String,
    /// Who that is: `"a stranger"`, `"the peer"` or `"real server …"`.
    pub claimed_by: String,
    /// Seconds since it was noticed.
    pub since_secs: u64,
    /// One sentence.
    pub text: String,
}

/// A virtual service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// The group that it belongs to, where there are groups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Name in the configuration.
    pub name: String,
    /// `"tcp"` or `"udp"`.
    pub protocol: String,
    /// Virtual address.
    pub address: Ipv4Addr,
    /// Virtual port.
    pub port: u16,
    /// `"rr"`, `"wrr"`, `"sh"` or `"mh"`.
    pub scheduler: String,
    /// Real servers.
    pub reals: Vec<RealStatus>,
}

/// A real server of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RealStatus {
    /// Name in the configuration.
    pub name: String,
    /// Address.
    pub address: Ipv4Addr,
    /// Port.
    pub port: u16,
    /// `"nat"` or `"direct"`.
    pub method: String,
    /// `"up"`, `"down"`, `"drained"`, `"disabled"`, `"quiesced"` (weight 0) or `"unchecked"`.
    pub state: String,
    /// What the last check said.
    pub detail: String,
    /// Weight in force.
    pub weight: u32,
    /// Weight in the configuration.
    pub configured_weight: u32,
    /// Whether its next hop is resolved.
    pub reachable: bool,
    /// Connections that IPVS counts as active.
    pub active_connections: u64,
    /// The others.
    pub inactive_connections: u64,
    /// Totals since the server was added.
    pub totals: Totals,
    /// Rates over the last seconds.
    pub rates: Rates,
}

/// Totals as `ipvsadm --stats` shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Connections.
    pub connections: u64,
    /// Packets from clients.
    pub in_packets: u64,
    /// Packets to clients.
    pub out_packets: u64,
    /// Bytes from clients.
    pub in_bytes: u64,
    /// Bytes to clients.
    pub out_bytes: u64,
}

/// Per second, as `ipvsadm --rate` shows them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// Connections per second.
    pub connections: f64,
    /// Packets from clients per second.
    pub in_packets: f64,
    /// Packets to clients per second.
    pub out_packets: f64,
    /// Bytes from clients per second.
    pub in_bytes: f64,
    /// Bytes to clients per second.
    pub out_bytes: f64,
}

/// `GET /v1/stats`: counters by reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stats {
    /// Every reason that a packet can meet its end by, in the order of its number.
    pub reasons: Vec<ReasonCount>,
    /// Entries in the flow table, both directions.
    pub flow_entries: u64,
}

/// A reason and its counter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonCount {
    /// Name of the reason.
    pub reason: String,
    /// `"pass"`, `"drop"` or `"send"`.
    pub verdict: String,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// One element of `GET /v1/connections`. There may be millions, so that a value is small and owns nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Connection {
    /// `"tcp"` or `"udp"`.
    pub protocol: Protocol,
    /// Name of the state as `ipvsadm -Lnc` prints it.
    #[serde(with = "state")]
    pub state: ConnState,
    /// Seconds until it is forgotten.
    pub expires_secs: u32,
    /// Client, `address:port`.
    pub source: SocketAddrV4,
    /// Virtual service, `address:port`.
    pub virtual_address: SocketAddrV4,
    /// Real server, `address:port`.
    pub destination: SocketAddrV4,
}

/// Protocol of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Protocol {
    /// Its name as `ipvsadm` prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tcp => "TCP",
            Self::Udp => "UDP",
        }
    }
}

/// A state as its name.
mod state {
    use std::borrow::Cow;

    use lb_common::ConnState;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(state: &ConnState, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(state.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<ConnState, D::Error> {
        let name = Cow::<str>::deserialize(from)?;
        let state = ConnState::ALL.into_iter().find(|state| state.name() == name);
        state.ok_or_else(|| D::Error::custom(format_args!("no state {name:?}")))
    }
}

/// `POST /v1/server`: a change to real servers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerChange {
    /// Real server: its name, `address` or `address:port`.
    pub server: String,
    /// Only in the service of this name; in all services where absent.
    pub service: Option<String>,
    /// What to do.
    pub action: ServerAction,
}

/// What to do with a real server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerAction {
    /// Use this weight, `0..=65535`, instead of the configured one.
    Weight(u32),
    /// Keep its connections, give it no new ones.
    Drain,
    /// As configured again: checked, and in use when healthy.
    Enable,
    /// As `Drain`, and no longer checked.
    Disable,
}

/// Answer to a command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// One line: what was done.
    pub message: String,
}

/// Answer to a request that could not be met; the HTTP status is 400, 404, 409 or 500, or one of HTTP's own: 405 for
/// another method, 413 for an oversized body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// One line: what is wrong.
    pub error: String,
}
