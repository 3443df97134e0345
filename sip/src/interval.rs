//! Session intervals (RFC 4028): what a peer asks for, and what is agreed on.

use std::time::{Duration, Instant};

use crate::wire::Request;
use crate::wire::header::Headers;
use crate::wire::list;

/// The shortest session interval (RFC 4028 §4), in seconds.
pub(crate) const MIN_SE: u64 = 90;
/// The longest that a peer may ask of us, in seconds: a day.
pub(crate) const MAX_SE: u64 = 86_400;
/// A session interval that was agreed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Interval {
    /// Seconds from one refresh to the end.
    pub(crate) seconds: u64,
    /// Whether it is us who refresh.
    pub(crate) ours: bool,
}

impl Interval {
    /// Session-Expires in a 2xx of ours: there the peer is the client (RFC 4028 §7.2).
    pub(crate) fn answered(self) -> String {
        let refresher = if self.ours { "uas" } else { "uac" };
        format!("{};refresher={refresher}", self.seconds)
    }

    /// Who refreshes does so at half the interval; who does not waits until it is nearly over (RFC 4028 §10).
    pub(crate) fn deadline(self, now: Instant) -> Instant {
        let end = self.end();
        now + if self.ours { Duration::from_secs(self.seconds / 2) } else { end }
    }

    /// When the other side gives up, since the last refresh.
    pub(crate) fn end(self) -> Duration {
        Duration::from_secs(self.seconds - 32.min(self.seconds / 3))
    }
}

/// Whether a peer answers UPDATE, by what it says itself (RFC 3311 §5.1).
pub(crate) fn updates(headers: &Headers) -> bool {
    headers.elements("Allow").any(|method| method == "UPDATE")
}

/// What a request asks for, and what our 2xx agrees to. Without word of who refreshes it is the peer.
///
/// # Errors
/// The interval is shorter than [`MIN_SE`]: 422.
pub(crate) fn asked(request: &Request) -> Result<Option<Interval>, ()> {
    let Some((seconds, refresher)) = read(&request.headers) else {
        return Ok(None);
    };
    if !request.supports("timer") && !request.requires("timer") {
        return Ok(None);
    }
    if seconds < MIN_SE {
        return Err(());
    }
    Ok(Some(Interval {
        seconds: seconds.min(MAX_SE),
        ours: refresher.is_some_and(|who| who.eq_ignore_ascii_case("uas")),
    }))
}

/// What a 2xx to a refresh of ours grants; `None` where the session has no end any more (RFC 4028 §7.2).
pub(crate) fn granted(headers: &Headers) -> Option<Interval> {
    let (seconds, refresher) = read(headers)?;
    Some(Interval {
        seconds: seconds.clamp(MIN_SE, MAX_SE),
        ours: !refresher.is_some_and(|who| who.eq_ignore_ascii_case("uas")),
    })
}

fn read(headers: &Headers) -> Option<(u64, Option<String>)> {
    let value = headers.get("Session-Expires")?;
    let (seconds, params) = value.split_at(value.find(';').unwrap_or(value.len()));
    let seconds = seconds.trim().parse().ok()?;
    let params = list::params(params).unwrap_or_default();
    Some((seconds, list::param(&params, "refresher").map(str::to_owned)))
}
