//! Rates from counters: the difference of two samples over the time between them, smoothed as the kernel's IPVS
//! estimator does (`ip_vs_est.c`: a new sample counts a quarter).

use std::{collections::BTreeMap, time::Duration};

use lb_common::RealCounters;

use crate::{api::types::Rates, plan::RealId};

/// Weight of a new sample.
const ALPHA: f64 = 0.25;

/// The rates of every real server.
#[derive(Debug, Default)]
pub struct Estimator {
    last: BTreeMap<RealId, RealCounters>,
    rates: BTreeMap<RealId, Rates>,
}

impl Estimator {
    /// Takes a sample of all counters, `elapsed` after the one before. Servers that are absent are forgotten.
    pub fn sample(&mut self, counters: &BTreeMap<RealId, RealCounters>, elapsed: Duration) {
        let seconds = elapsed.as_secs_f64();
        self.rates = counters
            .iter()
            .map(|(id, now)| {
                let rates = match self.last.get(id) {
                    Some(last) if seconds > 0.0 => smooth(
                        self.rates.get(id).copied().unwrap_or_default(),
                        per_second(last, now, seconds),
                    ),
                    _ => self.rates.get(id).copied().unwrap_or_default(),
                };
                (*id, rates)
            })
            .collect();
        self.last.clone_from(counters);
    }

    /// Rates of one real server; zero before its second sample.
    pub fn rates(&self, id: &RealId) -> Rates {
        self.rates.get(id).copied().unwrap_or_default()
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate above 2^53 per second does not occur")]
fn per_second(last: &RealCounters, now: &RealCounters, seconds: f64) -> Rates {
    // A counter that went back belongs to a slot with a new owner.
    let rate = |last: u64, now: u64| now.saturating_sub(last) as f64 / seconds;
    Rates {
        connections: rate(last.connections, now.connections),
        in_packets: rate(last.in_packets, now.in_packets),
        out_packets: rate(last.out_packets, now.out_packets),
        in_bytes: rate(last.in_bytes, now.in_bytes),
        out_bytes: rate(last.out_bytes, now.out_bytes),
    }
}

fn smooth(old: Rates, new: Rates) -> Rates {
    let mix = |old: f64, new: f64| {
        let mixed = old + ALPHA * (new - old);
        // An idle server shows 0, not the tail of an exponential.
        if mixed < 0.05 { 0.0 } else { mixed }
    };
    Rates {
        connections: mix(old.connections, new.connections),
        in_packets: mix(old.in_packets, new.in_packets),
        out_packets: mix(old.out_packets, new.out_packets),
        in_bytes: mix(old.in_bytes, new.in_bytes),
        out_bytes: mix(old.out_bytes, new.out_bytes),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use lb_common::{IPPROTO_TCP, ServiceKey};

    use super::*;

    #[test]
    fn a_steady_stream_converges_to_its_rate() {
        let mut estimator = Estimator::default();
        for second in 0..60_u64 {
            estimator.sample(&counters(second * 100), Duration::from_secs(1));
        }
        let rates = estimator.rates(&id());
        assert!((rates.connections - 100.0).abs() < 0.1, "{rates:?}");
    }

    #[test]
    fn an_idle_server_comes_to_exactly_zero() {
        let mut estimator = Estimator::default();
        estimator.sample(&counters(0), Duration::from_secs(1));
        estimator.sample(&counters(1000), Duration::from_secs(1));
        for _ in 0..60 {
            estimator.sample(&counters(1000), Duration::from_secs(1));
        }
        assert_eq!(estimator.rates(&id()), Rates::default());
    }

    #[test]
    fn a_counter_that_goes_back_is_no_negative_rate() {
        let mut estimator = Estimator::default();
        estimator.sample(&counters(1000), Duration::from_secs(1));
        estimator.sample(&counters(10), Duration::from_secs(1));
        assert_eq!(estimator.rates(&id()), Rates::default());
    }

    #[test]
    fn a_server_that_is_gone_is_forgotten() {
        let mut estimator = Estimator::default();
        estimator.sample(&counters(0), Duration::from_secs(1));
        estimator.sample(&counters(1000), Duration::from_secs(1));
        estimator.sample(&BTreeMap::new(), Duration::from_secs(1));
        assert_eq!(estimator.rates(&id()), Rates::default());
    }

    fn id() -> RealId {
        RealId {
            service: ServiceKey::new(IPPROTO_TCP, [192, 0, 2, 10], 80),
            address: Ipv4Addr::new(10, 0, 0, 1),
            port: 80,
        }
    }

    fn counters(connections: u64) -> BTreeMap<RealId, RealCounters> {
        BTreeMap::from([(id(), RealCounters { connections, ..RealCounters::default() })])
    }
}
