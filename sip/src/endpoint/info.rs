//! INFO inside a call: keys, and nothing else.

use std::time::Instant;

use super::{Endpoint, Event};
use crate::call::CallHandle;
use crate::dtmf::info::{self, Info};
use crate::wire::Request;
use crate::wire::build::Reply;

impl Endpoint {
    /// Answers an INFO once; its repetitions are the transaction's.
    pub(super) fn on_info(&mut self, id: u64, call: CallHandle, request: &Request, now: Instant) {
        let reply = |status| Reply::to(status, &request.headers, &request.via, "");
        let reply = match info::read(request) {
            Info::Nothing => reply(200),
            Info::Key(digit) => {
                self.event(Event::Digit { call, digit, at: now });
                reply(200)
            }
            Info::Unreadable => reply(400).because("Bad Key"),
            Info::Unsupported => reply(415).with("Accept", info::ACCEPT),
            // RFC 6086 §4.2.2: an empty Recv-Info says that no package is wanted.
            Info::Package => reply(469).because("Bad Info Package").with("Recv-Info", ""),
        };
        self.respond(id, reply, now);
    }
}
