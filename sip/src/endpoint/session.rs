//! Session timers (RFC 4028): a call that nobody refreshes ends, whatever became of its BYE.

use std::time::{Duration, Instant};

use super::{Call, Endpoint, Event, Purpose, Timer};
use crate::call::{CallHandle, EndedBy, Phase};
use crate::dialog::Dialog;
use crate::interval::{self, Interval, MAX_SE, MIN_SE};
use crate::wire::Response;
use crate::wire::method::Method;

/// When a refresh that was refused for the moment is tried again.
const AGAIN: Duration = Duration::from_secs(2);

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
        let headers = refresh(&established.dialog, session);
        if !established.updates {
            return self.reinvite(call, branch, &headers, now);
        }
        let (bytes, hop) = established.dialog.request_with(&Method::UPDATE, &branch, &headers);
        self.send(branch, hop, bytes, Purpose::Refresh(call), now);
    }

    /// Not now: a little later. The caller's side owns the Call-ID, so that the wait is random and at most 2 s
    /// (RFC 3261 §14.1).
    pub(super) fn refresh_again(&mut self, call: CallHandle, now: Instant) {
        let wait = AGAIN - Duration::from_millis(10 * (self.ids.number() % 50));
        self.timers.set(Timer::Session(call), now + wait);
    }

    /// What became of our refresh.
    pub(super) fn refreshed(&mut self, call: CallHandle, response: Option<&Response>, now: Instant) {
        let status = response.map(|response| response.status);
        let min_se = response
            .and_then(|response| response.headers.get("Min-SE"))
            .and_then(|value| value.split(';').next()?.trim().parse().ok());
        let Some(Call::Established(established)) = self.calls.get_mut(&call) else {
            return;
        };
        let Some(mut session) = established.session else { return };
        match status {
            Some(200..=299) => {
                let granted = response.and_then(|response| {
                    established.dialog.refresh(&response.headers);
                    interval::granted(&response.headers)
                });
                self.keep(call, granted, now);
            }
            Some(422) if min_se.is_some_and(|least| least > session.seconds && least <= MAX_SE) => {
                session.seconds = min_se.unwrap_or(session.seconds);
                established.session = Some(session);
                self.session_due(call, now);
            }
            // The other side has forgotten the call, or is gone (RFC 3261 §12.2.1.2).
            Some(408 | 481) | None => self.leave(call, EndedBy::Expired, now),
            // Another change is going on, or it is busy; the end of the interval stands.
            Some(_) => self.refresh_again(call, now),
        }
    }
}

/// What our refresh says (RFC 4028 §7.4).
pub(super) fn refresh(dialog: &Dialog, session: Interval) -> [(&'static str, String); 4] {
    [
        ("Contact", dialog.contact()),
        ("Supported", "timer".to_owned()),
        ("Session-Expires", format!("{};refresher=uac", session.seconds)),
        ("Min-SE", MIN_SE.to_string()),
    ]
}
