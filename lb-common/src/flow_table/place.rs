//! Where in the array a connection may stand.

use super::{
    access::{RawBucket, WAYS},
    entry::Client,
};

/// Buckets of a page of memory: both buckets of a connection stand in one, so that the processor translates one address. A table
/// of fewer is one piece.
const PAGE: u32 = 4096 / size_of::<RawBucket>() as u32;

/// The key of the hash: random, made when the table is made, and kept with it. Without it nobody can tell which
/// connections share a bucket.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashKey(pub [u64; 3]);

impl HashKey {
    /// A key of these random numbers. The multiplier is odd, so that no two products become the same.
    pub const fn new(random: [u64; 3]) -> Self {
        let [first, second, third] = random;
        Self([first, second, third | 1])
    }
}

/// The two buckets of a connection, by index; always different ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    /// Tried first.
    pub first: u32,
    /// Tried next.
    pub second: u32,
}

/// Buckets of a table for `flows` connections, at least two. Every other entry is in use when so many connections stand in it:
/// a simulation of 2^20 connections then finds both buckets full for one connection in a million, and the second bucket in
/// use for 5 of 100.
pub const fn bucket_count(flows: u32) -> u32 {
    let buckets = (flows as u64 * 2).div_ceil(WAYS as u64);
    let buckets = if buckets > PAGE as u64 { buckets.next_multiple_of(PAGE as u64) } else { buckets };
    if buckets < 2 { 2 } else { buckets as u32 }
}

/// Connections for which a table of `buckets` buckets is made: at least as many as [`bucket_count`] was asked for.
pub const fn bucket_capacity(buckets: u32) -> u32 {
    let flows = buckets as u64 * WAYS as u64 / 2;
    if flows > u32::MAX as u64 { u32::MAX } else { flows as u32 }
}

impl Places {
    /// The places of `client`'s connections of `protocol` in a table of `buckets` buckets, at least two.
    #[inline(always)]
    pub const fn of(client: Client, protocol: u8, key: &HashKey, buckets: u32) -> Self {
        let (first, rest) = scale(hash(client, protocol, key), buckets);
        if !buckets.is_multiple_of(PAGE) {
            // Between 1 and the last bucket further on, so that it is another one.
            let (step, _) = scale(rest, buckets - 1);
            let second = first + 1 + step;
            return Self { first, second: if second >= buckets { second - buckets } else { second } };
        }
        let (step, _) = scale(rest, PAGE - 1);
        Self { first, second: first & !(PAGE - 1) | (first + 1 + step) & (PAGE - 1) }
    }
}

/// From the whole range of `hash` to `0..range`, by multiplication (Lemire, "Fast random integer generation in an
/// interval", 2019, section 3); and what the hash says beyond that, over the whole range again.
#[inline(always)]
const fn scale(hash: u32, range: u32) -> (u32, u32) {
    let product = hash as u64 * range as u64;
    ((product >> 32) as u32, product as u32)
}

