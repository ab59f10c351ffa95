//! Values of the file: what each looks like, and what is expected where it does not.

use std::{net::Ipv4Addr, ops::RangeInclusive, path::PathBuf, time::Duration};

use ipnet::Ipv4Net;
use lb_common::{IPPROTO_TCP, IPPROTO_UDP, Method, Scheduler};
use toml::de::DeValue;

use super::{AnnounceForm, BpfLog, decode::Scalar};
use crate::mac::Mac;

/// A whole number, `MIN..=MAX`, both of which `T` holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whole<T, const MIN: i64, const MAX: i64>(pub(super) T);

impl<T: TryFrom<i64>, const MIN: i64, const MAX: i64> Scalar for Whole<T, MIN, MAX> {
    fn expected() -> String {
        format!("a whole number, {MIN} to {MAX}")
    }

    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        let number = value.as_integer()?;
        let number = i64::from_str_radix(number.as_str(), number.radix()).ok()?;
        if !(MIN..=MAX).contains(&number) {
            return None;
        }
        T::try_from(number).ok().map(Self)
    }
}

/// A TCP or UDP port, host order.
pub(super) type Port = Whole<u16, 1, 65_535>;

/// A duration, `MIN..=MAX` milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span<const MIN: u64, const MAX: u64>(pub(super) Duration);

impl<const MIN: u64, const MAX: u64> Scalar for Span<MIN, MAX> {
    fn expected() -> String {
        let show = |millis| humantime::format_duration(Duration::from_millis(millis));
        format!("a duration, \"{}\" to \"{}\"", show(MIN), show(MAX))
    }

    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        let duration = humantime::parse_duration(value.as_str()?).ok()?;
        let range = Duration::from_millis(MIN)..=Duration::from_millis(MAX);
        range.contains(&duration).then_some(Self(duration))
    }
}

impl Scalar for bool {
    fn expected() -> String {
        "true or false".to_owned()
    }

    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        value.as_bool()
    }
}

/// A virtual MAC address: that of a virtual router with an identifier (RFC 9568 7.3), or any.
#[derive(Clone, Copy, Debug)]
pub(super) struct VirtualMac(pub(super) Mac);

impl Scalar for VirtualMac {
    fn expected() -> String {
        "a whole number, 1 to 255, or a unicast MAC address such as \"02:00:00:00:00:33\"".to_owned()
    }

    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        let mac = match value.as_str() {
            Some(text) => text.parse().ok().filter(|mac: &Mac| mac.is_unicast())?,
            None => Mac::of_virtual_router(Whole::<u8, 1, 255>::from_value(value)?.0),
        };
        Some(Self(mac))
    }
}

/// Whether packets can be sent to `address` as to one host: not "this network" (RFC 1122 section 3.2.1.3), multicast
/// or broadcast.
pub(super) fn is_unicast(address: Ipv4Addr) -> bool {
    let [first, ..] = address.octets();
    first != 0 && !address.is_multicast() && !address.is_broadcast()
}

impl Scalar for Ipv4Addr {
    fn expected() -> String {
        "a unicast IPv4 address such as \"192.0.2.10\"".to_owned()
    }

    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        value.as_str()?.parse().ok().filter(|address| is_unicast(*address))
    }
}

impl Scalar for Ipv4Net {
    fn expected() -> String {
        "a unicast IPv4 address, with a prefix length or alone, such as \"192.0.2.10/32\"".to_owned()
    }

    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        let text = value.as_str()?;
        let net = match text.parse::<Ipv4Addr>() {
            Ok(address) => Self::from(address),
            Err(_) => text.parse::<Self>().ok()?,
        };
        // A /31 has neither network nor broadcast address (RFC 3021).
        let is_host =
            net.prefix_len() >= 31 || (net.addr() != net.network() && net.addr() != net.broadcast());
        (net.prefix_len() > 0 && is_host && is_unicast(net.addr())).then_some(net)
    }
}

