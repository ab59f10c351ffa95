//! The floors: one operation of the kernel, on a key made of the frame's client. Where an operation takes few nanoseconds, a
//! second program does it eight times.

use aya_ebpf::{
    bindings::xdp_action,
    btf_maps::{Array, HashMap, LruHashMap},
    macros::{btf_map, xdp},
    programs::XdpContext,
};

/// A key of twelve bytes: a client, and a number that makes eight of it.
#[repr(C)]
#[derive(Clone, Copy)]
struct Key {
    address: u32,
    port: u32,
    number: u32,
}

/// A key as large as an IPv4 connection.
#[repr(C)]
#[derive(Clone, Copy)]
struct Connection {
    key: Key,
    rest: u32,
}

#[btf_map]
static FLOOR_ARRAY: Array<u64, 256> = Array::new();

#[btf_map]
static FLOOR_HASH: HashMap<Key, u64, 1048576> = HashMap::new();

#[btf_map]
static FLOOR_LRU: LruHashMap<Connection, [u64; 7], 262144> = LruHashMap::new();

/// Filled before anything is measured. Resized by the bench.
#[btf_map]
static FLOOR_LRU_FULL: LruHashMap<Connection, [u64; 7], 65536> = LruHashMap::new();

/// Does nothing: what the harness itself costs.
#[xdp(frags)]
fn empty(_: XdpContext) -> u32 {
    xdp_action::XDP_PASS
}

/// One look-up in an array.
#[xdp(frags)]
fn array_1(ctx: XdpContext) -> u32 {
    array::<1>(&ctx)
}

/// Eight.
#[xdp(frags)]
fn array_8(ctx: XdpContext) -> u32 {
    array::<8>(&ctx)
}

/// One look-up in a hash.
#[xdp(frags)]
fn hash_1(ctx: XdpContext) -> u32 {
    hash::<1>(&ctx)
}

/// Eight.
#[xdp(frags)]
fn hash_8(ctx: XdpContext) -> u32 {
    hash::<8>(&ctx)
}

/// Puts the client's eight keys into the hash.
#[xdp(frags)]
fn hash_fill(ctx: XdpContext) -> u32 {
    fill_hash::<8>(&ctx)
}

/// Puts the first of the client's keys into the hash.
#[xdp(frags)]
fn hash_fill_one(ctx: XdpContext) -> u32 {
    fill_hash::<1>(&ctx)
}

/// One look-up in an LRU hash.
#[xdp(frags)]
fn lru_1(ctx: XdpContext) -> u32 {
    lru::<1>(&ctx)
}

/// Eight.
#[xdp(frags)]
fn lru_8(ctx: XdpContext) -> u32 {
    lru::<8>(&ctx)
}

/// Puts the client's keys into the LRU hash.
#[xdp(frags)]
fn lru_fill(ctx: XdpContext) -> u32 {
    for number in 0..8 {
        let Some(key) = key(&ctx, number) else { return xdp_action::XDP_ABORTED };
        if FLOOR_LRU.insert(Connection { key, rest: 0 }, [1; 7], 0).is_err() {
            return xdp_action::XDP_ABORTED;
        }
    }
    xdp_action::XDP_PASS
}

/// One insert into an LRU hash.
#[xdp(frags)]
fn lru_insert(ctx: XdpContext) -> u32 {
    let Some(key) = key(&ctx, 0) else { return xdp_action::XDP_ABORTED };
    match FLOOR_LRU_FULL.insert(Connection { key, rest: 0 }, [1; 7], 0) {
        Ok(()) => xdp_action::XDP_PASS,
        Err(_) => xdp_action::XDP_ABORTED,
    }
}

#[inline(always)]
fn fill_hash<const TIMES: u32>(ctx: &XdpContext) -> u32 {
    for number in 0..TIMES {
        let Some(key) = key(ctx, number) else { return xdp_action::XDP_ABORTED };
        if FLOOR_HASH.insert(key, 1, 0).is_err() {
            return xdp_action::XDP_ABORTED;
        }
    }
    xdp_action::XDP_PASS
}

#[inline(always)]
fn array<const TIMES: u32>(ctx: &XdpContext) -> u32 {
    for number in 0..TIMES {
        let Some(key) = key(ctx, number) else { return xdp_action::XDP_ABORTED };
        let Some(value) = FLOOR_ARRAY.get_ptr((key.port + number) & 255) else {
            return xdp_action::XDP_ABORTED;
        };
        // SAFETY: a value of the map is valid for the whole run.
        if unsafe { value.read_volatile() } != 0 {
            return xdp_action::XDP_ABORTED;
        }
    }
    xdp_action::XDP_PASS
}

#[inline(always)]
fn hash<const TIMES: u32>(ctx: &XdpContext) -> u32 {
    for number in 0..TIMES {
        let Some(key) = key(ctx, number) else { return xdp_action::XDP_ABORTED };
        let Some(value) = FLOOR_HASH.get_ptr(key) else { return xdp_action::XDP_ABORTED };
        // SAFETY: as in `array`.
        if unsafe { value.read_volatile() } != 1 {
            return xdp_action::XDP_ABORTED;
        }
    }
    xdp_action::XDP_PASS
}

#[inline(always)]
fn lru<const TIMES: u32>(ctx: &XdpContext) -> u32 {
    for number in 0..TIMES {
        let Some(key) = key(ctx, number) else { return xdp_action::XDP_ABORTED };
        let Some(value) = FLOOR_LRU.get_ptr(Connection { key, rest: 0 }) else {
            return xdp_action::XDP_ABORTED;
        };
        // SAFETY: as in `array`.
        if unsafe { value.cast::<u64>().read_volatile() } != 1 {
            return xdp_action::XDP_ABORTED;
        }
    }
    xdp_action::XDP_PASS
}

/// The key of the frame's client.
#[inline(always)]
fn key(ctx: &XdpContext, number: u32) -> Option<Key> {
    let (data, end) = (ctx.data(), ctx.data_end());
    if data + 38 > end {
        return None;
    }
    // SAFETY: within the frame.
    unsafe {
        let address = ((data + 26) as *const u32).read_volatile();
        let port = ((data + 34) as *const u16).read_volatile() as u32;
        Some(Key { address, port, number })
    }
}
