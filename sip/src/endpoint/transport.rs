//! What the transport does to transactions: connections that are gone, and `sips:` over what is no TLS.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Call, Endpoint, Event, Purpose};
use crate::call::{CallHandle, Phase};
use crate::flow::{Flow, Transport};
use crate::wire::Request;
use crate::wire::build::Reply;

impl Endpoint {
    /// Tells where we listen, bound or advertised: Via of a request that leaves by another transport than the one on which
    /// the call came. To be called before the first message comes.
    pub fn listens(&mut self, listening: Vec<(Transport, SocketAddr)>) {
        self.listening = listening.into();
    }

    /// A message for this flow could not be sent, or its connection broke: what is under way takes the other way that it
    /// has, or ends now and not at its timer (RFC 3261 §17.1.4, §17.2.4); our requests as if 503 had come (§8.1.3.1).
    pub fn transport_failed(&mut self, flow: Flow, now: Instant) {
        self.event(Event::Counted("transport_failed"));
        self.answers_moved(flow);
        let of_flow = |(id, (client, _)): (&u64, &(crate::transaction::client::Client, Purpose))| {
            (client.flow == flow && client.is_unanswered()).then_some(*id)
        };
        let lost: Vec<u64> = self.clients.iter().filter_map(of_flow).collect();
        for id in lost {
            let Some((client, purpose)) = self.clients.get_mut(&id) else {
                continue;
            };
            let purpose = *purpose;
            if let Some(bytes) = client.moved() {
                let to = client.flow;
                self.transmit(to, bytes);
                continue;
            }
            self.unsend(id);
            match purpose {
                // As after a 503: the session has time until its end.
                Purpose::Refresh(call) | Purpose::Reinvite(call) => self.not_asked(call, now),
                Purpose::Bye(_) | Purpose::Ask => self.answered_with(id, purpose, None, now),
            }
        }
    }

    fn not_asked(&mut self, call: CallHandle, now: Instant) {
        if let Some(Call::Established(established)) = self.calls.get_mut(&call)
            && established.phase != Phase::Over
            && established.session.is_some()
        {
            established.asking = false;
            self.refresh_again(call, now);
        }
    }

    /// Answers on a flow that is gone go to the port of Via, on a connection that is to be opened.
    fn answers_moved(&mut self, flow: Flow) {
        let mut again = Vec::new();
        for server in self.servers.values_mut().filter(|server| server.flow == flow) {
            again.extend(server.moved().map(|bytes| (server.flow, bytes)));
        }
        // What waits for its PRACK or its ACK is repeated by its call, from now on there.
        for call in self.calls.values_mut() {
            let Call::Established(established) = call else { continue };
            let early = established.early.as_mut().map(|early| (early.transaction, &mut early.flow, None));
            let pending = established.pending.as_mut().map(|pending| {
                let bytes = pending.bytes.clone();
                (pending.transaction, &mut pending.flow, Some(bytes))
            });
            for (transaction, from, bytes) in early.into_iter().chain(pending) {
                if *from == flow
                    && let Some(server) = self.servers.get(&transaction).filter(|server| server.flow != flow)
                {
                    *from = server.flow;
                    again.extend(bytes.map(|bytes| (server.flow, bytes)));
                }
            }
        }
        for (to, bytes) in again {
            self.transmit(to, bytes);
        }
    }
}

/// `sips:` promises TLS on the last hop; over anything else it is refused, as one does who is not to be reached
/// so (RFC 5630 §5.1.2).
pub(super) fn secured(request: &Request, flow: Flow, reply: impl Fn(u16) -> Reply) -> Result<(), Reply> {
    let sips = request.uri.sip().is_some_and(|sip| sip.secure);
    if !sips || flow.transport == Transport::Tls {
        return Ok(());
    }
    Err(reply(480).with("Warning", &format!("380 {} \"SIPS Not Allowed\"", flow.local)))
}
