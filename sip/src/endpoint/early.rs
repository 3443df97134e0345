//! Reliable provisional answers (RFC 3262): a caller who requires them hears 183 first, and 200 once it has confirmed it.

use std::time::{Duration, Instant};

use super::invite::{self, success};
use super::{Call, Endpoint, Event, Timer};
use crate::call::{CallHandle, Early, Offered, Then};
use crate::flow::Flow;
use crate::sdp::{self, Description};
use crate::timers::{T1, T1X64};
use crate::wire::Request;
use crate::wire::build::Reply;
use crate::wire::method::Method;
use crate::wire::multipart::{self, Session};

/// The longest that a caller hears something before an answer. Proxies on the way give up after three minutes without
/// another provisional answer (timer C, RFC 3261 §16.6).
const ANNOUNCEMENT: Duration = Duration::from_secs(150);

/// `RAck`: number of the provisional answer, CSeq number and method of the request (RFC 3262 §7.2).
fn acknowledges(prack: &Request) -> Option<(u32, u32)> {
    let mut words = prack.headers.get("RAck")?.split_whitespace();
    let (rseq, cseq) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    (words.next()? == "INVITE" && words.next().is_none()).then_some((rseq, cseq))
}

impl Endpoint {
    /// Says with a 183 that the caller must confirm what the session is. `sdp` is our answer, or our offer.
    #[expect(clippy::too_many_arguments, reason = "what `establish` has made, handed over once")]
    pub(super) fn progress(
        &mut self,
        call: CallHandle,
        transaction: u64,
        offered: Offered,
        flow: Flow,
        sdp: String,
        then: Then,
        now: Instant,
    ) {
        // 1 to 2^31 − 1 (RFC 3262 §3).
        let rseq = u32::try_from(self.ids.number() >> 33).unwrap_or_default().max(1);
        let tag = self.servers.get(&transaction).map(|server| server.tag.clone()).unwrap_or_default();
        let invite = &offered.invite;
        let reply = Reply::to(183, &invite.headers, &invite.via, &tag)
            .copying("Record-Route", &invite.headers)
            .with("Contact", &crate::dialog::local_contact(flow, crate::dialog::is_secure(invite)))
            .with("Allow", super::receive::ALLOW)
            .with("Require", "100rel")
            .with("RSeq", &rseq.to_string())
            .with_sdp(sdp);
        if let Some(Call::Established(established)) = self.calls.get_mut(&call) {
            let reply = established.dialog.identified(reply);
            let bytes = reply.clone().into_bytes();
            established.early = Some(Box::new(Early {
                transaction,
                offered,
                rseq,
                bytes,
                flow,
                interval: T1,
                then,
            }));
            self.timers.set(Timer::CallResend(call), now + T1);
            self.timers.set(Timer::CallGiveUp(call), now + T1X64);
            self.respond(transaction, reply, now);
        }
    }

    /// No PRACK yet: the 183 is repeated, at intervals that double (RFC 3262 §3).
    pub(super) fn progress_again(&mut self, call: CallHandle, now: Instant) {
        let Some(Call::Established(established)) = self.calls.get_mut(&call) else {
            return;
        };
        let Some(early) = &mut established.early else { return };
        early.interval *= 2;
        let (flow, bytes, next) = (early.flow, early.bytes.clone(), now + early.interval);
        self.transmit(flow, bytes);
        self.timers.set(Timer::CallResend(call), next);
    }

    /// The 183 was repeated for 64·T1: the INVITE is refused with a 5xx (RFC 3262 §3).
    pub(super) fn never_confirmed(&mut self, call: CallHandle, now: Instant) {
        self.event(Event::Counted("unconfirmed"));
        self.refuse(call, 504, None, now);
        self.event(Event::Cancelled { call });
    }

