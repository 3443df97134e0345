//! What the endpoint's task does for its trunks: their keepers' wishes, and what is told of every one.

use std::time::{Duration, Instant};

use voxea_core::base::time::{self, Millis};
use voxea_core::channel::{TrunkState, TrunkStatus};

use super::driver::Driver;
use super::keeping::Reached;
use crate::keeper::{Keeper, State, Want};
use crate::wire::Response;

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
            match response {
                Some(response) => keeper.answer(task, Some(response), Instant::now()),
                None => {
                    let why = keeper.flow().and_then(|flow| self.net.why(&flow));
                    keeper.unanswered(task, why, Instant::now());
                }
            }
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
                    State::Retrying => TrunkState::Retrying,
                    State::Halted => TrunkState::Halted,
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
                    State::Up if status.registered_until.is_some() => {
                        tracing::info!(trunk = status.name, "the trunk answers, and we are registered");
                    }
                    State::Up => tracing::info!(trunk = status.name, "the trunk answers"),
                    State::Down => tracing::warn!(trunk = status.name, error = status.last_error, "the trunk does not answer"),
                    State::Retrying => {
                        tracing::warn!(
                            trunk = status.name,
                            error = status.last_error,
                            "the trunk answers, but has not registered us"
                        );
                    }
                    State::Halted => {
                        tracing::warn!(
                            trunk = status.name,
                            error = status.last_error,
                            "the trunk refuses to register us; `voxea doctor` says what to do"
                        );
                    }
                    State::Unknown => {}
                }
            }
        }
    }
}

fn millis(time: Duration) -> Millis {
    Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
}
