//! Why a packet met the end it met. The entry point of the program alone turns a reason into an XDP action.

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To the kernel, untouched but for a virtual MAC address that it is sent to.
    Pass,
    /// Gone.
    Drop,
    /// Rewritten and sent, by the interface it came in on or by another one.
    Send,
}

macro_rules! reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $number:literal, $verdict:ident, $text:literal;)+) => {
        /// Every reason; its number is its slot in the counter map.
        #[repr(u32)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason {
            $($(#[doc = $doc])+ $name = $number,)+
        }

        impl Reason {
            /// Every reason in the order of its number.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// What becomes of the packet.
            #[inline(always)]
            pub const fn verdict(self) -> Verdict {
                match self { $(Self::$name => Verdict::$verdict,)+ }
            }

            /// The name in `lbctl` and in metrics.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)+ }
            }
        }
    };
}

reasons! {
    /// Not IPv4: ARP, IPv6 and the rest.
    NotIpv4 = 0, Pass, "not_ipv4";
    /// Neither a flow nor a service of ours.
    NotOurs = 1, Pass, "not_ours";
    /// IPv4, but neither TCP nor UDP.
    OtherProtocol = 2, Pass, "other_protocol";
    /// A fragment: ports are not in every fragment, so the kernel gets them all.
    Fragment = 3, Pass, "fragment";
    /// For an address of the router itself.
    Local = 4, Pass, "local";
    /// A header claims more than the packet holds, or contradicts itself.
    Malformed = 5, Drop, "malformed";
    /// The time to live would reach zero; the kernel answers.
    TtlExceeded = 6, Pass, "ttl_exceeded";
    /// Client to real server by NAT.
    NatIn = 7, Send, "nat_in";
    /// Real server to client by NAT.
    NatOut = 8, Send, "nat_out";
    /// Client to real server by direct routing.
    Direct = 9, Send, "direct";
    /// A connection this router does not know, sent to the peer that may.
    SecondChance = 10, Send, "second_chance";
    /// A TCP packet of no known connection, answered with RST.
    UnknownReset = 11, Send, "unknown_reset";
    /// A packet of no known connection that cannot be answered.
    UnknownDropped = 12, Drop, "unknown_dropped";
    /// A new connection, and no real server may take it.
    NoServer = 13, Drop, "no_server";
    /// The next hop of the real server is not resolved.
    NoNextHop = 14, Drop, "no_next_hop";
    /// The way back to the client is not known.
    NoReturnPath = 15, Drop, "no_return_path";
    /// The flow table did not take the connection.
    FlowTableFull = 16, Drop, "flow_table_full";
    /// Two connections of one client would look the same to the real server.
    PortConflict = 17, Drop, "port_conflict";
    /// A map holds what it must not: the daemon's fault.
    BadTable = 18, Drop, "bad_table";
    /// As [`NoServer`](Self::NoServer), for TCP: answered with RST, so that the client fails at once.
    NoServerReset = 19, Send, "no_server_reset";
    /// In a VLAN, and its way leaves by another interface: the kernel hands it to the interface of that VLAN.
    OtherVlan = 20, Pass, "other_vlan";
    /// For a virtual service, but addressed to another host of the segment: the interface listens to everything.
    Overheard = 21, Drop, "overheard";
    /// Another processor made the same connection at the same moment; the next packet finds it.
    Contended = 22, Drop, "contended";
    /// An ARP request for an address that moves with the active role, and the lease has run out: the peer may have it now.
    LeaseExpired = 23, Drop, "lease_expired";
    /// An ARP request for an address with a virtual MAC address, answered with that.
    ArpAnswered = 24, Send, "arp_answered";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_slots_in_order() {
        for (slot, reason) in Reason::ALL.iter().enumerate() {
            assert_eq!(*reason as usize, slot, "{}", reason.name());
        }
    }
}
