//! Requests inside a dialog (RFC 3261 §12.2.2), and the ends of calls.

use std::time::Instant;

use super::receive::capabilities;
use super::{Call, Endpoint, Event, Purpose, Timer};
use crate::call::{CallHandle, EndedBy, Phase};
use crate::dialog;
use crate::sdp::{self, Description};
use crate::wire::Request;
use crate::wire::build::Reply;
use crate::wire::list;
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
        if established.early.is_some() {
            return self.in_early_dialog(id, call, request, now);
        }
        let over = established.phase == Phase::Over;
        match request.method {
            Method::BYE => {
                self.respond(id, reply(200), now);
                if !over {
                    self.told(call, request);
                    self.hung_up(call);
                }
            }
            _ if over => self.respond(id, reply(481), now),
            Method::INVITE => self.on_reinvite(id, call, request, now),
            Method::UPDATE => self.on_update(id, call, request, now),
            // Whatever it acknowledges was acknowledged before (RFC 3262 §3).
            Method::PRACK => self.respond(id, reply(481), now),
            Method::OPTIONS => self.respond(id, capabilities(reply(200)), now),
            Method::INFO => self.on_info(id, call, request, now),
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
                .and_then(|answer| sdp::accept(&answer, &established.local, &established.sdp).ok());
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

    /// Why a BYE or a CANCEL comes, where it says so (RFC 3326 §2).
    pub(super) fn told(&mut self, call: CallHandle, request: &Request) {
        let Some(first) = request.headers.elements("Reason").next() else {
            return;
        };
        let (protocol, params) = first.split_at(first.find(';').unwrap_or(first.len()));
        let protocol: String = protocol.trim().chars().take(16).collect();
        let params = list::params(params).unwrap_or_default();
        // Its text may say anything, a name for instance; the cause is a number.
        let cause = list::param(&params, "cause").and_then(|cause| cause.parse::<u16>().ok());
        let reason = cause.map_or_else(|| protocol.clone(), |cause| format!("{protocol};cause={cause}"));
        self.event(Event::Reason { call, reason });
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
        // A late ACK changes nothing in a call that is over.
        established.pending = None;
        let answered = established.answered;
        let reason = match by {
            EndedBy::Expired | EndedBy::NoAck => "SIP;cause=408",
            EndedBy::NoMedia => "SIP;cause=488",
            EndedBy::Caller | EndedBy::Us => "Q.850;cause=16",
        };
        let headers = [("Reason", reason.to_owned())];
        let (bytes, hop) = established.dialog.request_with(&Method::BYE, &branch, &headers);
        self.silence(call);
        self.send(branch, hop, bytes, Purpose::Bye(call), now);
        self.event(Event::Ended { call, by, answered });
    }

    /// No deadline of a call has an effect any more.
    pub(super) fn silence(&mut self, call: CallHandle) {
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
            self.left(established.trunk);
        }
    }
}
