//! INVITEs of ours inside a call: a session refresh for a peer that answers no UPDATE (RFC 4028 §10, RFC 3261 §14.1).

use std::time::Instant;

use super::{Call, Endpoint, Event, Purpose};
use crate::call::{CallHandle, Phase};
use crate::sdp::{self, Description};
use crate::wire::Response;
use crate::wire::multipart::{self, Session};

impl Endpoint {
    /// Offers again what was agreed on, unchanged. While another change is going on it waits.
    pub(super) fn reinvite(&mut self, call: CallHandle, branch: String, headers: &[(&str, String)], now: Instant) {
        let Some(Call::Established(established)) = self.calls.get_mut(&call) else {
            return;
        };
        let busy = established.asking || established.pending.is_some() || established.media.is_none();
        if busy || established.phase != Phase::Talking {
            return self.refresh_again(call, now);
        }
        established.asking = true;
        let (bytes, hop) = established.dialog.invite(&branch, headers, &established.sdp);
        self.send(branch, hop, bytes, Purpose::Reinvite(call), now);
    }

    /// Every final answer to an INVITE is confirmed: a 2xx by the dialog, any other by its transaction.
    pub(super) fn confirm(&mut self, id: u64, purpose: Purpose, response: &Response) {
        let Purpose::Reinvite(call) = purpose else { return };
        let branch = match response.status {
            200..=299 => format!("z9hG4bK{}", self.ids.token()),
            _ => self.clients.get(&id).map(|(client, _)| client.branch.clone()).unwrap_or_default(),
        };
        let Some(Call::Established(established)) = self.calls.get(&call) else {
            return;
        };
        let (ack, flow) = established.dialog.acknowledgement(response.cseq, &branch);
        if let Some((client, _)) = self.clients.get_mut(&id)
            && client.is_invite()
        {
            client.acknowledge(flow, ack.clone());
        }
        self.transmit(flow, ack);
    }

    /// The final answer to our INVITE, or none.
    pub(super) fn reinvited(&mut self, call: CallHandle, response: Option<&Response>, now: Instant) {
        let Some(Call::Established(established)) = self.calls.get_mut(&call) else {
            return;
        };
        established.asking = false;
        let answer = response
            .filter(|response| (200..300).contains(&response.status))
            .map(|response| multipart::described(&response.headers, &response.body));
        if let Some(Session::Sdp(text)) = answer
            && let Some(media) =
                Description::parse(&text).and_then(|answer| sdp::accept(&answer, &established.local, &established.sdp).ok())
            && established.media != Some(media)
        {
            established.media = Some(media);
            self.event(Event::Renegotiated { call, media });
        }
        self.refreshed(call, response, now);
    }
}
