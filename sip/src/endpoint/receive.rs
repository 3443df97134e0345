//! What comes off the wire, up to the point where it is a request that may be treated.

use std::time::Instant;

use bytes::Bytes;

use super::{Call, Endpoint, Event, Timer, transport};
use crate::flow::{Flow, Transport};
use crate::hop;
use crate::policy;
use crate::transaction;
use crate::transaction::server::{Server, State};
use crate::wire::build::Reply;
use crate::wire::header::Headers;
use crate::wire::method::Method;
use crate::wire::uri::Kind;
use crate::wire::via::Via;
use crate::wire::{self, Message, Refused, Request, Response};

/// The methods that are understood (RFC 3261 §20.5).
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK";

/// The extensions that are understood.
pub(super) const SUPPORTED: &str = "100rel, timer";

impl Endpoint {
    /// Takes one datagram, or one frame of a stream. `flow.local` is our address as the peer knows it.
    pub fn handle_input(&mut self, bytes: Bytes, flow: Flow, now: Instant) {
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return; // a keep-alive
        }
        let parsed = wire::parse(&bytes);
        if let Ok(Message::Response(response)) = parsed {
            return self.on_response(&response, now);
        }
        let Some(trunk) = self.trunk_of(flow) else {
            return self.forbid(parsed, flow, now);
        };
        match parsed {
            Ok(Message::Request(request)) => self.on_request(request, flow, trunk, now),
            Ok(Message::Response(_)) => {}
            Err(refused) => {
                self.event(Event::Counted("malformed"));
                if let Some(broken) = refused.answerable {
                    let (to, reply) = self.stateless(refused.status, &broken.headers, broken.via, flow);
                    self.transmit(to, reply.because(refused.flaw).into_bytes());
                }
            }
        }
    }

    fn trunk_of(&self, flow: Flow) -> Option<usize> {
        policy::trunk_of(&self.trunks, flow.remote.ip())
    }

    /// A stranger: one answer that tells nothing, from no state, and not too often.
    fn forbid(&mut self, parsed: Result<Message, Refused>, flow: Flow, now: Instant) {
        self.event(Event::Counted("forbidden"));
        if !self.refusals.take(now) {
            return;
        }
        let (via, headers) = match parsed {
            Ok(Message::Request(request)) if request.method != Method::ACK => (request.via, request.headers),
            Err(Refused {
                answerable: Some(broken), ..
            }) => (broken.via, broken.headers),
            _ => return,
        };
        let (to, reply) = self.stateless(403, &headers, via, flow);
        self.transmit(to, reply.into_bytes());
    }

    /// An answer for which nothing is remembered.
    pub(super) fn stateless(&self, status: u16, headers: &Headers, mut via: Via, flow: Flow) -> (Flow, Reply) {
        let tag = self.ids.stateless(&[
            headers.get("Call-ID").unwrap_or_default(),
            headers.get("CSeq").unwrap_or_default(),
            via.branch().unwrap_or_default(),
        ]);
        let to = answer_flow(&via, flow);
        via.received(flow.remote);
        (to, Reply::to(status, headers, &via, &tag))
    }

    fn on_response(&mut self, response: &Response, now: Instant) {
        let id = response.via.branch().and_then(|branch| self.branches.get(branch)).copied();
        let Some(id) = id else {
            return self.event(Event::Counted("stray_response"));
        };
        let Some((client, purpose)) = self.clients.get_mut(&id) else {
            return;
        };
        let (flow, purpose) = (client.flow, *purpose);
        let (is_final, step) = client.response(response.status, now);
        let again = client.again().filter(|_| response.status >= 200);
        if let Some((flow, ack)) = again {
            self.transmit(flow, ack);
        }
        self.perform(flow, step, Timer::ClientResend(id), Timer::ClientEnd(id));
        if is_final {
            self.confirm(id, purpose, response);
            if !self.taken_as_answer(id, purpose, response, now) {
                self.answered_with(id, purpose, Some(response), now);
            }
        }
    }

    fn on_request(&mut self, request: Box<Request>, flow: Flow, trunk: usize, now: Instant) {
        if request.method == Method::ACK {
            return self.on_ack(&request, now);
        }
        let key = transaction::key(&request, &request.method.to_string());
        if let Some(server) = self.keys.get(&key).and_then(|id| self.servers.get(id)) {
            let (to, again) = (server.flow, server.repeated());
            self.event(Event::Counted("retransmission"));
            if let Some(bytes) = again {
                self.transmit(to, bytes);
            }
            return;
        }
        if self.refused_from_no_state(&request, flow) {
            return;
        }
        if self.servers.len() >= self.limits.transactions {
            return self.no_room(*request, flow, trunk);
        }
        let Some(mut request) = self.admitted(request, flow, trunk, now) else {
            return;
        };
        let to = answer_flow(&request.via, flow);
        request.via.received(flow.remote);
        let is_new = request.to.tag().is_none() && request.method != Method::CANCEL;
        let merge = is_new.then(|| transaction::merge_key(&request));
        let merged = merge.as_ref().is_some_and(|merge| self.merges.contains_key(merge));
        let tag = self.ids.token();
        let mut server = Server::new(key, merge, to, tag.clone(), request.method == Method::INVITE);
        server.otherwise = hop::answer(to, request.via.port);
        let id = self.open(server);
        let reply = |status| Reply::to(status, &request.headers, &request.via, &tag);
        if request.method == Method::CANCEL {
            return self.on_cancel(id, &request, now);
        }
        if let Err(refusal) = check(&request, merged, reply).and_then(|()| transport::secured(&request, flow, reply)) {
            self.event(Event::Counted("refused"));
            self.count_call(&request, trunk, false);
            return self.respond(id, refusal, now);
        }
        if request.to.tag().is_some() {
            return self.in_dialog(id, &request, now);
        }
        match request.method {
            Method::INVITE => {
                let before = self.calls.len();
                self.on_invite(id, request, flow, trunk, now);
                self.count(trunk, self.calls.len() > before);
            }
            Method::OPTIONS if self.draining => self.respond(id, reply(503), now),
            Method::OPTIONS => self.respond(id, capabilities(reply(200)), now),
            _ => self.respond(id, reply(481), now),
        }
    }

    /// CANCEL has an effect only while the INVITE has no final answer (RFC 3261 §9.2).
    fn on_cancel(&mut self, id: u64, cancel: &Request, now: Instant) {
        let key = transaction::key(cancel, "INVITE");
        let found = self.keys.get(&key).and_then(|id| Some((*id, self.servers.get(id)?)));
        let Some((invite, server)) = found else {
            let tag = self.servers.get(&id).map(|server| server.tag.clone()).unwrap_or_default();
            return self.respond(id, Reply::to(481, &cancel.headers, &cancel.via, &tag), now);
        };
        let open = server.state == State::Proceeding;
        let ok = Reply::to(200, &cancel.headers, &cancel.via, &server.tag);
        self.respond(id, ok, now);
        if open && let Some(call) = self.offered.get(&invite).copied() {
            self.told(call, cancel);
            self.refuse(call, 487, None, now);
            self.event(Event::Cancelled { call });
        }
    }

    fn on_ack(&mut self, ack: &Request, now: Instant) {
        if let Some(&id) = self.keys.get(&transaction::key(ack, "INVITE"))
            && let Some(server) = self.servers.get_mut(&id)
        {
            let (flow, (of_refusal, step)) = (server.flow, server.acknowledged(now));
            self.perform(flow, step, Timer::ServerResend(id), Timer::ServerEnd(id));
            if of_refusal {
                return;
            }
        }
        self.confirmed(ack, now);
    }

    /// Refuses an offered call; the handle is void afterwards.
    pub(super) fn refuse(&mut self, call: crate::call::CallHandle, status: u16, retry_after: Option<u32>, now: Instant) {
        let (transaction, offered) = match self.calls.remove(&call) {
            Some(Call::Offered { transaction, offered }) => (transaction, *offered),
            Some(Call::Established(mut established)) => {
                let Some(early) = established.early.take() else {
                    self.calls.insert(call, Call::Established(established));
                    return;
                };
                self.dialogs.remove(&established.dialog.key());
                self.silence(call);
                (early.transaction, early.offered)
            }
            None => return,
        };
        self.offered.remove(&transaction);
        self.left(offered.trunk);
        self.timers.cancel(Timer::Trying(call));
        self.timers.cancel(Timer::CallGiveUp(call));
        let tag = self.servers.get(&transaction).map(|server| server.tag.clone()).unwrap_or_default();
        let mut reply = Reply::to(status, &offered.invite.headers, &offered.invite.via, &tag);
        if let Some(seconds) = retry_after {
            reply = reply.retry_after(seconds);
        }
        self.respond(transaction, reply, now);
    }

    /// Whether nothing is going on or remembered any more.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty() && self.servers.is_empty() && self.clients.is_empty()
    }
}

