//! The table of last hops is kept from filling up. The program adds the neighbours that clients' packets come from, and what
//! the peer tells adds those that came to the peer; here those leave that no connection names.

use lb_common::{LAST_HOPS, LastHop, SharedHop};

/// Numbers of last hops that connections name.
#[derive(Clone, Debug)]
pub struct Used(Vec<bool>);

impl Default for Used {
    fn default() -> Self {
        Self(vec![false; LAST_HOPS])
    }
}

impl Used {
    /// Adds a number.
    pub fn add(&mut self, number: u16) {
        if let Some(used) = self.0.get_mut(usize::from(number)) {
            *used = true;
        }
    }

    fn contains(&self, number: usize) -> bool {
        self.0.get(number).copied().unwrap_or(false)
    }
}

/// Places that are tried for a neighbour, as in the program (lb-ebpf/src/last_hops.rs).
const PROBES: usize = 8;

/// The number of a neighbour, which is added where it is new; 0 where there is no room. `secret` is the first word of the flow
/// table's key: where the program looks for it depends on that too.
pub fn number_of(hops: &[SharedHop], hop: &LastHop, secret: u64) -> u16 {
    let start = hop.start(secret);
    let indices = (start..start + PROBES).map(|index| index & (LAST_HOPS - 1)).filter(|index| *index != 0);
    for index in indices {
        let Some(entry) = hops.get(index) else { continue };
        if entry.read() == *hop || entry.add(*hop) {
            return u16::try_from(index).unwrap_or(0);
        }
    }
    0
}

/// Lets go of a virtual MAC address on an interface: what goes back to neighbours there comes from `own` from now on. The switch
/// would take the virtual one for this router's otherwise.
pub fn let_go(hops: &[SharedHop], ifindex: u32, virtual_mac: [u8; 6], own: [u8; 6]) {
    for hop in hops {
        let seen = hop.read();
        if seen.is_known() && (seen.ifindex(), seen.local_mac()) == (ifindex, virtual_mac) {
            hop.set_local_mac(seen, own);
        }
    }
}

/// Frees entries, once more than half of the table is taken. `used` is what a survey of the flow table has just found.
///
/// In two steps, at least a survey apart: a neighbour leaves, so that no new connection gets its number, and its entry is
/// free only when none has got it just before. One that has asks the routing table meanwhile, until its client's next packet.
pub fn sweep(hops: &[SharedHop], used: &Used) {
    let taken = hops.iter().filter(|hop| hop.read() != LastHop::default()).count();
    let crowded = taken * 2 > hops.len();
    let unused = hops.iter().enumerate().filter(|(number, _)| !used.contains(*number));
    for (_, hop) in unused {
        if hop.read() == LastHop::LEAVING {
            hop.free();
        } else if crowded && hop.read().is_known() {
            hop.leave();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_has_one_number_and_a_full_table_none() {
        let hops: Vec<SharedHop> = (0..LAST_HOPS).map(|_| SharedHop::default()).collect();
        let neighbour = |last| LastHop::new(2, [2, 0, 0, 0, 0, last], [6; 6]);
        let numbers = [1, 2, 1].map(|last| number_of(&hops, &neighbour(last), 77));
        assert!(numbers[0] != 0 && numbers[0] == numbers[2] && numbers[0] != numbers[1], "{numbers:?}");
        assert_eq!(hops[usize::from(numbers[1])].read(), neighbour(2));
        hops.iter().for_each(|hop| hop.set(neighbour(9)));
        assert_eq!(number_of(&hops, &neighbour(1), 77), 0);
    }

    #[test]
    fn a_table_with_room_is_left_alone() {
        let hops = table(4);
        sweep(&hops, &Used::default());
        assert_eq!(known(&hops), [1, 2, 3, 4]);
    }

    #[test]
    fn neighbours_that_nobody_names_leave_before_they_are_forgotten() {
        let hops = table(6);
        let mut used = Used::default();
        used.add(2);
        sweep(&hops, &used);
        assert_eq!(known(&hops), [2]);
        assert_eq!(free(&hops), 2, "nobody takes the place of one that is leaving");
        // A connection was made in the moment before.
        used.add(5);
        sweep(&hops, &used);
        assert_eq!((known(&hops), free(&hops)), (vec![2], 6));
        sweep(&hops, &Used::default());
        assert_eq!((known(&hops), free(&hops)), (vec![2], 7), "it has gone on by another number");
    }

    #[test]
    fn a_virtual_mac_is_let_go_on_its_interface_alone() {
        let hops: Vec<SharedHop> = (0..4).map(|_| SharedHop::default()).collect();
        let (neighbour, own, virtual_mac) = ([2; 6], [4; 6], [0, 0, 0x5e, 0, 1, 51]);
        let before = [(7, virtual_mac), (8, virtual_mac), (7, [6; 6])];
        for (hop, (ifindex, local)) in hops[1..].iter().zip(before) {
            hop.set(LastHop::new(ifindex, neighbour, local));
        }
        let_go(&hops, 7, virtual_mac, own);
        let after = [(7, own), (8, virtual_mac), (7, [6; 6])];
        let expected = after.map(|(ifindex, local)| LastHop::new(ifindex, neighbour, local));
        assert_eq!(hops.iter().map(SharedHop::read).collect::<Vec<_>>()[1..], expected);
        assert_eq!(hops[0].read(), LastHop::default());
    }

    /// A table of eight with `taken` neighbours, from number 1 on.
    fn table(taken: u32) -> Vec<SharedHop> {
        let hops: Vec<SharedHop> = (0..8).map(|_| SharedHop::default()).collect();
        for (hop, ifindex) in hops[1..].iter().zip(1..=taken) {
            hop.set(LastHop::new(ifindex, [2; 6], [6; 6]));
        }
        hops
    }

    fn known(hops: &[SharedHop]) -> Vec<usize> {
        (0..hops.len()).filter(|number| hops[*number].read().is_known()).collect()
    }

    fn free(hops: &[SharedHop]) -> usize {
        hops.iter().filter(|hop| hop.read() == LastHop::default()).count()
    }
}
