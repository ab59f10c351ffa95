//! What the data plane counts, as the API shows it.

use lb_common::{Counter, RealCounters, Reason};

use super::*;

#[tokio::test]
async fn counters_connections_and_rates_show() {
    let rig = Rig::start(unchecked()).await;
    let slot = *rig.datapath.state().tables.slots().iter().find(|(_, real)| **real == id(12)).unwrap().0;
    connect(&rig.datapath, slot);
    // A steady stream, faster than any rounding, for as long as it takes to be seen.
    let mut packets = 0;
    let status = loop {
        packets += 1000;
        let counters = RealCounters { connections: 5, in_packets: packets, ..RealCounters::default() };
        rig.datapath.state().real_counters.insert(slot, counters);
        let status = rig.status().await;
        if status.services[0].reals[1].rates.in_packets > 0.0 {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let [idle, busy] = &status.services[0].reals[..] else { panic!("two servers") };
    assert_eq!((busy.active_connections, busy.inactive_connections), (1, 0));
    assert_eq!((busy.totals.connections, busy.totals.in_packets), (5, packets));
    assert_eq!((idle.active_connections, idle.totals.in_packets), (0, 0));
    assert!(idle.rates.in_packets == 0.0);

    let connections = rig.handle.connections().await.unwrap();
    assert_eq!(connections.len(), 1);
    assert_eq!(connections[0].source, "198.51.100.7:40000".parse().unwrap());
    assert_eq!(connections[0].destination, "127.0.0.12:1".parse().unwrap());
}

#[tokio::test]
async fn reasons_show() {
    let rig = Rig::start(unchecked()).await;
    rig.datapath.state().reasons.insert(Reason::NatIn, Counter { packets: 3, bytes: 180 });
    let stats = rig.handle.stats().await.unwrap();
    assert_eq!(stats.reasons.len(), Reason::ALL.len());
    let seen: Vec<_> = stats.reasons.iter().filter(|one| one.packets > 0).collect();
    assert_eq!(seen.len(), 1);
    assert_eq!((seen[0].reason.as_str(), seen[0].verdict.as_str(), seen[0].bytes), ("nat_in", "send", 180));
}
