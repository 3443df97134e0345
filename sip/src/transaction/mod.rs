//! Transactions (RFC 3261 §17 with RFC 6026): one request and its answers, whatever the network repeats or loses.

pub(crate) mod client;
pub(crate) mod server;

use std::time::Instant;

use bytes::Bytes;

use crate::wire::Request;

/// What a transaction wants done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Step {
    /// Bytes for the wire.
    pub(crate) send: Option<Bytes>,
    /// When to retransmit: timers E and G.
    pub(crate) resend: Alarm,
    /// When to end: timers F, H, I, J, K and L.
    pub(crate) end: Alarm,
}

/// What becomes of a deadline.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Alarm {
    /// It stays as it is.
    #[default]
    Keep,
    /// It is taken out.
    Off,
    /// It is set.
    At(Instant),
}

/// Which transaction a request is of (RFC 3261 §17.2.3). ACK and CANCEL ask with the INVITE's method.
pub(crate) fn key(request: &Request, method: &str) -> String {
    match request.via.branch() {
        Some(branch) => format!("{branch}|{}|{method}", request.via.sent_by()),
        // A peer of RFC 2543, or an empty branch (RFC 4475 §3.2.1). Request-URI and To are left out, because
        // its ACK may differ there; Call-ID, CSeq, From tag and Via are enough to tell transactions apart.
        None => format!(
            "{}|{}|{}|{}|{method}",
            request.via.sent_by(),
            request.call_id,
            request.cseq,
            request.from.tag().unwrap_or_default(),
        ),
    }
}

/// What copies of one request that came along different ways have in common (RFC 3261 §8.2.2.2).
pub(crate) fn merge_key(request: &Request) -> String {
    format!(
        "{}|{}|{}|{}",
        request.call_id,
        request.cseq,
        request.from.tag().unwrap_or_default(),
        request.method
    )
}

/// What a repeated INVITE has in common with the first one, also for a process that never saw that. One that was proved
/// comes back with the next CSeq when its nonce was of before a crash; CSeq is left out then (RFC 3261 §22.2).
pub(crate) fn identity(invite: &Request) -> String {
    if invite.headers.get("Authorization").is_none() {
        return merge_key(invite);
    }
    format!("{}|{}", invite.call_id, invite.from.tag().unwrap_or_default())
}
