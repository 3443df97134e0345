//! A bench on virtual time: the peer is nothing but text, so that our codec cannot agree with its own mistakes.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use voxea_sip::call::{CallHandle, IncomingCall};
use voxea_sip::endpoint::{Ask, Config, Endpoint, Event, Limits, Output};
use voxea_sip::flow::{Flow, Transport};
use voxea_sip::policy::Trunk;
use voxea_sip::wire::method::Method;

pub(crate) const OFFER: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                         m=audio 6000 RTP/AVP 8 0 101\r\na=rtpmap:101 telephone-event/8000\r\n";

/// An endpoint, the time, and all that came out.
pub(crate) struct Bench {
    pub(crate) endpoint: Endpoint,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) flow: Flow,
    /// Milliseconds since the start, where to, what.
    pub(crate) sent: Vec<(u128, SocketAddr, String)>,
    pub(crate) events: Vec<Event>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Limits::default())
    }

    pub(crate) fn with(limits: Limits) -> Self {
        Self::of(Self::pbx(), limits)
    }

    /// The trunk that every bench has unless it says otherwise.
    pub(crate) fn pbx() -> Trunk {
        // Sound in clear also over TLS: what is tried here is the signalling.
        Trunk {
            srtp: Some(voxea_sip::srtp::Policy::Optional),
            ..Trunk::new("pbx", vec!["192.0.2.0/24".parse().unwrap()])
        }
    }

    pub(crate) fn of(trunk: Trunk, limits: Limits) -> Self {
        let endpoint = Endpoint::new(Config {
            secret: [7; 32],
            trunks: vec![trunk],
            lines: vec!["3000".to_owned()],
            limits,
        });
        let now = Instant::now();
        let flow = Flow {
            remote: "192.0.2.1:5060".parse().unwrap(),
            local: "192.0.2.10:5060".parse().unwrap(),
            transport: Transport::Udp,
        };
        Self {
            endpoint,
            start: now,
            now,
            flow,
            sent: Vec::new(),
            events: Vec::new(),
        }
    }

    pub(crate) fn tcp(mut self) -> Self {
        self.flow.transport = Transport::Tcp;
        self
    }

    fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.endpoint.poll_output() {
                Output::Transmit { flow, bytes } => {
                    let at = (self.now - self.start).as_millis();
                    self.sent.push((at, flow.remote, String::from_utf8(bytes.to_vec()).unwrap()));
                }
                Output::Event(Event::Counted(_)) => {}
                Output::Event(event) => self.events.push(event),
                Output::Timeout(at) => return at,
            }
        }
    }

    /// Something comes in; gives what went out at once.
    pub(crate) fn input(&mut self, text: impl Into<Bytes>) -> Vec<String> {
        let before = self.sent.len();
        self.endpoint.handle_input(text.into(), self.flow, self.now);
        self.drain();
        self.sent[before..].iter().map(|(_, _, text)| text.clone()).collect()
    }

    /// The only answer to `text`, by its status line.
    pub(crate) fn status(&mut self, text: impl Into<Bytes>) -> String {
        let answers = self.input(text);
        assert_eq!(answers.len(), 1, "{answers:#?}");
        first_line(&answers[0])
    }

    /// Time passes, deadline by deadline.
    pub(crate) fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.drain().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
        }
        self.now = until;
    }

    /// When something that begins with `start` was sent, in milliseconds.
    pub(crate) fn times(&self, start: &str) -> Vec<u128> {
        self.sent
            .iter()
            .filter(|(_, _, text)| text.starts_with(start))
            .map(|(at, _, _)| *at)
            .collect()
    }

    pub(crate) fn last(&self) -> &str {
        &self.sent.last().unwrap().2
    }

    /// An INVITE comes; gives what the user is told.
    pub(crate) fn offered(&mut self, invite: String) -> IncomingCall {
        let said = self.input(invite);
        assert!(said.is_empty(), "nothing is said before the decision, or 200 ms: {said:#?}");
        match self.events.pop() {
            Some(Event::IncomingCall(call)) => *call,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn accept(&mut self, call: CallHandle) -> String {
        self.endpoint.accept(call, "192.0.2.10:40000".parse().unwrap(), self.now).unwrap();
        self.drain();
        self.last().to_owned()
    }

    pub(crate) fn hangup(&mut self, call: CallHandle) {
        self.endpoint.hangup(call, self.now).unwrap();
        self.drain();
    }

    /// A call that is answered and confirmed: its handle and our tag.
    pub(crate) fn talking(&mut self) -> (CallHandle, String) {
        let call = self.offered(invite("1")).call;
        let tag = tag(&self.accept(call));
        assert!(self.input(inside("ACK", 1, &tag, "ack", "")).is_empty());
        assert!(matches!(self.events.pop(), Some(Event::Answered { call: found, .. }) if found == call));
        (call, tag)
    }
}

pub(crate) fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or_default().to_owned()
}

