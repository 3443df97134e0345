//! Requests inside a dialog (RFC 3261 §12.2.2), and the ends of calls.

use std::time::Instant;

use super::receive::capabilities;
use super::{Call, Endpoint, Event, Purpose, Timer};
use crate::call::{CallHandle, EndedBy, Phase};
use crate::dialog;
use crate::sdp::{self, Description};
use crate::wire::Request;
use crate::wire::build::Reply;
use crate::wire::method::Method;
use crate::wire::multipart::{self, Session};

impl Endpoint {
    pub(super) fn dialog_of(&self, request: &Request) -> Option<CallHandle> {
        let key = dialog::key(&request.call_id, request.to.tag()?, request.from.tag().unwrap_or_default());
        self.dialogs.get(&key).copied()
    }

    pub(super) fn in_dialog(&mut self, id: u64, request: &Request, now: Instant) {
        let reply = |status| Reply::to(status, &request.headers, &request.via, "");
        let call = self.dialog_of(request);
        let found = call.and_then(|call| Some((call, self.calls.get_mut(&call)?)));
        let Some((call, Call::Established(established))) = found else {
            self.event(Event::Counted("no_dialog"));
            return self.respond(id, reply(481), now);
        };
        if !established.dialog.follows(request) {
            return self.respond(id, reply(500), now);
        }
        let over = established.phase == Phase::Over;
        match request.method {
            Method::BYE => {
                self.respond(id, reply(200), now);
                if !over {
                    self.hung_up(call);
                }
            }
            _ if over => self.respond(id, reply(481), now),
            Method::INVITE => self.on_reinvite(id, call, request, now),
            Method::UPDATE => self.on_update(id, call, request, now),
            Method::OPTIONS => self.respond(id, capabilities(reply(200)), now),
            _ => self.respond(id, reply(200), now),
        }
    }

    /// An ACK for a 2xx of ours.
    pub(super) fn confirmed(&mut self, ack: &Request, now: Instant) {
        let Some(call) = self.dialog_of(ack) else { return };
        let Some(Call::Established(established)) = self.calls.get_mut(&call) else {
            return;
        };
        let Some(pending) = established.pending.take_if(|pending| pending.cseq == ack.cseq) else {
            return;
        };
        self.timers.cancel(Timer::CallResend(call));
        self.timers.cancel(Timer::CallGiveUp(call));
        let mut changed = false;
        if pending.offers {
            let text = match multipart::session(ack) {
                Session::Sdp(text) => Some(text),
                Session::None | Session::Unknown => None,
            };
            let answer = text
                .as_deref()
                .and_then(Description::parse)
                .and_then(|answer| sdp::accept(&answer).ok());
            changed = answer.is_some();
            established.media = answer.or(established.media);
        }
        let Some(media) = established.media else {
            return self.leave(call, EndedBy::NoMedia, now);
        };
        let first = !established.answered;
        established.answered = true;
        let leaving = established.phase == Phase::Leaving;
        if first {
            self.event(Event::Answered { call, media });
        } else if changed {
            self.event(Event::Renegotiated { call, media });
        }
        if leaving {
            self.leave(call, EndedBy::Us, now);
        }
    }

    /// The caller's BYE.
    fn hung_up(&mut self, call: CallHandle) {
        let Some(Call::Established(established)) = self.calls.get(&call) else {
            return;
        };
        let answered = established.answered;
        self.forget(call);
        self.event(Event::Ended {
            call,
            by: EndedBy::Caller,
            answered,
        });
    }

    /// Sends our BYE, once.
    pub(super) fn leave(&mut self, call: CallHandle, by: EndedBy, now: Instant) {
        let branch = format!("z9hG4bK{}", self.ids.token());
        let Some(Call::Established(established)) = self.calls.get_mut(&call) else {
            return;
        };
        if established.phase == Phase::Over {
            return;
        }
        established.phase = Phase::Over;
        established.session = None;
        let answered = established.answered;
        let (bytes, flow) = established.dialog.request(&Method::BYE, &branch);
        self.silence(call);
        self.send(branch, flow, bytes, Purpose::Bye(call), now);
        self.event(Event::Ended { call, by, answered });
    }

    /// No deadline of a call has an effect any more.
    fn silence(&mut self, call: CallHandle) {
        for timer in [
            Timer::CallResend(call),
            Timer::CallGiveUp(call),
            Timer::Session(call),
            Timer::SessionEnd(call),
        ] {
            self.timers.cancel(timer);
        }
    }

    /// Takes a call out of all tables.
    pub(super) fn forget(&mut self, call: CallHandle) {
        self.silence(call);
        if let Some(Call::Established(established)) = self.calls.remove(&call) {
            self.dialogs.remove(&established.dialog.key());
        }
    }
}
