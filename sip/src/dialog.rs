//! Dialogs: what two ends share about one call (RFC 3261 §12).

use std::sync::Arc;

use crate::flow::{Flow, Transport};
use crate::hop::{self, Hop, Listening};
use crate::wire::Request;
use crate::wire::addr::NameAddr;
use crate::wire::build::{self, Reply};
use crate::wire::header::Headers;
use crate::wire::method::Method;
use crate::wire::uri::Uri;

/// A dialog of which we are the called side.
#[derive(Debug, Clone)]
pub(crate) struct Dialog {
    call_id: String,
    pub(crate) local_tag: String,
    remote_tag: String,
    /// To of the INVITE with our tag: who we are in requests of ours.
    local: String,
    /// From of the INVITE.
    remote: String,
    /// Where requests of ours are addressed to; a re-INVITE or UPDATE may move it (§12.2.2).
    target: Uri,
    /// Record-Route of the INVITE, in its order (§12.1.1).
    routes: Vec<String>,
    local_cseq: u32,
    remote_cseq: u32,
    /// How the INVITE came.
    flow: Flow,
    /// Our half of the session identifier and the caller's, when the caller has one (RFC 7989).
    session_id: Option<(String, String)>,
    /// Whether the INVITE came through an address translation that its Via did not know of.
    translated: bool,
    /// Whether `sips:` was asked for (RFC 3261 §12.1.1): our Contact says it too.
    secure: bool,
    listening: Arc<Listening>,
}

/// The name under which a dialog is found: by the tags as the peer writes them in its requests.
pub(crate) fn key(call_id: &str, local_tag: &str, remote_tag: &str) -> String {
    format!("{call_id}|{local_tag}|{remote_tag}")
}

/// What keeps an INVITE from making a dialog (§12.1.1): a Contact that cannot be called, a Record-Route that cannot be read.
/// Without a Contact it is a caller of RFC 2543, who is called by From (RFC 4475 §3.4.1).
pub(crate) fn flaw(invite: &Request) -> Option<&'static str> {
    if invite.headers.get("Contact").is_some() && contact(&invite.headers).is_none() {
        return Some("Bad Contact");
    }
    let mut routes = invite.headers.elements("Record-Route");
    routes.any(|route| NameAddr::parse(route).is_none()).then_some("Bad Record-Route")
}

impl Dialog {
    /// The dialog that a 2xx to this INVITE makes. `flow.remote` is where the INVITE really came from.
    /// `session_id` is our half of the session identifier: 32 hexadecimal digits.
    pub(crate) fn called(invite: &Request, local_tag: &str, flow: Flow, session_id: String, listening: Arc<Listening>) -> Self {
        let contact = contact(&invite.headers);
        let to = invite.headers.get("To").unwrap_or_default();
        Self {
            call_id: invite.call_id.clone(),
            local_tag: local_tag.to_owned(),
            remote_tag: invite.from.tag().unwrap_or_default().to_owned(),
            local: format!("{to};tag={local_tag}"),
            remote: invite.headers.get("From").unwrap_or_default().to_owned(),
            target: contact.unwrap_or_else(|| invite.from.uri.clone()),
            routes: invite.headers.elements("Record-Route").map(str::to_owned).collect(),
            local_cseq: 0,
            remote_cseq: invite.cseq,
            flow,
            session_id: crate::call::facts::session_id(invite).map(|theirs| (session_id, theirs)),
            translated: invite.via.host.parse() != Ok(flow.remote.ip()),
            secure: is_secure(invite),
            listening,
        }
    }

    pub(crate) fn key(&self) -> String {
        key(&self.call_id, &self.local_tag, &self.remote_tag)
    }

    /// Whether a request of the peer is in order; notes its number (§12.2.2).
    pub(crate) fn follows(&mut self, request: &Request) -> bool {
        if request.cseq < self.remote_cseq {
            return false;
        }
        self.remote_cseq = request.cseq;
        true
    }

    /// A target refresh (§12.2.2, RFC 3311 §5.2).
    pub(crate) fn refresh(&mut self, headers: &Headers) {
        if let Some(uri) = contact(headers) {
            self.target = uri;
        }
    }

    /// Where the INVITE really came from.
    pub(crate) const fn source(&self) -> std::net::SocketAddr {
        self.flow.remote
    }

    /// The Request-URI of a request of ours.
    pub(crate) fn request_uri(&self) -> String {
        let first = self.routes.first().and_then(|route| NameAddr::parse(route)).map(|found| found.uri);
        let strict = first.filter(|hop| hop.sip().is_some_and(|sip| !sip.is_loose()));
        strict.as_ref().unwrap_or(&self.target).to_string()
    }

