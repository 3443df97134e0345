//! Failed logins, counted by address and minute.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// So many failures a minute and address are answered 401; the next ones 429.
pub(crate) const FAILURES: u32 = 20;
/// How long a count is kept.
pub(crate) const WINDOW: Duration = Duration::from_secs(60);
/// Addresses remembered at once; beyond it the oldest windows go first.
const ADDRESSES: usize = 10_000;

/// Counts failures by address. A right key always passes: keys hold 256 random bits, so what is throttled is noise,
/// and one misconfigured client must not lock out the others behind the same proxy.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<HashMap<IpAddr, Count>>);

#[derive(Debug, Clone, Copy)]
struct Count {
    since: Instant,
    failures: u32,
}

impl Throttle {
    /// Notes a failure. `Err` says how many seconds to wait, when there were too many in this minute.
    pub(crate) fn failed(&self, address: IpAddr, now: Instant) -> Result<(), u64> {
        let address = group(address);
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= ADDRESSES && !counts.contains_key(&address) {
            counts.retain(|_, count| now.duration_since(count.since) < WINDOW);
            if counts.len() >= ADDRESSES
                && let Some(oldest) = counts.iter().min_by_key(|(_, count)| count.since).map(|(address, _)| *address)
            {
                counts.remove(&oldest);
            }
        }
        let count = counts.entry(address).or_insert(Count { since: now, failures: 0 });
        let age = now.duration_since(count.since);
        if age >= WINDOW {
            *count = Count { since: now, failures: 0 };
        }
        count.failures = count.failures.saturating_add(1);
        if count.failures > FAILURES {
            return Err(WINDOW.saturating_sub(now.duration_since(count.since)).as_secs().max(1));
        }
        Ok(())
    }

    /// Takes one failure back, which turned out to be none.
    pub(crate) fn succeeded(&self, address: IpAddr) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&group(address)) {
            count.failures = count.failures.saturating_sub(1);
        }
    }
}

/// One subscriber holds a whole /64 of IPv6, so that is what is counted.
pub(super) fn group(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => match v6.to_ipv4_mapped() {
            Some(v4) => v4.into(),
            None => std::net::Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX)).into(),
        },
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_twenty_first_failure_waits_and_the_minute_ends() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let address = IpAddr::from([192, 0, 2, 1]);
        for _ in 0..FAILURES {
            assert_eq!(throttle.failed(address, start), Ok(()));
        }
        assert_eq!(throttle.failed(address, start + Duration::from_secs(20)), Err(40));
        assert_eq!(throttle.failed(IpAddr::from([192, 0, 2, 2]), start), Ok(()));
        assert_eq!(throttle.failed(address, start + WINDOW), Ok(()));
        for _ in 0..FAILURES * 2 {
            assert_eq!(throttle.failed(address, start + WINDOW), Ok(()));
            throttle.succeeded(address);
        }
    }

    #[test]
    fn memory_is_bounded_and_a_subnet_is_one() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        for n in 0..(ADDRESSES as u32 + 50) {
            let _ = throttle.failed(IpAddr::from(n.to_be_bytes()), start);
        }
        assert!(throttle.0.lock().unwrap().len() <= ADDRESSES);
        let a: IpAddr = "2001:db8::1".parse().unwrap();
        let b: IpAddr = "2001:db8::ffff:2".parse().unwrap();
        assert_eq!(group(a), group(b));
        assert_eq!(group("::ffff:192.0.2.1".parse().unwrap()), IpAddr::from([192, 0, 2, 1]));
    }
}