/// Address and port to one number, by two multiplications. The first alone ("pair-multiply-shift": Thorup, "High Speed Hashing
/// for Integers and Strings", 2015, section 3.3) lays neighbouring ports at regular distances, and so many of them in few
/// buckets; folding and the second one end that. Addresses and ports are taken as they stand in a packet.
#[inline(always)]
const fn hash(client: Client, protocol: u8, key: &HashKey) -> u32 {
    let HashKey([first, second, third]) = *key;
    let address = u32::from_ne_bytes(client.address()) as u64;
    let port = client.port().to_be() as u64 | (protocol as u64) << 16;
    let product = address.wrapping_add(first).wrapping_mul(port.wrapping_add(second));
    ((product ^ product >> 32).wrapping_mul(third) >> 32) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: HashKey = HashKey::new([0x243f_6a88_85a3_08d3, 0x1319_8a2e_0370_7344, 0xa409_3822_299f_31d0]);

    #[test]
    fn both_places_are_different_buckets_of_the_table() {
        for buckets in [2, 3, 31, 32, 64, 1000, 1 << 18] {
            for port in 0..=u16::MAX {
                let Places { first, second } = Places::of(client(1, port), 6, &KEY, buckets);
                assert!(first < buckets && second < buckets && first != second, "{buckets} {port}");
            }
        }
    }

    #[test]
    fn the_table_has_room_for_what_was_asked_with_some_to_spare() {
        assert_eq!(bucket_count(0), 2);
        assert_eq!(bucket_count(1 << 20), 1 << 18);
        let bytes = u64::from(bucket_count(1 << 20)) * 128;
        assert!(bytes <= 40 << 20, "{bytes} bytes for 2^20 connections");
        for flows in [10, 1000, 1 << 20, u32::MAX - 4 * PAGE] {
            let capacity = bucket_capacity(bucket_count(flows));
            assert!((flows..flows.saturating_add(4 * PAGE)).contains(&capacity), "{flows}: {capacity}");
        }
    }

    #[test]
    fn a_table_at_its_limit_has_had_room_for_nearly_all() {
        let flows = 1_u32 << 20;
        let buckets = bucket_count(flows);
        let mut taken = vec![0_u8; buckets as usize];
        let (mut second, mut refused) = (0, 0);
        for number in 0..flows {
            let client = Client::new((0x0b00_0000 + (number >> 14)).to_be_bytes(), number as u16 & 0x3fff);
            let places = Places::of(client, 6, &KEY, buckets);
            let [first_taken, second_taken] =
                [places.first, places.second].map(|place| taken[place as usize]);
            // As `insert` chooses: six entries of the first bucket, then the second, then what is left of the first.
            let place = match (first_taken, second_taken) {
                (0..6, _) => places.first,
                (_, 0..8) => {
                    second += 1;
                    places.second
                }
                (6..8, _) => places.first,
                _ => {
                    refused += 1;
                    continue;
                }
            };
            taken[place as usize] += 1;
        }
        // One in a million is expected to find no room, and 5 of 100 to stand in their second bucket.
        assert!(refused <= 10, "{refused} of {flows}");
        assert!((flows / 25..flows / 15).contains(&second), "{second} of {flows}");
    }

    #[test]
    fn neighbouring_clients_are_spread_evenly() {
        let buckets = 1024;
        for take in [|places: Places| places.first, |places: Places| places.second] {
            let mut load = vec![0_u32; buckets as usize];
            for host in 0..16 {
                for port in 0..4096 {
                    load[take(Places::of(client(host, port), 6, &KEY, buckets)) as usize] += 1;
                }
            }
            // 64 on average, so a standard deviation of 8: six of them.
            assert!(load.iter().all(|&n| (16..=112).contains(&n)), "{:?}", load.iter().minmax());
        }
    }

    #[test]
    fn another_key_puts_the_same_connections_together_with_others() {
        let other = HashKey::new([KEY.0[0] ^ 1, KEY.0[1].rotate_left(7), KEY.0[2].rotate_left(9)]);
        let together = |key: &HashKey| {
            let places: Vec<u32> =
                (0..2048).map(|port| Places::of(client(1, port), 6, key, 64).first).collect();
            (1..2048).filter(|&port| places[port] == places[0]).collect::<Vec<_>>()
        };
        let (mine, theirs) = (together(&KEY), together(&other));
        let both = mine.iter().filter(|port| theirs.contains(port)).count();
        assert!(mine.len() > 8 && both * 4 < mine.len(), "{both} of {}", mine.len());
    }

    fn client(host: u8, port: u16) -> Client {
        Client::new([198, 51, 100, host], port)
    }

    trait MinMax: Iterator {
        fn minmax(self) -> Option<(Self::Item, Self::Item)>;
    }

    impl<'a, I: Iterator<Item = &'a u32> + Clone> MinMax for I {
        fn minmax(self) -> Option<(&'a u32, &'a u32)> {
            Some((self.clone().min()?, self.max()?))
        }
    }
}
