//! What an endpoint holds at a moment, for gauges and for the proof that it gives everything back.

use super::{Call, Endpoint};

/// How many entries its tables have.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// Calls that are offered, going on or being ended.
    pub calls: usize,
    /// Of these, those whose 2xx no ACK has confirmed.
    pub unconfirmed: usize,
    /// Dialogs that requests can be found by.
    pub dialogs: usize,
    /// Server transactions.
    pub transactions: usize,
    /// Client transactions: our own BYE, UPDATE and OPTIONS.
    pub requests: usize,
    /// Deadlines.
    pub timers: usize,
    /// Calls that count against their trunk's `max_calls`.
    pub admitted: usize,
    /// Entries by which the tables are searched: transaction keys, merged requests, branches, offered calls.
    pub indices: usize,
}

impl Endpoint {
    /// What is held now.
    #[must_use]
    pub fn held(&self) -> Held {
        let unconfirmed = |call: &&Call| matches!(call, Call::Established(established) if established.pending.is_some());
        Held {
            calls: self.calls.len(),
            unconfirmed: self.calls.values().filter(unconfirmed).count(),
            dialogs: self.dialogs.len(),
            transactions: self.servers.len(),
            requests: self.clients.len(),
            timers: self.timers.len(),
            admitted: self.gates.iter().map(|gate| gate.calls).sum(),
            indices: self.keys.len() + self.merges.len() + self.branches.len() + self.offered.len(),
        }
    }
}
