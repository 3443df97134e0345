//! Everybody who reads the feed, by every way there is, while writers write and the daemon, the database and the readers
//! themselves are killed. In the end each has exactly what was committed.

mod ledger;
mod place;
mod reader;
mod receiver;
mod town;

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::dice::Dice;
use crate::scratch::{Running, Scratch};
use ledger::Event;
pub use place::Place;
use reader::{Kept, Way};
use receiver::Receiver;
use town::Town;

/// Readers of each kind.
pub const READERS: usize = 10;
const WRITERS: usize = 4;
/// Longest wait for a contact before a death.
const WORK: Duration = Duration::from_secs(10);
/// Time between two deaths.
const LIFE: (Duration, Duration) = (Duration::from_millis(30), Duration::from_millis(300));
/// How long the readers may take to come to the end once nothing dies any more. A webhook's second attempt is after half a minute.
const PATIENCE: Duration = Duration::from_secs(180);

/// What came of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Outcome {
    /// Deaths of the daemon.
    pub daemon: usize,
    /// Of the database, which is the daemon's own in SQLite.
    pub database: usize,
    /// Of readers.
    pub readers: usize,
    /// Events that were committed.
    pub events: usize,
    /// Contacts that were acknowledged.
    pub contacts: usize,
    /// Of these, how many have not exactly one `request.created`.
    pub contacts_wrong: usize,
    /// Events that a reader never had, over all readers.
    pub missing: usize,
    /// Events that a reader had and nobody committed, or whose effect it had twice.
    pub surplus: usize,
    /// Readers that had events in another order; webhooks promise none.
    pub disordered: usize,
    /// Events that came more than once; their effect did not.
    pub repeated: usize,
}

impl Outcome {
    /// Whether every promise was kept.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.contacts_wrong == 0 && self.missing == 0 && self.surplus == 0 && self.disordered == 0
    }

    /// The sum of two.
    #[must_use]
    pub const fn and(self, other: &Self) -> Self {
        Self {
            daemon: self.daemon + other.daemon,
            database: self.database + other.database,
            readers: self.readers + other.readers,
            events: self.events + other.events,
            contacts: self.contacts + other.contacts,
            contacts_wrong: self.contacts_wrong + other.contacts_wrong,
            missing: self.missing + other.missing,
            surplus: self.surplus + other.surplus,
            disordered: self.disordered + other.disordered,
            repeated: self.repeated + other.repeated,
        }
    }

    /// As numbers, in the order of the members.
    #[must_use]
    pub const fn numbers(&self) -> [usize; 10] {
        [
            self.daemon,
            self.database,
            self.readers,
            self.events,
            self.contacts,
            self.contacts_wrong,
            self.missing,
            self.surplus,
            self.disordered,
            self.repeated,
        ]
    }

    /// From these.
    #[must_use]
    pub const fn of(numbers: [usize; 10]) -> Self {
        let [
            daemon,
            database,
            readers,
            events,
            contacts,
            contacts_wrong,
            missing,
            surplus,
            disordered,
            repeated,
        ] = numbers;
        Self {
            daemon,
            database,
            readers,
            events,
            contacts,
            contacts_wrong,
            missing,
            surplus,
            disordered,
            repeated,
        }
    }
}

/// A reader that can be killed and begun anew: what it keeps survives.
struct Seat {
    way: Way,
    kept: Kept,
    task: JoinHandle<()>,
}

impl Seat {
    fn begin(way: Way, kept: Kept, town: &Town) -> Self {
        let task = tokio::spawn(reader::read(way.clone(), kept.clone(), town.clone()));
        Self { way, kept, task }
    }

    async fn dies(self, town: &Town) -> Self {
        self.task.abort();
        let _ = self.task.await;
        Self::begin(self.way, self.kept, town)
    }
}

