//! INVITEs: new calls, and changes to those that go on.

use std::time::{Duration, Instant};

use super::receive::{ALLOW, SUPPORTED};
use super::{Call, Endpoint, Event, Timer};
use crate::call::{CallHandle, Facts, IncomingCall, Offered, Pending, Phase, parties};
use crate::flow::Flow;
use crate::interval::{self, Interval, MIN_SE};
use crate::sdp::{self, Description, Local};
use crate::srtp::{Policy, Security};
use crate::transaction;
use crate::wire::Request;
use crate::wire::build::Reply;
use crate::wire::multipart::{self, Session};

/// When 100 is due (RFC 3261 §17.2.1). Not earlier: a caller who has it stops repeating the INVITE, and its repetition
/// is what brings the call back after a crash between commit and 200.
const TRYING: Duration = Duration::from_millis(200);

/// How long the user may think about a call. Longer than any store takes to say that it is not there.
const DECISION: Duration = Duration::from_secs(60);

impl Endpoint {
    pub(super) fn on_invite(&mut self, id: u64, invite: Box<Request>, source: Flow, trunk: usize, now: Instant) {
        let tag = self.servers.get(&id).map(|server| server.tag.clone()).unwrap_or_default();
        let reply = |status| Reply::to(status, &invite.headers, &invite.via, &tag);
        if let Err(why) = self.admit(trunk, now) {
            return self.too_much(id, why, reply(self.failure(trunk)), now);
        }
        let dialled = invite.uri.user().unwrap_or_default();
        let line = self
            .lines
            .iter()
            .find(|line| **line == dialled)
            .or_else(|| self.lines.iter().find(|line| *line == "*"));
        let Some(line) = line.cloned() else {
            self.event(Event::Counted("no_line"));
            return self.respond(id, reply(404), now);
        };
        // Without them no request of ours would find the caller, a BYE for instance.
        if let Some(flaw) = crate::dialog::flaw(&invite) {
            self.event(Event::Counted("malformed"));
            return self.respond(id, reply(400).because(flaw), now);
        }
        let policy = self.sound_of(trunk, source);
        let (offer, codec) = match read_offer(&invite, reply, policy) {
            Ok(None) => (None, None),
            Ok(Some((offer, codec))) => (Some(offer), Some(codec)),
            Err(refusal) => {
                self.event(Event::Counted("refused"));
                return self.respond(id, refusal, now);
            }
        };
        let session = match interval::asked(&invite) {
            Ok(value) => value,
            Err(()) => return self.respond(id, reply(422).with("Min-SE", &MIN_SE.to_string()), now),
        };
        let call = CallHandle(self.next_id());
        let trusted = self.trunks.get(trunk).is_some_and(|trunk| trunk.trusted);
        let caller = parties::caller(&invite, trusted);
        let event = IncomingCall {
            call,
            trunk: self.trunks.get(trunk).map(|trunk| trunk.name.clone()).unwrap_or_default(),
            line,
            caller: caller.number,
            caller_name: caller.name,
            withheld: caller.withheld,
            facts: Facts::of(&invite, trusted),
            dialled,
            call_id: invite.call_id.clone(),
            identity: transaction::identity(&invite),
            local: source.local,
            media: offer.as_ref().and_then(sdp::sound),
            reliable: invite.requires("100rel") || invite.supports("100rel"),
            codec,
            invite: invite.raw.clone(),
        };
        let offered = Box::new(Offered {
            invite,
            source,
            trunk,
            offer,
            session,
        });
        self.calls.insert(call, Call::Offered { transaction: id, offered });
        self.offered.insert(id, call);
        self.enter(trunk);
        self.timers.set(Timer::Trying(call), now + TRYING);
        self.timers.set(Timer::CallGiveUp(call), now + DECISION);
        self.event(Event::IncomingCall(Box::new(event)));
    }

    /// Whether the sound of a trunk's call that came by this flow must be encrypted.
    pub(super) fn sound_of(&self, trunk: usize, flow: Flow) -> Policy {
        self.trunks.get(trunk).map_or(Policy::Off, |trunk| trunk.sound(flow.transport))
    }

    /// Hold, resume, a move, or a session refresh (RFC 3261 §14.2). The call survives whatever is wrong with it.
    pub(super) fn on_reinvite(&mut self, id: u64, call: CallHandle, invite: &Request, now: Instant) {
        let reply = |status| Reply::to(status, &invite.headers, &invite.via, "");
        let Some(Call::Established(established)) = self.calls.get_mut(&call) else {
            return;
        };
        // RFC 3261 §14.2: an INVITE of ours is under way; or our 2xx to the last one is not confirmed.
        if established.asking || established.pending.is_some() || established.phase != Phase::Talking {
            return self.respond(id, reply(491), now);
        }
        established.updates |= interval::updates(&invite.headers);
        let session = match interval::asked(invite) {
            Ok(value) => value,
            Err(()) => return self.respond(id, reply(422).with("Min-SE", &MIN_SE.to_string()), now),
        };
        let offer = match read_offer(invite, reply, established.local.security.policy) {
            Ok(offer) => offer.map(|(offer, _)| offer),
            Err(refusal) => return self.respond(id, refusal, now),
        };
        let mut local = established.local;
        local.version += 1;
        let (sdp, media) = match &offer {
            None => (sdp::offer(&local), None),
            Some(offer) => match sdp::answer(offer, &local, established.media.map(|media| media.codec)) {
                Ok(answer) => (answer.sdp, Some(answer.media)),
                Err(sdp::NotAcceptable) => return self.respond(id, reply(488), now),
            },
        };
        established.local = local;
        established.sdp.clone_from(&sdp);
        established.dialog.refresh(&invite.headers);
        let reply = established.dialog.identified(reply(200));
        if let Some(media) = media {
            established.media = Some(media);
            self.event(Event::Renegotiated { call, media });
        }
        let flow = self.servers.get(&id).map(|server| server.flow);
        let reply = success(reply, invite, flow, session).with_sdp(sdp);
        self.keep(call, session, now);
        self.answer(id, call, reply, invite.cseq, media.is_none(), now);
    }

