//! Requests of ours outside any dialog, and those inside one that a peer wants proved.

use std::time::Instant;

use super::session::refresh;
use super::{Call, Endpoint, Event, Purpose};
use crate::call::Phase;
use crate::flow::Flow;
use crate::hop::Hop;
use crate::wire::Response;
use crate::wire::build;
use crate::wire::header::Headers;
use crate::wire::method::Method;

/// A request outside any dialog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// Its method: OPTIONS or REGISTER.
    pub method: Method,
    /// Its Request-URI.
    pub uri: String,
    /// Its header fields but Via and Max-Forwards.
    pub headers: Vec<(&'static str, String)>,
}

impl Endpoint {
    /// Sends a request. [`Event::Answer`] brings what came of it, within 32 s (timer F). It has no other way to go: where a
    /// name has several addresses, the next one is another server, with nonces of its own, and wants a request of its own
    /// (RFC 3263 §4.3). Who asks looks for it.
    pub fn ask(&mut self, flow: Flow, ask: &Ask, now: Instant) -> u64 {
        let branch = format!("z9hG4bK{}", self.ids.token());
        let mut headers = Headers::default();
        headers.push(
            "Via",
            &format!("SIP/2.0/{} {};branch={branch};rport", flow.transport.as_str(), flow.local),
        );
        headers.push("Max-Forwards", "70");
        for (name, value) in &ask.headers {
            headers.push(name, value);
        }
        let bytes = build::request(&ask.method, &ask.uri, &headers, "");
        self.send(branch, Hop::only(flow), bytes, Purpose::Ask, now)
    }

    /// Repeats a request no more, and tells nothing of it.
    pub fn give_up(&mut self, ask: u64) {
        if matches!(self.clients.get(&ask), Some((_, Purpose::Ask))) {
            self.unsend(ask);
        }
    }

    /// Whether a final response was dealt with here: as the answer to an [`Ask`], or by proving one of a dialog.
    pub(super) fn taken_as_answer(&mut self, id: u64, purpose: Purpose, response: &Response, now: Instant) -> bool {
        if !matches!(purpose, Purpose::Ask) {
            return self.prove(id, purpose, response, now).is_some();
        }
        let response = Some(Box::new(response.clone()));
        self.event(Event::Answer { ask: id, response });
        true
    }

    /// Sends a request of a dialog once more, with the credentials that its trunk asks for (RFC 3261 §22.2).
    fn prove(&mut self, id: u64, purpose: Purpose, response: &Response, now: Instant) -> Option<()> {
        if !matches!(response.status, 401 | 407) || self.proved.contains(&id) {
            return None;
        }
        let (call, method) = match purpose {
            Purpose::Bye(call) => (call, Method::BYE),
            Purpose::Refresh(call) => (call, Method::UPDATE),
            Purpose::Reinvite(call) => (call, Method::INVITE),
            Purpose::Ask => return None,
        };
        let Some(Call::Established(established)) = self.calls.get(&call) else {
            return None;
        };
        let mut login = self.trunks.get(established.trunk)?.login.clone()?;
        login.challenged(response).ok()?;
        let (branch, cnonce) = (format!("z9hG4bK{}", self.ids.token()), self.ids.token());
        let Some(Call::Established(established)) = self.calls.get_mut(&call) else {
            return None;
        };
        let dialog = &mut established.dialog;
        let mut headers = match (purpose, established.session) {
            (Purpose::Bye(_), _) => Vec::new(),
            (_, Some(session)) if established.phase == Phase::Talking => refresh(dialog, session).to_vec(),
            // What was to be refreshed is over.
            _ => return None,
        };
        headers.push(login.authorization(&method.to_string(), &dialog.request_uri(), &cnonce)?);
        let (bytes, hop) = if method == Method::INVITE {
            dialog.invite(&branch, &headers, &established.sdp)
        } else {
            dialog.request_with(&method, &branch, &headers)
        };
        let again = self.send(branch, hop, bytes, purpose, now);
        self.proved.insert(again);
        Some(())
    }
}