/// Lets `kills` die, and looks what everybody has.
///
/// # Errors
/// When the daemon does not come back, or somebody does not come to the end.
pub async fn run(binary: &Path, place: &Place<'_>, kills: usize, seed: u64, environment: &[(&str, &str)]) -> Result<Outcome> {
    let store = match place {
        Place::Sqlite => "sqlite:voxea.db".to_owned(),
        Place::Postgres(cluster, name) => cluster.database(name)?,
    };
    let mut scratch = Scratch::new(binary, &store, "[webhooks]\nallow = [\"127.0.0.0/8\"]\n").await?;
    scratch.environment = environment
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    let mut running = scratch.run().await?;
    let mut receivers = Vec::new();
    for _ in 0..READERS {
        let receiver = Receiver::listen().await?;
        let hook = json!({"url": receiver.url(), "from": "beginning"});
        let made = running.rest().call("POST", "/v1/webhooks", Some(&hook)).await?;
        ensure!(made.status == 201, "{}", String::from_utf8_lossy(&made.body));
        receivers.push(receiver);
    }
    let town = Town::new(running.api, running.rest().key());
    let ways = (0..READERS).flat_map(|number| [Way::Cursor, Way::Stream, Way::Named(format!("reader-{number}"))]);
    let mut seats: Vec<Seat> = ways.map(|way| Seat::begin(way, Kept::default(), &town)).collect();
    let writers: Vec<_> = (0..WRITERS).map(|number| tokio::spawn(town::write(town.clone(), number))).collect();

    let (mut dice, mut outcome) = (Dice::new(seed), Outcome::default());
    for _ in 0..kills {
        town.worked(WORK).await;
        sleep(dice.time(LIFE.0, LIFE.1)).await;
        match (dice.below(10), place) {
            (0..3, _) => {
                let number = usize::try_from(dice.below(seats.len() as u64))?;
                let seat = seats.swap_remove(number);
                seats.push(seat.dies(&town).await);
                outcome.readers += 1;
            }
            (3, _) => {
                let number = usize::try_from(dice.below(receivers.len() as u64))?;
                receivers.get(number).context("no receiver")?.dies();
                outcome.readers += 1;
            }
            (4..6, Place::Postgres(cluster, _)) => {
                cluster.crash()?;
                outcome.database += 1;
            }
            _ => {
                running.kill().await?;
                running = scratch.run().await?;
                town.moved(running.api);
                outcome.daemon += 1;
            }
        }
    }
    town.writers_stop();
    let mut acknowledged = Vec::new();
    for writer in writers {
        acknowledged.extend(timeout(PATIENCE, writer).await.context("a writer hangs")??);
    }
    settle(&running, &scratch, place, &town, &seats, &receivers).await?;
    let committed = ledger::events(&scratch, place).await?;
    running.stop().await?;
    for seat in &seats {
        seat.task.abort();
    }
    judge(&mut outcome, &committed, &acknowledged, &seats, &receivers);
    Ok(outcome)
}

/// Waits until everybody has what is committed, or for so long that they never will.
async fn settle(
    running: &Running,
    scratch: &Scratch,
    place: &Place<'_>,
    town: &Town,
    seats: &[Seat],
    receivers: &[Receiver],
) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    town.moved(running.api);
    loop {
        let count = ledger::events(scratch, place).await?.len();
        let there = seats.iter().all(|seat| seat.kept.count() >= count);
        if there && receivers.iter().all(|receiver| receiver.count() >= count) || Instant::now() > deadline {
            // Whoever has too much shows it now, if ever.
            sleep(Duration::from_millis(500)).await;
            return Ok(());
        }
        sleep(Duration::from_millis(200)).await;
    }
}

fn judge(outcome: &mut Outcome, committed: &[Event], acknowledged: &[String], seats: &[Seat], receivers: &[Receiver]) {
    let order: Vec<&str> = committed.iter().map(|event| event.id.as_str()).collect();
    (outcome.events, outcome.contacts) = (order.len(), acknowledged.len());
    outcome.contacts_wrong = ledger::not_once(committed, acknowledged);
    for seat in seats {
        let (had, repeated) = seat.kept.had();
        let had: Vec<&str> = had.iter().map(String::as_str).collect();
        let (missing, surplus) = ledger::differ(&order, &had);
        outcome.missing += missing;
        outcome.surplus += surplus;
        outcome.repeated += repeated;
        outcome.disordered += usize::from(missing == 0 && surplus == 0 && had != order);
    }
    for receiver in receivers {
        let (had, repeated) = receiver.had();
        let had: Vec<&str> = had.iter().map(String::as_str).collect();
        let (missing, surplus) = ledger::differ(&order, &had);
        outcome.missing += missing;
        outcome.surplus += surplus;
        outcome.repeated += repeated;
    }
}
