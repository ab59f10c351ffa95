//! The only `unsafe impl Pod`.

use crate::*;

macro_rules! pod {
    ($($name:ident)+) => {
        $(
            // SAFETY: `repr(C)`, plain integers and octet arrays, no padding (its size is asserted beside its
            // definition), every bit pattern valid.
            unsafe impl aya::Pod for $name {}
        )+
    };
}

use flow_table::{ChangeMarks, HashKey, RawBucket, Timeouts};

pod!(AddressFilter CachedPeer CachedService ChangeMarks Counter Floating HashKey LastHop Lease PeerHop RawBucket Real RealCounters RealKey Ring RouterState Service ServiceKey Timeouts VirtualMac VirtualMacKey);
