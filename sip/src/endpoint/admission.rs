//! Who may call now: limits on the whole endpoint and on each trunk, asked before any work is done for a call.

use std::time::Instant;

use super::user::Gone;
use super::{Call, Endpoint, Event};
use crate::call::CallHandle;
use crate::flow::Flow;
use crate::wire::Request;
use crate::wire::build::Reply;
use crate::wire::method::Method;

impl Endpoint {
    /// Whether one more call of this trunk may be taken in.
    ///
    /// # Errors
    /// What it is too much for, as it is counted.
    pub(super) fn admit(&mut self, trunk: usize, now: Instant) -> Result<(), &'static str> {
        if self.draining {
            return Err("draining");
        }
        if self.calls.len() >= self.limits.calls {
            return Err("call_limit");
        }
        let (Some(limits), Some(gate)) = (self.trunks.get(trunk), self.gates.get_mut(trunk)) else {
            return Err("overload");
        };
        if gate.calls >= limits.max_calls {
            return Err("trunk_calls");
        }
        let too_fast = gate.rate.as_mut().is_some_and(|rate| !rate.take(now));
        if too_fast { Err("trunk_rate") } else { Ok(()) }
    }

    /// A call of this trunk begins.
    pub(super) fn enter(&mut self, trunk: usize) {
        if let Some(gate) = self.gates.get_mut(trunk) {
            gate.calls += 1;
        }
    }

    /// A call of this trunk is wholly over.
    pub(super) fn left(&mut self, trunk: usize) {
        if let Some(gate) = self.gates.get_mut(trunk) {
            gate.calls = gate.calls.saturating_sub(1);
        }
    }

    /// The calls of a trunk that are not wholly over, by its place in the configuration.
    #[must_use]
    pub fn calls_of(&self, trunk: usize) -> usize {
        self.gates.get(trunk).map_or(0, |gate| gate.calls)
    }

    /// Refuses a call that cannot be taken in for now, in the words that its trunk falls back on: one that is offered, or
    /// one that hears something before an answer; of the latter [`Event::Cancelled`] says that it is over.
    ///
    /// # Errors
    /// [`Gone`] when the caller gave up meanwhile, or the call was answered.
    pub fn decline(&mut self, call: CallHandle, now: Instant) -> Result<(), Gone> {
        let (trunk, is_early) = match self.calls.get(&call) {
            Some(Call::Offered { offered, .. }) => (offered.trunk, false),
            Some(Call::Established(established)) if established.early.is_some() => (established.trunk, true),
            _ => return Err(Gone),
        };
        self.refuse(call, self.failure(trunk), Some(self.limits.retry_after), now);
        if is_early {
            self.event(Event::Cancelled { call });
        }
        Ok(())
    }

    /// No transaction more can be kept, so the answer comes from no state. A new call hears what its trunk falls back on. A
    /// request in a call that goes on hears 503 whatever is configured: that fails this one request, while 404 or 502 would
    /// end the call (RFC 5057 §5.1).
    pub(super) fn no_room(&mut self, request: Request, flow: Flow, trunk: usize) {
        self.event(Event::Counted("overload"));
        self.count_call(&request, trunk, false);
        let begins = request.method == Method::INVITE && request.to.tag().is_none();
        let status = if begins { self.failure(trunk) } else { 503 };
        let (to, reply) = self.stateless(status, &request.headers, request.via, flow);
        self.transmit(to, reply.retry_after(self.limits.retry_after).into_bytes());
    }

    /// The status of an answer to a call that cannot be taken in for now.
    pub(super) fn failure(&self, trunk: usize) -> u16 {
        self.trunks.get(trunk).map_or(503, |trunk| trunk.failure)
    }

    /// Such an answer, and its count.
    pub(super) fn too_much(&mut self, id: u64, why: &'static str, reply: Reply, now: Instant) {
        self.event(Event::Counted(why));
        let reply = reply.retry_after(self.limits.retry_after);
        self.respond(id, reply, now);
    }
}