    /// An answer in this dialog, under its session identifier where it has one (RFC 7989 §6).
    pub(crate) fn identified(&self, reply: Reply) -> Reply {
        match &self.session_id {
            Some((ours, theirs)) => reply.with("Session-ID", &format!("{ours};remote={theirs}")),
            None => reply,
        }
    }

    /// Our Contact.
    pub(crate) fn contact(&self) -> String {
        local_contact(self.flow, self.secure)
    }

    /// A request of ours in this dialog (§12.2.1.1), with further header fields, and where it goes.
    pub(crate) fn request_with(&mut self, method: &Method, branch: &str, more: &[(&str, String)]) -> (bytes::Bytes, Hop) {
        self.local_cseq += 1;
        self.compose(method, branch, self.local_cseq, more, "")
    }

    /// An INVITE of ours with this offer (§14.1), and where it goes.
    pub(crate) fn invite(&mut self, branch: &str, more: &[(&str, String)], offer: &str) -> (bytes::Bytes, Hop) {
        self.local_cseq += 1;
        self.compose(&Method::INVITE, branch, self.local_cseq, more, offer)
    }

    /// The ACK for a final answer to the INVITE of this number (§13.2.2.4, §17.1.1.3), and where it goes.
    pub(crate) fn acknowledgement(&self, cseq: u32, branch: &str) -> (bytes::Bytes, Flow) {
        let (bytes, hop) = self.compose(&Method::ACK, branch, cseq, &[], "");
        (bytes, hop.flow)
    }

    fn compose(&self, method: &Method, branch: &str, cseq: u32, more: &[(&str, String)], sdp: &str) -> (bytes::Bytes, Hop) {
        let first = self.routes.first().and_then(|route| NameAddr::parse(route)).map(|found| found.uri);
        let strict = first.as_ref().and_then(Uri::sip).is_some_and(|sip| !sip.is_loose());
        let target = format!("<{}>", self.target);
        let (uri, routes): (&Uri, Vec<&str>) = match &first {
            // A strict router wants its own address in the Request-URI and the target at the end.
            Some(hop) if strict => (
                hop,
                self.routes.iter().skip(1).map(String::as_str).chain([target.as_str()]).collect(),
            ),
            _ => (&self.target, self.routes.iter().map(String::as_str).collect()),
        };
        let hop = self.hop(first.as_ref().unwrap_or(&self.target));
        let flow = hop.flow;
        let mut headers = Headers::default();
        headers.push(
            "Via",
            &format!("SIP/2.0/{} {};branch={branch};rport", flow.transport.as_str(), flow.local),
        );
        for route in routes {
            headers.push("Route", route);
        }
        headers.push("Max-Forwards", "70");
        headers.push("From", &self.local);
        headers.push("To", &self.remote);
        headers.push("Call-ID", &self.call_id);
        headers.push("CSeq", &format!("{cseq} {method}"));
        if let Some((ours, theirs)) = &self.session_id {
            headers.push("Session-ID", &format!("{ours};remote={theirs}"));
        }
        for (name, value) in more {
            headers.push(name, value);
        }
        (build::request(method, uri.as_str(), &headers, sdp), hop)
    }

    fn hop(&self, uri: &Uri) -> Hop {
        hop::next(uri, self.flow, self.translated, &self.listening)
    }
}

/// Whether our Contact must be `sips:` (RFC 3261 §12.1.1, RFC 5630 §5.1.2): the Request-URI or the topmost Record-Route is,
/// or without a Record-Route the peer's Contact.
pub(crate) fn is_secure(request: &Request) -> bool {
    let secure = |uri: &Uri| uri.sip().is_some_and(|sip| sip.secure);
    let route = request.headers.elements("Record-Route").next().and_then(NameAddr::parse);
    secure(&request.uri)
        || match route {
            Some(route) => secure(&route.uri),
            None => contact(&request.headers).is_some_and(|uri| secure(&uri)),
        }
}

/// Our address as a peer of this flow reaches it. `transport=tls` is what RFC 5630 §5.1.2 would not have us write, and what
/// every PBX with `sip:` over TLS writes and understands (§3.1.4): without it a BYE would come by UDP. `sips:` goes to those
/// who use it.
pub(crate) fn local_contact(flow: Flow, secure: bool) -> String {
    match flow.transport {
        Transport::Tls if secure => format!("<sips:{}>", flow.local),
        Transport::Udp => format!("<sip:{}>", flow.local),
        transport => format!("<sip:{};transport={transport}>", flow.local),
    }
}

fn contact(headers: &Headers) -> Option<Uri> {
    headers
        .elements("Contact")
        .next()
        .and_then(NameAddr::parse)
        .map(|found| found.uri)
        .filter(|uri| uri.sip().is_some())
}
