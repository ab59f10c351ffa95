//! Which real server takes a new connection: the slots of a service's ring.

use core::{
    hint::black_box,
    intrinsics::{AtomicOrdering, atomic_xadd},
};

use lb_common::{FlowKey, RING_SLOTS, Reason, Scheduler, Service};

use crate::{
    connection_hash, maglev_hash,
    maps::{POSITIONS, RINGS},
    source_hash,
};

const _: () = assert!(RING_SLOTS.is_power_of_two());

/// The slots of one ring, in the order in which a new connection tries them.
pub(crate) struct Slots<'a> {
    service: &'a Service,
    client: [u8; 4],
    /// The first slot of `sh` and `mh`, whose further ones are hashes too; the others ask the ring's position each time.
    hashed: Option<u32>,
}

impl<'a> Slots<'a> {
    /// The slots of `service` for `client`.
    ///
    /// # Errors
    /// `NoServer` where the ring is empty, `BadTable` where the service makes no sense.
    #[inline(always)]
    pub(crate) fn new(service: &'a Service, client: [u8; 4]) -> Result<Self, Reason> {
        if service.ring_len == 0 {
            return Err(Reason::NoServer);
        }
        if service.ring_len > RING_SLOTS as u32 {
            return Err(Reason::BadTable);
        }
        let hashed = match Scheduler::from_u8(service.scheduler).ok_or(Reason::BadTable)? {
            Scheduler::RoundRobin | Scheduler::WeightedRoundRobin => None,
            Scheduler::SourceHash => Some(source_hash::bucket(client)),
            Scheduler::Maglev => Some(maglev_hash::slot(client, 0, service.ring_len)),
        };
        Ok(Self { service, client, hashed })
    }

    /// The slots of `service` for the connection with `key`, the same for each of its packets whatever the scheduler is.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    #[inline(always)]
    pub(crate) fn hashed(service: &'a Service, key: &FlowKey) -> Result<Self, Reason> {
        let slots = Self::new(service, key.source)?;
        let hashed = slots.hashed.or(Some(connection_hash::bucket(key)));
        Ok(Self { hashed, ..slots })
    }

    /// The real server in the slot of try number `attempt`, counted from 0.
    ///
    /// # Errors
    /// `BadTable` where the ring does not exist.
    #[inline(always)]
    pub(crate) fn real(&self, attempt: u32) -> Result<u32, Reason> {
        let Service { ring, ring_len, .. } = *self.service;
        let position = match self.hashed {
            Some(first) if attempt == 0 => first as u64,
            // For `sh` too, whose clients then part as well; and the verifier would walk a difference anew for each try.
            Some(_) => maglev_hash::slot(self.client, attempt, ring_len) as u64,
            None => take_position(ring)?,
        };
        let slot = position.checked_rem(ring_len as u64).ok_or(Reason::NoServer)?;
        let ring = RINGS.get_ptr(ring).ok_or(Reason::BadTable)?;
        // The verifier knows nothing of the remainder's range; the mask, which never changes a slot, tells it.
        let slot = black_box(slot as usize) & (RING_SLOTS - 1);
        // SAFETY: the slot is within the ring, and the value of an array is valid for the whole run.
        let real = unsafe { (&raw const (*ring).slots).cast::<u16>().add(slot).read_volatile() };
        Ok(real as u32)
    }
}

/// Takes the next position of a ring. Processors that schedule at once take different ones.
#[inline(always)]
fn take_position(ring: u32) -> Result<u64, Reason> {
    // Not `Relaxed`, which LLVM 22 turns into the instruction that adds and returns nothing.
    const ORDER: AtomicOrdering = AtomicOrdering::SeqCst;
    let position = POSITIONS.get_ptr_mut(ring).ok_or(Reason::BadTable)?;
    // SAFETY: a value of the map is aligned and valid for the whole run; everybody changes it atomically.
    Ok(unsafe { atomic_xadd::<u64, u64, ORDER>(position, 1) })
}
