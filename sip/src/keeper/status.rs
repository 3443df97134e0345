//! What is known of a trunk's peer.

use std::time::Instant;

use super::settings::Settings;

/// Whether it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nobody asked yet, or not often enough to know.
    Unknown,
    /// It answered.
    Up,
    /// It did not, twice in a row.
    Down,
    /// It answers, but we are not registered with it, and try again by ourselves.
    Retrying,
    /// It answers, and refuses to register us: somebody must change something. Slowly tried again all the same.
    Halted,
}

/// What an operator sees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// The trunk's name.
    pub name: String,
    /// Where it is reached, `udp:192.0.2.1:5060`.
    pub address: String,
    /// Whether it is there.
    pub state: State,
    /// Since when it is in this state.
    pub since: Instant,
    /// Until when we are registered with it.
    pub registered_until: Option<Instant>,
    /// What went wrong last. Says nothing about citizens.
    pub last_error: Option<String>,
    /// When it is asked next, or when the next attempt to register is due.
    pub next_attempt: Option<Instant>,
}

impl Status {
    pub(super) fn new(settings: &Settings, now: Instant) -> Self {
        Self {
            name: settings.name.clone(),
            address: format!("{}:{}", settings.transport, settings.address()),
            state: State::Unknown,
            since: now,
            registered_until: None,
            last_error: None,
            next_attempt: None,
        }
    }

    pub(super) fn enter(&mut self, state: State, now: Instant) {
        if self.state != state {
            (self.state, self.since) = (state, now);
        }
    }
}
