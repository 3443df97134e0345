//! The keepers of all trunks that have an address, and what is told of every trunk.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use voxea_core::base::time::{self, Millis};
use voxea_core::channel::{TrunkState, TrunkStatus};

use super::driver::Driver;
use super::outgoing::Ways;
use crate::config::Config;
use crate::flow::Flow;
use crate::keeper::{Keeper, State, Task, Want};
use crate::wire::Response;

/// A flow that was looked for.
pub(super) type Reached = (usize, Result<Flow, String>);

/// The keepers, and what they wait for.
pub(super) struct Keeping {
    keepers: Vec<Keeper>,
    /// By number of the request: whose, and for what.
    asks: HashMap<u64, (usize, Task)>,
    reaching: JoinSet<Reached>,
    ways: Ways,
    /// States by keeper, as the log knows them.
    said: Vec<State>,
    /// When it began, for trunks that nobody keeps.
    since: Millis,
}

impl Keeping {
    pub(super) fn new(config: &Config, ways: Ways, now: Instant) -> Self {
        let keeper = |settings: &crate::keeper::Settings| {
            // Without random bytes the endpoint would not have come this far.
            Keeper::new(settings.clone(), super::secret().unwrap_or_default(), now)
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

impl Driver {
    /// Does everything that the keepers want; gives their next deadline.
    pub(super) fn keep(&mut self) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for (index, keeper) in self.keeping.keepers.iter_mut().enumerate() {
            loop {
                match keeper.poll() {
                    Want::Reach => {
                        let (ways, peer) = (self.keeping.ways.clone(), self.config.peers.get(index).cloned());
                        self.keeping.reaching.spawn(async move {
                            let Some(peer) = peer else {
                                return (index, Err("it has no address".to_owned()));
                            };
                            (index, ways.reach(&peer.host, peer.port, peer.transport).await)
                        });
                    }
                    Want::Send { task, flow, ask } => {
                        let asks = &mut self.keeping.asks;
                        let before: Vec<u64> = asks.extract_if(|_, of| *of == (index, task)).map(|(ask, _)| ask).collect();
                        for ask in before {
                            self.endpoint.give_up(ask);
                        }
                        let number = self.endpoint.ask(flow, &ask, Instant::now());
                        asks.insert(number, (index, task));
                    }
                    Want::Timeout(due) => {
                        next = [next, due].into_iter().flatten().min();
                        break;
                    }
                }
            }
        }
        next
    }

    pub(super) fn reached(&mut self, (index, found): Reached) {
        let now = Instant::now();
        if let Some(keeper) = self.keeping.keepers.get_mut(index) {
            match found {
                Ok(flow) => keeper.reached(flow, now),
                Err(error) => keeper.unreachable(&error, now),
            }
        }
        self.report_trunks();
    }

    /// What came of a request of a keeper.
    pub(super) fn answer(&mut self, ask: u64, response: Option<&Response>) {
        let Some((index, task)) = self.keeping.asks.remove(&ask) else {
            return;
        };
        if let Some(keeper) = self.keeping.keepers.get_mut(index) {
            keeper.answer(task, response, Instant::now());
        }
        self.report_trunks();
    }

    /// Tells operators what is known of the trunks.
    pub(super) fn report_trunks(&mut self) {
        let (now, civil) = (Instant::now(), time::now());
        let trunks = self.config.trunks.iter().enumerate().map(|(number, trunk)| {
            let tally = self.endpoint.tally(number);
            let mut status = TrunkStatus {
                name: trunk.name.clone(),
                state: TrunkState::Unknown,
                since: self.keeping.since,
                address: None,
                registered_until: None,
                last_error: None,
                next_attempt: None,
                calls: tally.calls,
                refused: tally.refused,
            };
            let keeper = self.config.peers.iter().position(|peer| peer.name == trunk.name);
            if let Some(known) = keeper.and_then(|index| self.keeping.keepers.get(index)).map(Keeper::status) {
                let at =
                    |moment: Instant| civil + millis(moment.saturating_duration_since(now)) - millis(now.saturating_duration_since(moment));
                status.state = match known.state {
                    State::Unknown => TrunkState::Unknown,
                    State::Up => TrunkState::Up,
                    State::Down => TrunkState::Down,
                };
                status.since = at(known.since);
                status.address = Some(known.address);
                status.registered_until = known.registered_until.map(at);
                status.last_error = known.last_error;
                status.next_attempt = known.next_attempt.map(at);
            }
            status
        });
        self.reporter.trunks(trunks.collect());
        for (keeper, said) in self.keeping.keepers.iter().zip(&mut self.keeping.said) {
            let status = keeper.status();
            if status.state != *said {
                *said = status.state;
                match status.state {
                    State::Up => tracing::info!(trunk = status.name, "the trunk answers"),
                    State::Down => tracing::warn!(trunk = status.name, error = status.last_error, "the trunk does not answer"),
                    State::Unknown => {}
                }
            }
        }
    }
}

fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}