pub(crate) fn header<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// Our tag in To.
pub(crate) fn tag(text: &str) -> String {
    header(text, "To").unwrap().split("tag=").nth(1).unwrap().to_owned()
}

/// A request as a peer writes it. `head` stands between Via and the body.
pub(crate) fn message(method: &str, uri: &str, branch: &str, head: &str, body: &str) -> String {
    format!(
        "{method} {uri} SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{branch};rport\r\n{head}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// An INVITE to 3000 with an offer; `id` makes branch, tag and Call-ID.
pub(crate) fn invite(id: &str) -> String {
    invite_with(id, "3000", "", OFFER)
}

pub(crate) fn invite_with(id: &str, to: &str, extra: &str, sdp: &str) -> String {
    let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let head = format!(
        "Max-Forwards: 70\r\nFrom: \"Zoé\" <sip:+33612345678@192.0.2.1>;tag=a{id}\r\nTo: <sip:{to}@192.0.2.10>\r\n\
         Call-ID: call-{id}\r\nCSeq: 1 INVITE\r\nContact: <sip:pbx@192.0.2.1:5080>\r\n{extra}{kind}"
    );
    message("INVITE", &format!("sip:{to}@192.0.2.10"), id, &head, sdp)
}

/// A request without To tag that goes with [`invite`]: its ACK for a refusal, its CANCEL.
pub(crate) fn beside(method: &str, id: &str, to_tag: &str) -> String {
    let head = format!(
        "Max-Forwards: 70\r\nFrom: \"Zoé\" <sip:+33612345678@192.0.2.1>;tag=a{id}\r\nTo: <sip:3000@192.0.2.10>{to_tag}\r\n\
         Call-ID: call-{id}\r\nCSeq: 1 {method}\r\n"
    );
    message(method, "sip:3000@192.0.2.10", id, &head, "")
}

/// A request inside the dialog of call 1.
pub(crate) fn inside(method: &str, cseq: u32, tag: &str, branch: &str, sdp: &str) -> String {
    let kind = if sdp.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let head = format!(
        "Max-Forwards: 70\r\nFrom: \"Zoé\" <sip:+33612345678@192.0.2.1>;tag=a1\r\nTo: <sip:3000@192.0.2.10>;tag={tag}\r\n\
         Call-ID: call-1\r\nCSeq: {cseq} {method}\r\nContact: <sip:pbx@192.0.2.1:5080>\r\n{kind}"
    );
    message(method, "sip:192.0.2.10:5060", branch, &head, sdp)
}

/// A question of ours outside any dialog.
pub(crate) fn options() -> Ask {
    Ask {
        method: Method::OPTIONS,
        uri: "sip:192.0.2.1:5060".to_owned(),
        headers: vec![
            ("From", "<sip:a@h>;tag=1".to_owned()),
            ("To", "<sip:h>".to_owned()),
            ("Call-ID", "c".to_owned()),
            ("CSeq", "1 OPTIONS".to_owned()),
        ],
    }
}
