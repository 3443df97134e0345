//! The keepers of all trunks that have an address.

use std::collections::HashMap;
use std::time::Instant;

use tokio::task::JoinSet;
use voxea_core::base::time::{self, Millis};

use super::outgoing::Ways;
use super::secret::secret;
use crate::config::Config;
use crate::flow::Flow;
use crate::keeper::{Keeper, State, Task};

/// A flow that was looked for.
pub(super) type Reached = (usize, Result<Flow, String>);

/// The keepers, and what they wait for.
pub(super) struct Keeping {
    pub(super) keepers: Vec<Keeper>,
    /// By number of the request: whose, and for what.
    pub(super) asks: HashMap<u64, (usize, Task)>,
    pub(super) reaching: JoinSet<Reached>,
    pub(super) ways: Ways,
    /// States by keeper, as the log knows them.
    pub(super) said: Vec<State>,
    /// When it began, for trunks that nobody keeps.
    pub(super) since: Millis,
}

impl Keeping {
    pub(super) fn new(config: &Config, ways: Ways, now: Instant) -> Self {
        let keeper = |settings: &crate::keeper::Settings| {
            // Without random bytes the endpoint would not have come this far.
            Keeper::new(settings.clone(), secret().unwrap_or_default(), now)
        };
        let keepers: Vec<Keeper> = config.peers.iter().map(keeper).collect();
        Self {
            said: vec![State::Unknown; keepers.len()],
            keepers,
            asks: HashMap::new(),
            reaching: JoinSet::new(),
            ways,
            since: time::now(),
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        for keeper in &mut self.keepers {
            keeper.handle_timeout(now);
        }
    }

    /// The next flow that was found or not; `None` when none is looked for.
    pub(super) async fn reached(&mut self) -> Option<Reached> {
        loop {
            // One whose task panicked is missed by its keeper soon enough.
            if let Ok(reached) = self.reaching.join_next().await? {
                return Some(reached);
            }
        }
    }

    /// Takes us out of all registrars.
    pub(super) fn close(&mut self, now: Instant) {
        for keeper in &mut self.keepers {
            keeper.close(now);
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.keepers.iter().all(Keeper::is_closed)
    }
}
