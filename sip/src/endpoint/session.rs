//! Session timers (RFC 4028): a call that nobody refreshes ends, whatever became of its BYE.

use std::time::{Duration, Instant};

use super::{Call, Endpoint, Event, Purpose, Timer};
use crate::call::{CallHandle, EndedBy, Phase};
use crate::wire::Request;
use crate::wire::header::Headers;
use crate::wire::list;
use crate::wire::method::Method;

/// The shortest session interval (RFC 4028 §4), in seconds.
pub(super) const MIN_SE: u64 = 90;
/// The longest that a peer may ask of us, in seconds: a day.
const MAX_SE: u64 = 86_400;
/// When a refresh that was refused for the moment is tried again.
const AGAIN: Duration = Duration::from_secs(2);

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
    pub(super) fn answered(self) -> String {
        let refresher = if self.ours { "uas" } else { "uac" };
        format!("{};refresher={refresher}", self.seconds)
    }

    /// Who refreshes does so at half the interval; who does not waits until it is nearly over (RFC 4028 §10).
    fn deadline(self, now: Instant) -> Instant {
        let end = self.end();
        now + if self.ours { Duration::from_secs(self.seconds / 2) } else { end }
    }

    /// When the other side gives up, since the last refresh.
    fn end(self) -> Duration {
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
pub(super) fn asked(request: &Request, updates: bool) -> Result<Option<Interval>, ()> {
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

impl Endpoint {
    /// A 2xx with this interval is out, or none; the time runs from now on.
    pub(super) fn keep(&mut self, call: CallHandle, session: Option<Interval>, now: Instant) {
        let Some(Call::Established(established)) = self.calls.get_mut(&call) else {
            return;
        };
        established.session = session;
        for timer in [Timer::Session(call), Timer::SessionEnd(call)] {
            self.timers.cancel(timer);
        }
        let Some(session) = session else { return };
        self.timers.set(Timer::Session(call), session.deadline(now));
        if session.ours {
            self.timers.set(Timer::SessionEnd(call), now + session.end());
        }
    }

    /// The session's time has come: we refresh, or nobody did.
    pub(super) fn session_due(&mut self, call: CallHandle, now: Instant) {
        let branch = format!("z9hG4bK{}", self.ids.token());
        let Some(Call::Established(established)) = self.calls.get_mut(&call) else {
            return;
        };
        if established.phase == Phase::Over {
            return;
        }
        let Some(session) = established.session.filter(|session| session.ours) else {
            self.event(Event::Counted("session_expired"));
            return self.leave(call, EndedBy::Expired, now);
        };
        let headers = [
            ("Contact", established.dialog.contact()),
            ("Supported", "timer".to_owned()),
            ("Session-Expires", format!("{};refresher=uac", session.seconds)),
            ("Min-SE", MIN_SE.to_string()),
        ];
        let (bytes, flow) = established.dialog.request_with(&Method::UPDATE, &branch, &headers);
        self.send(branch, flow, bytes, Purpose::Refresh(call), now);
    }

    /// What became of our refresh. `min_se` is the interval that a 422 asks for.
    pub(super) fn refreshed(&mut self, call: CallHandle, status: Option<u16>, min_se: Option<u64>, now: Instant) {
        let Some(Call::Established(established)) = self.calls.get_mut(&call) else {
            return;
        };
        let Some(mut session) = established.session else { return };
        match status {
            Some(200..=299) => {
                self.keep(call, Some(session), now);
            }
            Some(422) if min_se.is_some_and(|least| least > session.seconds && least <= MAX_SE) => {
                session.seconds = min_se.unwrap_or(session.seconds);
                established.session = Some(session);
                self.session_due(call, now);
            }
            // The other side has forgotten the call, or is gone (RFC 3261 §12.2.1.2).
            Some(408 | 481) | None => self.leave(call, EndedBy::Expired, now),
            // Another change is going on, or it is busy; the end of the interval stands.
            Some(_) => self.timers.set(Timer::Session(call), now + AGAIN),
        }
    }
}