/// What every request must pass, whatever it is for (RFC 3261 §8.2).
pub(super) fn check(request: &Request, merged: bool, reply: impl Fn(u16) -> Reply) -> Result<(), Reply> {
    match &request.method {
        Method::Other(_) => return Err(reply(501).with("Allow", ALLOW)),
        &Method::INVITE | &Method::BYE | &Method::OPTIONS | &Method::INFO | &Method::UPDATE | &Method::PRACK => {}
        Method::Known(_) => return Err(reply(405).with("Allow", ALLOW)),
    }
    if request.max_forwards == Some(0) {
        return Err(reply(483));
    }
    if matches!(request.uri.kind, Kind::Other(_)) {
        return Err(reply(416));
    }
    if merged {
        return Err(reply(482));
    }
    let unknown: Vec<&str> = request
        .headers
        .elements("Require")
        .filter(|option| !SUPPORTED.split(", ").any(|known| option.eq_ignore_ascii_case(known)))
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(reply(420).with("Unsupported", &unknown.join(", ")))
    }
}

/// What a 2xx to OPTIONS says (RFC 3261 §11.2).
pub(super) fn capabilities(reply: Reply) -> Reply {
    reply
        .with("Allow", ALLOW)
        .with("Accept", "application/sdp")
        .with("Supported", SUPPORTED)
}

/// Where responses go (RFC 3261 §18.2.2).
pub(super) fn answer_flow(via: &Via, flow: Flow) -> Flow {
    match flow.transport {
        Transport::Udp => Flow {
            remote: via.respond_to(flow.remote),
            ..flow
        },
        Transport::Tcp | Transport::Tls => flow,
    }
}
