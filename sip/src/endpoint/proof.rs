//! Who is let in of a trunk that has a password, before anything is remembered or looked up.

use std::time::Instant;

use super::{Endpoint, Event};
use crate::auth::{Asked, Verdict};
use crate::flow::Flow;
use crate::wire::Request;
use crate::wire::method::Method;

impl Endpoint {
    /// Whether a request may be treated. What may not is answered from no state (RFC 3261 §8.2.7), and `None`.
    ///
    /// OPTIONS and CANCEL are never challenged, ACK never comes this far. A request in a dialog needs no credentials
    /// when it comes from where its INVITE came from, since that one was proved and its tags are secrets; from another
    /// address of the trunk it needs them.
    pub(super) fn admitted(&mut self, request: Box<Request>, flow: Flow, trunk: usize, now: Instant) -> Option<Box<Request>> {
        let realm = self.trunks.get(trunk).and_then(|trunk| trunk.realm.as_ref());
        let Some(realm) = realm.filter(|_| self.must_prove(&request, flow)) else {
            return Some(request);
        };
        let method = request.method.to_string();
        let asked = Asked {
            method: &method,
            uri: &request.uri,
            source: flow.remote.ip(),
        };
        let verdict = self.guard.check(realm, asked, request.headers.all("Authorization"), now);
        let stale = match verdict {
            Verdict::Passed => return Some(request),
            Verdict::Challenge { stale, wrong } => {
                self.event(Event::Counted(if wrong { "unauthorised" } else { "challenged" }));
                if wrong {
                    self.count_call(&request, trunk, false);
                }
                stale
            }
            Verdict::Misdirected => {
                self.event(Event::Counted("unauthorised"));
                self.count_call(&request, trunk, false);
                let (to, reply) = self.stateless(400, &request.headers, request.via, flow);
                self.transmit(to, reply.because("Digest URI Differs").into_bytes());
                return None;
            }
            Verdict::Throttled => {
                self.event(Event::Counted("throttled"));
                self.count_call(&request, trunk, false);
                if self.refusals.take(now) {
                    let (to, reply) = self.stateless(403, &request.headers, request.via, flow);
                    self.transmit(to, reply.into_bytes());
                }
                return None;
            }
        };
        let challenges = match self.trunks.get(trunk).and_then(|trunk| trunk.realm.as_ref()) {
            Some(realm) => self.guard.challenges(realm, stale, now),
            None => Vec::new(),
        };
        let (to, reply) = self.stateless(401, &request.headers, request.via, flow);
        let reply = challenges.iter().fold(reply, |reply, one| reply.with("WWW-Authenticate", one));
        self.transmit(to, reply.into_bytes());
        None
    }

    fn must_prove(&self, request: &Request, flow: Flow) -> bool {
        if request.to.tag().is_none() {
            return !matches!(request.method, Method::OPTIONS | Method::CANCEL);
        }
        // A dialog that is not there is answered 481.
        let call = self.dialog_of(request).and_then(|call| self.calls.get(&call));
        match call {
            Some(super::Call::Established(established)) => {
                established.dialog.source().ip() != flow.remote.ip() && request.method != Method::CANCEL
            }
            _ => false,
        }
    }

    /// Notes that a call of a trunk was offered, or refused.
    pub(super) fn count(&mut self, trunk: usize, offered: bool) {
        if let Some(tally) = self.tallies.get_mut(trunk) {
            if offered {
                tally.calls += 1;
            } else {
                tally.refused += 1;
            }
        }
    }

    /// The same, when the request is one that would begin a call.
    pub(super) fn count_call(&mut self, request: &Request, trunk: usize, offered: bool) {
        if request.method == Method::INVITE && request.to.tag().is_none() {
            self.count(trunk, offered);
        }
    }
}
