//! The file as it is written: every table with its keys, and what each key holds. Defaults and what one key means for
//! another are [`check`](super::check)'s.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use lb_common::{Method, Scheduler};

use super::{
    AnnounceForm, BpfLog, HostAddress,
    decode::{List, table},
    values::{
        AbsolutePath, CheckType, FailbackWord, Interface, Name, Port, Protocol, RequestHost, RequestPath,
        Secret, SomeText, Span, Status, Switch, Text, TrackType, VirtualMac, Whole,
    },
};

table! {
    /// The document.
    File {
        required router: Router,
        optional peer: Peer,
        optional track: List<Track>,
        optional notify: Notify,
        optional announce: Announce,
        optional group: List<Group>,
        optional vip: List<Vip>,
        optional service: List<Service>,
        optional limits: Limits,
        optional daemon: Daemon,
    }
}

table! {
    /// `[router]`
    Router {
        optional name: Name,
        required interfaces: List<Interface>,
        optional nat_router: NatRouter,
        optional virtual_mac: VirtualMac,
    }
}

table! {
    /// `nat_router` of `[router]` and of `[[group]]`.
    NatRouter {
        required address: Ipv4Net,
        required interface: Interface,
    }
}

table! {
    /// `[[group]]`
    Group {
        required name: Name,
        optional priority: Whole<u8, 1, 255>,
        optional failback: FailbackWord,
        optional failback_delay: Span<0, 3_600_000>,
        optional nat_router: NatRouter,
        optional virtual_mac: VirtualMac,
    }
}

table! {
    /// `[[vip]]`
    Vip {
        required address: Ipv4Net,
        required interface: Interface,
        optional group: Name,
    }
}

table! {
    /// `[peer]`
    Peer {
        optional priority: Whole<u8, 1, 255>,
        optional interval: Span<20, 60_000>,
        optional dead_after: Span<60, 3_600_000>,
        optional failback: FailbackWord,
        optional failback_delay: Span<0, 3_600_000>,
        optional port: Port,
        optional key: Secret,
        optional key_file: AbsolutePath,
        optional witness: List<HostAddress>,
        required paths: List<HeartbeatPath>,
        optional sync: Sync,
    }
}

table! {
    /// `sync` of `[peer]`
    Sync {
        optional enabled: Switch,
        optional port: Port,
        optional half_open: Switch,
    }
}

table! {
    /// An element of `paths` of `[peer]`.
    HeartbeatPath {
        required local: HostAddress,
        required remote: HostAddress,
    }
}

table! {
    /// `[[track]]`
    Track {
        required name: Name,
        required kind as "type": TrackType,
        optional interface: Interface,
        optional address: HostAddress,
        optional command: List<SomeText>,
        optional user: Name,
        optional interval: Span<20, 3_600_000>,
        optional timeout: Span<10, 3_600_000>,
        optional rise: Whole<u32, 1, 1000>,
        optional fall: Whole<u32, 1, 1000>,
        optional weight: Whole<u8, 1, 254>,
        optional fault: bool,
        optional groups: List<Name>,
    }
}

table! {
    /// `[notify]`
    Notify {
        optional active_cmd: List<SomeText>,
        optional standby_cmd: List<SomeText>,
        optional inactive_cmd: List<SomeText>,
        optional fault_cmd: List<SomeText>,
        optional event_cmd: List<SomeText>,
        optional user: Name,
        optional timeout: Span<100, 600_000>,
    }
}

table! {
    /// `[announce]`
    Announce {
        optional form: AnnounceForm,
        optional burst: Whole<u16, 1, 100>,
        optional spacing: Span<10, 10_000>,
        optional repeats: Whole<u16, 0, 100>,
        optional delay: Span<100, 600_000>,
        optional refresh: Span<0, 86_400_000>,
        optional refresh_burst: Whole<u16, 1, 100>,
        optional probe: Span<0, 86_400_000>,
    }
}

table! {
    /// `[[service]]`
    Service {
        required name: Name,
        required address: Ipv4Addr,
        required port: Port,
        optional protocol: Protocol,
        optional scheduler: Scheduler,
        optional check: Check,
        optional real: List<Real>,
    }
}

table! {
    /// `check` of `[[service]]`
    Check {
        required kind as "type": CheckType,
        optional send: Text,
        optional expect: SomeText,
        optional expect_regex: SomeText,
        optional path: RequestPath,
        optional host: RequestHost,
        optional status: Status,
        optional body: SomeText,
        optional port: Port,
        optional interval: Span<100, 3_600_000>,
        optional timeout: Span<10, 3_600_000>,
        optional rise: Whole<u32, 1, 100>,
        optional fall: Whole<u32, 1, 100>,
    }
}

table! {
    /// `[[service.real]]`
    Real {
        optional name: Name,
        required address: Ipv4Addr,
        optional port: Port,
        optional weight: Whole<u32, 0, 65_535>,
        optional method: Method,
    }
}

table! {
    /// `[limits]`
    Limits {
        optional flows: Whole<u32, 1024, 67_108_864>,
        optional services: Whole<u32, 1, 4096>,
        optional reals: Whole<u32, 1, 65_535>,
    }
}

table! {
    /// `[daemon]`
    Daemon {
        optional pin_dir: AbsolutePath,
        optional socket: AbsolutePath,
        optional bpf_log: BpfLog,
    }
}
