//! Refusals for which nothing is remembered (RFC 3261 §8.2.7): junk that comes a thousand times a second must not fill the
//! table that calls need.

use super::receive::{answer_flow, check};
use super::{Endpoint, Event};
use crate::dialog;
use crate::flow::Flow;
use crate::transaction;
use crate::wire::Request;
use crate::wire::build::Reply;
use crate::wire::method::Method;

impl Endpoint {
    /// Refuses what has no effect and will have none however often it comes: the same request always gets the same answer,
    /// with the same tag. An INVITE is never of them, since its refusal must be repeated until the ACK.
    pub(super) fn refused_from_no_state(&mut self, request: &Request, flow: Flow) -> bool {
        if request.method == Method::INVITE {
            return false;
        }
        let to = answer_flow(&request.via, flow);
        let mut via = request.via.clone();
        via.received(flow.remote);
        let tag = self
            .ids
            .stateless(&[&request.call_id, &request.cseq.to_string(), via.branch().unwrap_or_default()]);
        let reply = |status| Reply::to(status, &request.headers, &via, &tag);
        let (counted, refusal) = if request.method == Method::CANCEL {
            if self.keys.contains_key(&transaction::key(request, "INVITE")) {
                return false;
            }
            ("refused", reply(481))
        } else {
            match (check(request, false, reply), request.to.tag()) {
                (Err(refusal), _) => ("refused", refusal),
                (Ok(()), None) if request.method == Method::OPTIONS => return false,
                (Ok(()), None) => ("refused", reply(481)),
                (Ok(()), Some(ours)) => {
                    let key = dialog::key(&request.call_id, ours, request.from.tag().unwrap_or_default());
                    if self.dialogs.contains_key(&key) {
                        return false;
                    }
                    ("no_dialog", reply(481))
                }
            }
        };
        self.event(Event::Counted(counted));
        self.transmit(to, refusal.into_bytes());
        true
    }
}