    /// A request between our 183 and our 200.
    pub(super) fn in_early_dialog(&mut self, id: u64, call: CallHandle, request: &Request, now: Instant) {
        let reply = |status| Reply::to(status, &request.headers, &request.via, "");
        match request.method {
            Method::PRACK => self.on_prack(id, call, request, now),
            // The caller may give up this way too (RFC 3261 §15).
            Method::BYE => {
                self.respond(id, reply(200), now);
                self.told(call, request);
                self.refuse(call, 487, None, now);
                self.event(Event::Cancelled { call });
            }
            // RFC 3261 §14.2; and our 183 is not confirmed, so that no other offer may be answered (RFC 3311 §5.2).
            Method::INVITE | Method::UPDATE => self.respond(id, reply(500).with("Retry-After", "1"), now),
            Method::OPTIONS => self.respond(id, super::receive::capabilities(reply(200)), now),
            _ => self.respond(id, reply(200), now),
        }
    }

    fn on_prack(&mut self, id: u64, call: CallHandle, prack: &Request, now: Instant) {
        let reply = |status| Reply::to(status, &prack.headers, &prack.via, "");
        let Some(Call::Established(established)) = self.calls.get_mut(&call) else {
            return;
        };
        let expected = established.early.as_ref().map(|early| (early.rseq, early.offered.invite.cseq));
        let asked = established.early.as_ref().is_some_and(|early| early.then == Then::Asked);
        if asked || acknowledges(prack) != expected {
            return self.respond(id, reply(481), now);
        }
        let mut ok = reply(200);
        if established.media.is_none() {
            // Our 183 made the offer; the PRACK holds the answer (RFC 3262 §5).
            let text = match multipart::session(prack) {
                Session::Sdp(text) => Description::parse(&text),
                Session::None | Session::Unknown => None,
            };
            let Some(media) = text.and_then(|answer| sdp::accept(&answer, &established.local, &established.sdp).ok()) else {
                self.respond(id, reply(488), now);
                self.refuse(call, 488, None, now);
                return self.event(Event::Cancelled { call });
            };
            established.media = Some(media);
        } else {
            // It may hold another offer.
            match invite::read_offer(prack, reply, established.local.security.policy) {
                Err(refusal) => return self.respond(id, refusal, now),
                Ok(None) => {}
                Ok(Some((offer, _))) => {
                    let mut local = established.local;
                    local.version += 1;
                    match sdp::answer(&offer, &local, established.media.map(|media| media.codec)) {
                        Err(sdp::NotAcceptable) => return self.respond(id, reply(488), now),
                        Ok(answer) => {
                            established.local = local;
                            established.media = Some(answer.media);
                            established.sdp.clone_from(&answer.sdp);
                            ok = ok.with_sdp(answer.sdp);
                        }
                    }
                }
            }
        }
        if let (Some(early), Some(media)) = (&mut established.early, established.media)
            && early.then == Then::Ask
        {
            early.then = Then::Asked;
            self.timers.cancel(Timer::CallResend(call));
            self.timers.set(Timer::CallGiveUp(call), now + ANNOUNCEMENT);
            self.respond(id, ok, now);
            return self.event(Event::Early { call, media });
        }
        let Some(early) = established.early.take() else { return };
        self.offered.remove(&early.transaction);
        self.respond(id, ok, now);
        let invite = &early.offered.invite;
        let tag = self
            .servers
            .get(&early.transaction)
            .map(|server| server.tag.clone())
            .unwrap_or_default();
        // The session is described already: the 200 says nothing of it (RFC 6337 §3.1.1).
        let reply = Reply::to(200, &invite.headers, &invite.via, &tag);
        let reply = match self.calls.get(&call) {
            Some(Call::Established(established)) => established.dialog.identified(reply),
            _ => reply,
        };
        let reply = success(reply, invite, Some(early.flow), early.offered.session);
        self.answer(early.transaction, call, reply, invite.cseq, false, now);
        self.keep(call, early.offered.session, now);
    }
}
