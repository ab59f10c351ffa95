//! MAC addresses as people write them.

use std::{fmt, str::FromStr};

/// A MAC address, its octets in the order of the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

/// A text that is no MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not six octets of two hexadecimal digits with colons between them")]
pub struct NotAMac;

impl Mac {
    /// The virtual MAC address of a virtual router over IPv4 with this identifier (RFC 9568 7.3).
    #[must_use]
    pub const fn of_virtual_router(id: u8) -> Self {
        Self([0, 0, 0x5e, 0, 1, id])
    }

    /// Whether it is one interface's: neither a group's (IEEE 802 8.2.2) nor all zero.
    #[must_use]
    pub const fn is_unicast(self) -> bool {
        let Self([first, second, third, fourth, fifth, sixth]) = self;
        first & 1 == 0 && first | second | third | fourth | fifth | sixth != 0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for Mac {
    type Err = NotAMac;

    fn from_str(text: &str) -> Result<Self, NotAMac> {
        let mut octets = [0; 6];
        let mut words = text.split(':');
        for octet in &mut octets {
            let word = words.next().filter(|word| word.len() == 2).ok_or(NotAMac)?;
            // `from_str_radix` takes a sign too.
            let is_hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
            *octet = u8::from_str_radix(word, 16).ok().filter(|_| is_hex).ok_or(NotAMac)?;
        }
        if words.next().is_some() { Err(NotAMac) } else { Ok(Self(octets)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_reads_back() {
        let mac = Mac::of_virtual_router(51);
        assert_eq!(mac.to_string(), "00:00:5e:00:01:33");
        assert_eq!("00:00:5E:00:01:33".parse(), Ok(mac));
        for text in ["", "00:00:5e:00:01", "00:00:5e:00:01:33:00", "0:0:5e:0:1:33", "00:00:5e:00:01:+3"] {
            assert_eq!(text.parse::<Mac>(), Err(NotAMac), "{text}");
        }
    }

    #[test]
    fn groups_and_zero_are_no_interface() {
        for (mac, is_unicast) in [
            (Mac::of_virtual_router(1), true),
            (Mac([2, 0, 0, 0, 0, 0]), true),
            (Mac([0; 6]), false),
            (Mac([0xff; 6]), false),
            (Mac([1, 0, 0x5e, 0, 0, 18]), false),
        ] {
            assert_eq!(mac.is_unicast(), is_unicast, "{mac}");
        }
    }
}
