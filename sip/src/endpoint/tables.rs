//! The endpoint's tables of transactions, and their deadlines.

use std::time::Instant;

use super::{Call, Endpoint, Event, Purpose, Timer};
use crate::call::EndedBy;
use crate::flow::Flow;
use crate::hop::Hop;
use crate::transaction::client::Client;
use crate::transaction::server::Server;
use crate::transaction::{Alarm, Step};
use crate::wire::Response;
use crate::wire::build::Reply;

impl Endpoint {
    pub(super) fn open(&mut self, server: Server) -> u64 {
        let id = self.next_id();
        self.keys.insert(server.key.clone(), id);
        if let Some(merge) = &server.merge {
            self.merges.entry(merge.clone()).or_insert(id);
        }
        self.servers.insert(id, server);
        id
    }

    fn close(&mut self, id: u64) {
        let Some(server) = self.servers.remove(&id) else { return };
        self.keys.remove(&server.key);
        if let Some(merge) = &server.merge
            && self.merges.get(merge) == Some(&id)
        {
            self.merges.remove(merge);
        }
        self.timers.cancel(Timer::ServerResend(id));
        self.timers.cancel(Timer::ServerEnd(id));
    }

    /// Answers through the transaction.
    pub(super) fn respond(&mut self, id: u64, reply: Reply, now: Instant) {
        let status = reply.status();
        let bytes = reply.into_bytes();
        let Some(server) = self.servers.get_mut(&id) else { return };
        let (flow, step) = (server.flow, server.respond(status, bytes, now));
        self.perform(flow, step, Timer::ServerResend(id), Timer::ServerEnd(id));
    }

    /// Sends a request of ours, in a dialog or outside any. `branch` is the one in `bytes`.
    pub(super) fn send(&mut self, branch: String, hop: Hop, bytes: bytes::Bytes, purpose: Purpose, now: Instant) -> u64 {
        let id = self.next_id();
        self.branches.insert(branch.clone(), id);
        let invite = matches!(purpose, Purpose::Reinvite(_));
        let (client, step) = Client::start(branch, hop, bytes, invite, now);
        self.clients.insert(id, (client, purpose));
        self.perform(hop.flow, step, Timer::ClientResend(id), Timer::ClientEnd(id));
        id
    }

    /// Takes a request of ours out of all tables.
    pub(super) fn unsend(&mut self, id: u64) -> Option<(Client, Purpose)> {
        let (client, purpose) = self.clients.remove(&id)?;
        self.branches.remove(&client.branch);
        self.proved.remove(&id);
        self.timers.cancel(Timer::ClientResend(id));
        self.timers.cancel(Timer::ClientEnd(id));
        Some((client, purpose))
    }

    pub(super) fn perform(&mut self, flow: Flow, step: Step, resend: Timer, end: Timer) {
        if let Some(bytes) = step.send {
            self.transmit(flow, bytes);
        }
        for (timer, alarm) in [(resend, step.resend), (end, step.end)] {
            match alarm {
                Alarm::Keep => {}
                Alarm::Off => self.timers.cancel(timer),
                Alarm::At(at) => self.timers.set(timer, at),
            }
        }
    }

    /// Lets every deadline up to `now` have its effect.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.due(now) {
            match timer {
                Timer::ServerResend(id) => {
                    let Some(server) = self.servers.get_mut(&id) else { continue };
                    let (flow, step) = (server.flow, server.resend(now));
                    self.perform(flow, step, timer, Timer::ServerEnd(id));
                }
                Timer::ServerEnd(id) => self.close(id),
                Timer::ClientResend(id) => {
                    let Some((client, _)) = self.clients.get_mut(&id) else { continue };
                    let (flow, step) = (client.flow, client.resend(now));
                    self.perform(flow, step, timer, Timer::ClientEnd(id));
                }
                Timer::ClientEnd(id) => self.client_over(id, now),
                Timer::Trying(call) => {
                    let Some(Call::Offered { transaction, offered }) = self.calls.get(&call) else {
                        continue;
                    };
                    let trying = Reply::to(100, &offered.invite.headers, &offered.invite.via, "");
                    self.respond(*transaction, trying, now);
                }
                Timer::Session(call) => self.session_due(call, now),
                Timer::SessionEnd(call) => self.leave(call, EndedBy::Expired, now),
                Timer::CallResend(call) => {
                    let Some(Call::Established(established)) = self.calls.get_mut(&call) else {
                        continue;
                    };
                    if established.early.is_some() {
                        self.progress_again(call, now);
                        continue;
                    }
                    let Some(pending) = established.pending.as_mut() else { continue };
                    let (flow, bytes, next) = (pending.flow, pending.bytes.clone(), pending.sent_again(now));
                    self.transmit(flow, bytes);
                    self.timers.set(timer, next);
                }
                Timer::CallGiveUp(call) => match self.calls.get_mut(&call) {
                    Some(Call::Established(established)) if established.early.is_some() => self.never_confirmed(call, now),
                    Some(Call::Established(established)) => {
                        established.pending = None;
                        self.leave(call, EndedBy::NoAck, now);
                    }
                    Some(Call::Offered { .. }) => {
                        self.event(Event::Counted("undecided"));
                        let _ = self.decline(call, now);
                        self.event(Event::Cancelled { call });
                    }
                    None => {}
                },
            }
        }
    }

    fn client_over(&mut self, id: u64, now: Instant) {
        let Some((client, purpose)) = self.unsend(id) else { return };
        if client.is_unanswered() {
            self.answered_with(id, purpose, None, now);
        }
    }

    /// The final answer to a request of ours, or that there was none.
    pub(super) fn answered_with(&mut self, id: u64, purpose: Purpose, response: Option<&Response>, now: Instant) {
        match purpose {
            // Whatever the answer to a BYE is, the call is over (RFC 3261 §15.1.1).
            Purpose::Bye(call) => self.forget(call),
            Purpose::Refresh(call) => self.refreshed(call, response, now),
            Purpose::Reinvite(call) => self.reinvited(call, response, now),
            // Answers came as they are; this is the want of one.
            Purpose::Ask => self.event(Event::Answer { ask: id, response: None }),
        }
    }
}
