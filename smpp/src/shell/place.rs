//! What a connection is given: what it shares with the account's others, and which of them it is.

use std::sync::Arc;

use tokio::sync::Mutex;
use voxea_core::Core;
use voxea_core::base::stop::Stop;
use voxea_core::channel::{Meter, Reporter};

use super::board::Board;
use crate::config::Config;
use crate::pdu::Bind;

/// What the connections of an account share.
pub(super) struct Account {
    pub(super) config: Arc<Config>,
    pub(super) core: Core,
    pub(super) reporter: Reporter,
    pub(super) stop: Stop,
    /// Whose turn it is to lease.
    pub(super) turn: Arc<Mutex<()>>,
}

impl Account {
    /// Counts something that happened.
    pub(super) fn count(&self, event: &'static str) {
        self.core.counters.add(self.reporter.account(), event, 1);
    }
}

/// Which connection of its account this is.
pub(super) struct Place {
    /// Its name, the same each time it is made anew.
    pub(super) name: Arc<str>,
    pub(super) bind: Bind,
    pub(super) meter: Meter,
    pub(super) board: Arc<Board>,
}

/// A bind's kind as the API calls it.
pub(super) const fn kind(bind: Bind) -> &'static str {
    match bind {
        Bind::Transceiver => "transceiver",
        Bind::Transmitter => "transmitter",
        Bind::Receiver => "receiver",
    }
}

/// Texts of ours that may be under way on a bind.
pub(super) fn window(config: &Config, bind: Bind) -> u64 {
    if bind == Bind::Receiver { 0 } else { config.window as u64 }
}