/// A value of its own kind around a string for which `$holds`.
macro_rules! text {
    ($($(#[$doc:meta])* $name:ident, $expected:literal, $holds:expr;)+) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug)]
            pub(super) struct $name(pub(super) String);

            impl $name {
                /// `text`, if it is one.
                pub(super) fn new(text: &str) -> Option<Self> {
                    let holds: fn(&str) -> bool = $holds;
                    holds(text).then(|| Self(text.to_owned()))
                }
            }

            impl Scalar for $name {
                fn expected() -> String {
                    $expected.to_owned()
                }

                fn from_value(value: &DeValue<'_>) -> Option<Self> {
                    Self::new(value.as_str()?)
                }
            }
        )+
    };
}

text! {
    /// A name for people and `lbctl`.
    Name, "a name of 1 to 64 bytes without blanks", |text| {
        (1..=64).contains(&text.len()) && is_one_word(text)
    };
    /// A network interface, by the rules of the kernel (`dev_valid_name`).
    Interface, "the name of a network interface", |text| {
        (1..16).contains(&text.len()) && is_one_word(text) && !text.contains(['/', ':']) && !matches!(text, "." | "..")
    };
    /// Any string.
    Text, "a string", |_| true;
    /// A string that is not empty.
    SomeText, "a string that is not empty", |text| !text.is_empty();
    /// The path of an HTTP request, with a query or without (RFC 9112 section 3.2.1).
    RequestPath, "a path that starts with \"/\" and is percent-encoded", |text| {
        text.starts_with('/') && !text.contains('#') && text.parse::<hyper::Uri>().is_ok()
    };
    /// The `Host` of an HTTP request (RFC 9110 section 7.2).
    RequestHost, "a host name, with a port or without", |text| {
        !text.contains('@') && text.parse::<hyper::http::uri::Authority>().is_ok()
    };
}

/// Whether `text` has neither blanks nor control characters.
fn is_one_word(text: &str) -> bool {
    !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// A path from the root.
#[derive(Clone, Debug)]
pub(super) struct AbsolutePath(pub(super) PathBuf);

impl Scalar for AbsolutePath {
    fn expected() -> String {
        "an absolute path".to_owned()
    }

    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        let path = PathBuf::from(value.as_str().filter(|text| !text.contains('\0'))?);
        path.is_absolute().then_some(Self(path))
    }
}

/// A secret, never shown. It has no `Debug` that could.
#[derive(Clone)]
pub(super) struct Secret(pub(super) String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Scalar for Secret {
    const SECRET: bool = true;

    fn expected() -> String {
        "a string".to_owned()
    }

    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        value.as_str().map(|text| Self(text.to_owned()))
    }
}

/// HTTP status codes, a range or a single one.
#[derive(Clone, Debug)]
pub(super) struct Status(pub(super) RangeInclusive<u16>);

impl Scalar for Status {
    fn expected() -> String {
        "status codes from 200 to 599, such as \"200-399\" or \"204\"".to_owned()
    }

    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        let text = value.as_str()?;
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let range = status_code(first)?..=status_code(last)?;
        (!range.is_empty()).then_some(Self(range))
    }
}

/// A final status code. Interim ones (1xx, RFC 9110 section 15.2) never answer a request.
fn status_code(text: &str) -> Option<u16> {
    let code = text.trim().parse().ok()?;
    (200..=599).contains(&code).then_some(code)
}

/// Yes or no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Switch(pub(super) bool);

impl Scalar for Switch {
    fn expected() -> String {
        "true or false".to_owned()
    }

    fn from_value(value: &DeValue<'_>) -> Option<Self> {
        value.as_bool().map(Self)
    }
}

/// Protocol of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Tcp,
    Udp,
}

impl Protocol {
    /// IPv4 protocol number.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Tcp => IPPROTO_TCP,
            Self::Udp => IPPROTO_UDP,
        }
    }
}

/// Kind of a health check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CheckType {
    None,
    Connect,
    SendExpect,
    Http,
}

/// Kind of a track.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TrackType {
    Link,
    Gateway,
    Script,
}

/// Kind of failback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FailbackWord {
    Auto,
    Manual,
}

/// A value that is one of a few words.
macro_rules! words {
    ($($type:ident: $($word:literal => $value:expr),+;)+) => {
        $(
            impl Scalar for $type {
                fn expected() -> String {
                    let words = [$(concat!("\"", $word, "\"")),+];
                    format!("one of {}", words.join(", "))
                }

                fn from_value(value: &DeValue<'_>) -> Option<Self> {
                    match value.as_str()? {
                        $($word => Some($value),)+
                        _ => None,
                    }
                }
            }
        )+
    };
}

words! {
    Protocol: "tcp" => Self::Tcp, "udp" => Self::Udp;
    Scheduler: "rr" => Self::RoundRobin, "wrr" => Self::WeightedRoundRobin, "sh" => Self::SourceHash,
        "mh" => Self::Maglev;
    Method: "nat" => Self::Nat, "direct" => Self::Direct;
    CheckType: "connect" => Self::Connect, "send_expect" => Self::SendExpect, "http" => Self::Http, "none" => Self::None;
    TrackType: "link" => Self::Link, "gateway" => Self::Gateway, "script" => Self::Script;
    FailbackWord: "auto" => Self::Auto, "manual" => Self::Manual;
    AnnounceForm: "both" => Self::Both, "request" => Self::Request, "reply" => Self::Reply;
    BpfLog: "off" => Self::Off, "warn" => Self::Warn, "info" => Self::Info, "debug" => Self::Debug;
}
