//! How often one address may guess.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::{Duration, Instant};

/// Wrong credentials that an address may present in a row.
const BURST: u32 = 20;
/// One more after this long.
const EACH: Duration = Duration::from_secs(3);
/// Addresses that are remembered. Only those of trunks come this far.
const ADDRESSES: usize = 1_024;

/// Failures by address.
#[derive(Debug, Default)]
pub(super) struct Throttle(HashMap<IpAddr, Failures>);

#[derive(Debug)]
struct Failures {
    count: u32,
    /// When the count was last right.
    at: Instant,
}

impl Failures {
    /// Forgives what time has forgiven.
    fn settle(&mut self, now: Instant) {
        let forgiven = u32::try_from(now.saturating_duration_since(self.at).as_millis() / EACH.as_millis()).unwrap_or(u32::MAX);
        if forgiven >= self.count {
            (self.count, self.at) = (0, now);
        } else {
            self.count -= forgiven;
            self.at += EACH * forgiven;
        }
    }
}

impl Throttle {
    /// Whether an address has to wait.
    pub(super) fn is_full(&mut self, source: IpAddr, now: Instant) -> bool {
        self.0.get_mut(&name(source)).is_some_and(|failures| {
            failures.settle(now);
            failures.count >= BURST
        })
    }

    /// One more failure of an address.
    pub(super) fn failed(&mut self, source: IpAddr, now: Instant) {
        let source = name(source);
        if self.0.len() >= ADDRESSES && !self.0.contains_key(&source) {
            self.0.retain(|_, failures| {
                failures.settle(now);
                failures.count > 0
            });
            // All of them guess: whoever failed least is forgotten.
            if self.0.len() >= ADDRESSES
                && let Some(least) = self
                    .0
                    .iter()
                    .min_by_key(|(_, failures)| failures.count)
                    .map(|(address, _)| *address)
            {
                self.0.remove(&least);
            }
        }
        let failures = self.0.entry(source).or_insert(Failures { count: 0, at: now });
        failures.settle(now);
        failures.count = (failures.count + 1).min(BURST);
    }
}

/// A subscriber of IPv6 has a /64 to choose from.
fn name(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twenty_guesses_then_one_every_three_seconds() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let (one, other): (IpAddr, IpAddr) = ("2001:db8::1".parse().unwrap(), "2001:db8:0:1::1".parse().unwrap());
        for _ in 0..BURST {
            assert!(!throttle.is_full(one, start));
            throttle.failed(one, start);
        }
        assert!(throttle.is_full("2001:db8::2".parse().unwrap(), start), "the same /64");
        assert!(!throttle.is_full(other, start));
        let later = start + EACH;
        assert!(!throttle.is_full(one, later));
        throttle.failed(one, later);
        assert!(throttle.is_full(one, later));
        assert!(!throttle.is_full(one, later + EACH * BURST));
        assert_eq!(throttle.0[&name(one)].count, 0);
    }

    #[test]
    fn memory_is_bounded() {
        let (mut throttle, start) = (Throttle::default(), Instant::now());
        let busy: IpAddr = [10, 0, 0, 1].into();
        throttle.failed(busy, start);
        throttle.failed(busy, start);
        for n in 0..3_000_u32 {
            throttle.failed(IpAddr::V4((0x0b00_0000 + n).into()), start);
        }
        assert_eq!(throttle.0.len(), ADDRESSES);
        assert_eq!(throttle.0[&busy].count, 2, "who failed most is remembered");
    }
}
