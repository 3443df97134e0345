//! How much a client may ask: a bucket each that fills evenly, told in `RateLimit-Policy` and `RateLimit`
//! (draft-ietf-httpapi-ratelimit-headers-10).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use axum::http::header::HeaderName;
use axum::http::{HeaderMap, HeaderValue};
use voxea_core::base::actor::Actor;

use super::problem::{Kind, Problem};
use super::throttle;

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
/// Clients remembered at once. Beyond it the one that was heard longest ago begins with a full bucket again.
const CLIENTS: usize = 10_000;
const MINUTE: f64 = 60.0;

/// The buckets.
#[derive(Debug)]
pub(crate) struct Quota {
    /// Calls a minute, which is also what a bucket holds.
    per_minute: u32,
    buckets: Mutex<HashMap<String, Bucket>>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    level: f64,
    at: Instant,
}

/// What is left to a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    per_minute: u32,
    /// Calls that may be made at once.
    left: u32,
    /// Seconds until the bucket is full again.
    full_in: u64,
}

/// Where the extractor of the caller says what is left to them, for the answer's headers.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot(Arc<OnceLock<Standing>>);

impl Slot {
    /// Writes the headers, when a caller was known.
    pub(crate) fn tell(&self, headers: &mut HeaderMap) {
        let Some(standing) = self.0.get() else { return };
        let value = |text: String| HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""));
        headers.insert(POLICY, value(format!("\"key\";q={};w=60", standing.per_minute)));
        headers.insert(LIMIT, value(format!("\"key\";r={};t={}", standing.left, standing.full_in)));
    }
}

impl Quota {
    /// So many calls a minute for each client.
    pub(crate) fn new(per_minute: u32) -> Self {
        Self {
            per_minute: per_minute.max(1),
            buckets: Mutex::default(),
        }
    }

    /// The same of somebody who does not say who they are; a subnet is one (as in [`super::throttle`]).
    ///
    /// # Errors
    /// 429 with Retry-After when it is empty.
    pub(crate) fn take_of_address(&self, address: IpAddr, now: Instant) -> Result<(), Problem> {
        let (_, wait) = self.taken(&format!("address {}", throttle::group(address)), now);
        wait.map_or(Ok(()), |seconds| {
            Err(Problem::new(Kind::RATE, "too many calls from this address").retry_after(seconds))
        })
    }

    /// Takes one call off a client's bucket, and notes what is left.
    ///
    /// # Errors
    /// 429 with Retry-After when it is empty.
    pub(crate) fn take(&self, actor: &Actor, slot: Option<&Slot>, now: Instant) -> Result<(), Problem> {
        let (standing, wait) = self.taken(&actor.to_string(), now);
        if let Some(slot) = slot {
            let _ = slot.0.set(standing);
        }
        match wait {
            None => Ok(()),
            Some(seconds) => Err(Problem::new(
                Kind::RATE,
                format!(
                    "this key may make {} calls a minute; wait for the time that Retry-After says",
                    self.per_minute
                ),
            )
            .retry_after(seconds)),
        }
    }

    /// What is left, and how many seconds to wait for the next call when nothing is.
    fn taken(&self, client: &str, now: Instant) -> (Standing, Option<u64>) {
        let (capacity, a_second) = (f64::from(self.per_minute), f64::from(self.per_minute) / MINUTE);
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let full = Bucket { level: capacity, at: now };
        let known = buckets.get(client).copied();
        if known.is_none() && buckets.len() >= CLIENTS {
            make_room(&mut buckets, now);
        }
        let Bucket { level, at } = known.unwrap_or(full);
        let level = (level + now.saturating_duration_since(at).as_secs_f64() * a_second).min(capacity);
        let enough = level >= 1.0;
        let level = if enough { level - 1.0 } else { level };
        match buckets.get_mut(client) {
            Some(bucket) => *bucket = Bucket { level, at: now },
            None => {
                buckets.insert(client.to_owned(), Bucket { level, at: now });
            }
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "none is negative, and none above the quota of a minute"
        )]
        let (left, full_in, wait) = (
            level as u32,
            ((capacity - level) / a_second).ceil() as u64,
            ((1.0 - level) / a_second).ceil().max(1.0) as u64,
        );
        let standing = Standing {
            per_minute: self.per_minute,
            left,
            full_in,
        };
        (standing, (!enough).then_some(wait))
    }
}

/// A minute fills any bucket, so that who was silent for one has lost nothing by going.
fn make_room(buckets: &mut HashMap<String, Bucket>, now: Instant) {
    buckets.retain(|_, bucket| now.saturating_duration_since(bucket.at).as_secs_f64() < MINUTE);
    if buckets.len() >= CLIENTS
        && let Some(oldest) = buckets.iter().min_by_key(|(_, bucket)| bucket.at).map(|(client, _)| client.clone())
    {
        buckets.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_bucket_empties_and_fills_evenly() {
        let (quota, start) = (Quota::new(60), Instant::now());
        for left in (0..60).rev() {
            let (standing, wait) = quota.taken("a", start);
            assert_eq!((standing.left, wait), (left, None));
        }
        let (standing, wait) = quota.taken("a", start);
        assert_eq!((standing.left, standing.full_in, wait), (0, 60, Some(1)));
        assert_eq!(quota.taken("b", start).1, None, "another client has a bucket of its own");
        assert_eq!(quota.taken("a", start + Duration::from_millis(1100)).1, None);
        assert_eq!(quota.taken("a", start + Duration::from_millis(1200)).1, Some(1));
        assert_eq!(
            quota.taken("a", start + Duration::from_secs(3600)).0.left,
            59,
            "it never holds more"
        );
        // A clock that seems to go back gives nothing and breaks nothing.
        assert_eq!(quota.taken("a", start).0.left, 58);
    }

    #[test]
    fn memory_is_bounded() {
        let (quota, start) = (Quota::new(1), Instant::now());
        for n in 0..CLIENTS + 50 {
            quota.taken(&n.to_string(), start + Duration::from_millis(n as u64));
        }
        assert_eq!(quota.buckets.lock().unwrap().len(), CLIENTS);
        quota.taken("late", start + Duration::from_secs(600));
        assert_eq!(quota.buckets.lock().unwrap().len(), 1);
    }
}
