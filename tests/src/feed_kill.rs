//! Everybody who reads the feed, by every way there is, while writers write and the daemon, the database and the readers
//! themselves are killed. In the end each has exactly what was committed.

mod ledger;
mod outcome;
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
use crate::scratch::Scratch;
use ledger::Event;
pub use outcome::{Missing, Outcome};
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
pub const PATIENCE: Duration = Duration::from_secs(180);

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

/// Lets `kills` die, and looks what everybody has; who has not come to the end after `patience` never will.
///
/// # Errors
/// When the daemon does not come back, or somebody does not come to the end.
pub async fn run(
    binary: &Path,
    place: &Place<'_>,
    kills: usize,
    seed: u64,
    environment: &[(&str, &str)],
    patience: Duration,
) -> Result<Outcome> {
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
    town.moved(running.api);
    settle(&scratch, place, &seats, &receivers, patience).await?;
    let committed = ledger::events(&scratch, place).await?;
    running.stop().await?;
    for seat in &seats {
        seat.task.abort();
    }
    judge(&mut outcome, &committed, &acknowledged, &seats, &receivers);
    Ok(outcome)
}

/// Waits until everybody has what is committed, or for so long that they never will.
async fn settle(scratch: &Scratch, place: &Place<'_>, seats: &[Seat], receivers: &[Receiver], patience: Duration) -> Result<()> {
    let deadline = Instant::now() + patience;
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
        *match seat.way {
            Way::Cursor => &mut outcome.missing.cursor,
            Way::Stream => &mut outcome.missing.stream,
            Way::Named(_) => &mut outcome.missing.named,
        } += missing;
        outcome.surplus += surplus;
        outcome.repeated += repeated;
        outcome.disordered += usize::from(missing == 0 && surplus == 0 && had != order);
    }
    for receiver in receivers {
        let (had, repeated) = receiver.had();
        let had: Vec<&str> = had.iter().map(String::as_str).collect();
        let (missing, surplus) = ledger::differ(&order, &had);
        outcome.missing.webhook += missing;
        outcome.surplus += surplus;
        outcome.repeated += repeated;
    }
}