    /// A change without an INVITE (RFC 3311).
    pub(super) fn on_update(&mut self, id: u64, call: CallHandle, update: &Request, now: Instant) {
        let mut reply = Reply::to(200, &update.headers, &update.via, "");
        let refusal = |status| Reply::to(status, &update.headers, &update.via, "");
        let Some(Call::Established(established)) = self.calls.get_mut(&call) else {
            return;
        };
        let flow = self.servers.get(&id).map(|server| server.flow);
        established.updates |= interval::updates(&update.headers);
        let session = match interval::asked(update) {
            Ok(session) => session,
            Err(()) => return self.respond(id, refusal(422).with("Min-SE", &MIN_SE.to_string()), now),
        };
        reply = success(established.dialog.identified(reply), update, flow, session);
        match read_offer(update, refusal, established.local.security.policy) {
            Err(refusal) => return self.respond(id, refusal, now),
            Ok(None) => {}
            // RFC 3311 §5.2: our own offer is still unanswered.
            Ok(Some(_))
                if established.media.is_none() || established.asking || established.pending.as_ref().is_some_and(|sent| sent.offers) =>
            {
                return self.respond(id, refusal(491), now);
            }
            Ok(Some((offer, _))) => {
                established.local.version += 1;
                match sdp::answer(&offer, &established.local, established.media.map(|media| media.codec)) {
                    Ok(answer) => {
                        established.media = Some(answer.media);
                        established.sdp.clone_from(&answer.sdp);
                        reply = reply.with_sdp(answer.sdp);
                        let media = answer.media;
                        // One that overtook the ACK of the INVITE: `Answered` will say what is agreed on.
                        if established.answered {
                            self.event(Event::Renegotiated { call, media });
                        }
                    }
                    Err(sdp::NotAcceptable) => return self.respond(id, refusal(488), now),
                }
            }
        }
        if let Some(Call::Established(established)) = self.calls.get_mut(&call) {
            established.dialog.refresh(&update.headers);
        }
        self.keep(call, session, now);
        self.respond(id, reply, now);
    }

    /// Sends a 2xx to an INVITE and keeps repeating it until the ACK comes.
    pub(super) fn answer(&mut self, id: u64, call: CallHandle, reply: Reply, cseq: u32, offers: bool, now: Instant) {
        let Some(server) = self.servers.get_mut(&id) else { return };
        let flow = server.flow;
        let bytes = reply.into_bytes();
        let step = server.respond(200, bytes.clone(), now);
        self.perform(flow, step, Timer::ServerResend(id), Timer::ServerEnd(id));
        let (again, give_up) = Pending::deadlines(now);
        if let Some(Call::Established(established)) = self.calls.get_mut(&call) {
            established.pending = Some(Pending::new(id, cseq, bytes, flow, offers));
            self.timers.set(Timer::CallResend(call), again);
            self.timers.set(Timer::CallGiveUp(call), give_up);
        }
    }
}

/// The offer of a request and the codec that its answer agrees on; `None` when there is no body.
pub(super) fn read_offer(
    request: &Request,
    reply: impl Fn(u16) -> Reply,
    policy: Policy,
) -> Result<Option<(Description, sdp::Codec)>, Reply> {
    let text = match multipart::session(request) {
        Session::None => return Ok(None),
        Session::Unknown => return Err(reply(415).with("Accept", "application/sdp")),
        Session::Sdp(text) => text,
    };
    let nowhere = Local {
        address: ([0, 0, 0, 0], 0).into(),
        session: 0,
        version: 0,
        security: Security::new(policy, [0; 30]),
    };
    let offer = Description::parse(&text).ok_or_else(|| reply(488))?;
    let codec = sdp::answer(&offer, &nowhere, None).map_err(|_| reply(488))?.media.codec;
    Ok(Some((offer, codec)))
}

/// What every 2xx within a dialog carries (RFC 3261 §12.1.1, §13.3.1.4).
pub(super) fn success(reply: Reply, request: &Request, flow: Option<Flow>, session: Option<Interval>) -> Reply {
    let mut reply = reply.copying("Record-Route", &request.headers);
    if let Some(flow) = flow {
        reply = reply.with("Contact", &crate::dialog::local_contact(flow, crate::dialog::is_secure(request)));
    }
    reply = reply.with("Allow", ALLOW).with("Supported", SUPPORTED);
    match session {
        // The peer must know the extension only where it shall refresh (RFC 4028 §9).
        Some(session) => reply.with("Require", "timer").with("Session-Expires", &session.answered()),
        None => reply,
    }
}
