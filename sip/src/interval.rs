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

/// What a request asks for, and what our 2xx agrees to. Without word of who refreshes it is the peer. Where it shall be
/// us and the peer answers no UPDATE, there is no session timer; the missing sound ends such a call.
///
/// # Errors
/// The interval is shorter than [`MIN_SE`]: 422.
pub(crate) fn asked(request: &Request, updates: bool) -> Result<Option<Interval>, ()> {
    let Some(value) = request.headers.get("Session-Expires") else {
        return Ok(None);
    };
    let (seconds, params) = value.split_at(value.find(';').unwrap_or(value.len()));
    let Ok(seconds) = seconds.trim().parse::<u64>() else {
        return Ok(None);
    };
    let knows = ["Supported", "Require"]
        .iter()
        .any(|name| request.headers.elements(name).any(|option| option.eq_ignore_ascii_case("timer")));
    if !knows {
        return Ok(None);
    }
    if seconds < MIN_SE {
        return Err(());
    }
    let params = list::params(params).unwrap_or_default();
    let ours = list::param(&params, "refresher").is_some_and(|who| who.eq_ignore_ascii_case("uas"));
    let session = Interval {
        seconds: seconds.min(MAX_SE),
        ours,
    };
    Ok((!ours || updates).then_some(session))
}
