//! What is noted of calls once they are accepted, group-committed: each call has two notes, and a transaction a note would
//! be what bounds how many calls a second can be answered.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;
use std::time::Duration;

use serde_json::json;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use crate::artefact::{Ending, Quality, RecordingOutcome, RecordingState};
use crate::audit;
use crate::base::error::{CoreError, Result};
use crate::base::time::{self, Millis};
use crate::feed::{self, EventKind, Feed, NewEvent};
use crate::store::on;
use crate::store::{Column, Row, Rows, SetSql, Store, Tx, row};

/// Notes of one transaction.
const BATCH: usize = 256;
/// Notes that may wait; whoever brings more waits as well.
const QUEUE: usize = 512;
/// From the beginning of one transaction to the next. No peer waits for a note, so many calls share one, and the calls that
/// are being taken in, for which somebody does wait, find the store free.
const PACE: Duration = Duration::from_millis(20);

static ANSWERED: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("which", Column::Text), ("moment", Column::Integer)])
        .statement("UPDATE call_detail SET answered_at = r.moment FROM {rows} AS r WHERE interaction_id = r.which AND answered_at IS NULL")
});
static CODED: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("which", Column::Text), ("coded", Column::Text)]).statement(
        "UPDATE recording SET codec = r.coded FROM {rows} AS r WHERE interaction_id = r.which AND state IN ('recording', 'sealing')",
    )
});
static ENDED: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("which", Column::Text),
        ("moment", Column::Integer),
        ("why", Column::Text),
        ("words", Column::Text),
        ("heard", Column::Text),
    ])
    .statement(
        "UPDATE call_detail SET ended_at = r.moment, ended_by = r.why, ended_reason = r.words, quality = r.heard FROM {rows} AS r \
         WHERE interaction_id = r.which AND ended_by IS NULL",
    )
});
static SEALED: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("which", Column::Text),
        ("new_state", Column::Text),
        ("new_samples", Column::Integer),
        ("new_reason", Column::Text),
        ("now_at", Column::Integer),
        ("begun", Column::Integer),
        ("sign_later", Column::Integer),
    ])
    .statement(
        // Of what was discarded nothing is kept, however its call ended.
        "UPDATE recording SET sealed_at = r.now_at, started_at = COALESCE(r.begun, started_at), \
         state = CASE WHEN discarded_by IS NULL THEN r.new_state ELSE 'failed' END, \
         samples = CASE WHEN discarded_by IS NULL THEN r.new_samples ELSE 0 END, \
         to_sign = CASE WHEN discarded_by IS NULL THEN r.sign_later ELSE 0 END, \
         reason = CASE WHEN discarded_by IS NULL THEN r.new_reason ELSE 'discarded by ' || discarded_by END FROM {rows} AS r \
         WHERE interaction_id = r.which AND state IN ('recording', 'sealing') RETURNING id, interaction_id, state",
    )
});
static PAUSED: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[
        ("which", Column::Text),
        ("place", Column::Integer),
        ("begins", Column::Integer),
        ("lasts", Column::Integer),
    ])
    .statement(
        "INSERT INTO recording_pause (recording_id, number, first_sample, samples) SELECT c.id, r.place, r.begins, r.lasts \
         FROM {rows} AS r JOIN recording c ON c.interaction_id = r.which WHERE true ON CONFLICT (recording_id, number) \
         DO UPDATE SET samples = excluded.samples WHERE recording_pause.samples IS NULL",
    )
});
static REQUESTS: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("which", Column::Text)]).statement(
        "SELECT l.interaction_id, l.request_id FROM {rows} AS r JOIN request_interaction l ON l.interaction_id = r.which \
         ORDER BY l.interaction_id, l.position",
    )
});
static VERSIONS: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("which", Column::Text), ("now_at", Column::Integer)]).statement(
        "UPDATE request SET version = version + 1, updated_at = r.now_at FROM {rows} AS r WHERE id = r.which RETURNING id, version",
    )
});

/// Something that happened to a call.
#[derive(Debug, Clone)]
pub(super) enum What {
    /// The caller confirmed our 200, and chose this codec where that was left to it.
    Answered { codec: Option<String> },
    /// It is over.
    Ended {
        ending: Box<Ending>,
        /// The moment of sample 0.
        started_at: Option<Millis>,
        outcome: RecordingOutcome,
    },
}

/// A note, and who waits for it to be written.
#[derive(Debug)]
pub(super) struct Note {
    interaction: String,
    at: Millis,
    what: What,
    written: oneshot::Sender<Result<()>>,
}

/// The way to the task that writes notes.
#[derive(Debug, Clone)]
pub(super) struct CallNotes(mpsc::Sender<Note>);

impl CallNotes {
    /// Starts the task on the current runtime. It ends with the last clone.
    pub(super) fn start(store: Store, feed: Feed) -> Self {
        let (sender, queue) = mpsc::channel(QUEUE);
        tokio::spawn(run(store, feed, queue));
        Self(sender)
    }

    /// Returns when it is committed.
    pub(super) async fn note(&self, interaction: &str, at: Millis, what: What) -> Result<()> {
        let (written, answer) = oneshot::channel();
        let note = Note {
            interaction: interaction.to_owned(),
            at,
            what,
            written,
        };
        let gone = || CoreError::Unavailable("the notes of calls are not written any more".to_owned());
        self.0.send(note).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?
    }
}

async fn run(store: Store, feed: Feed, mut queue: mpsc::Receiver<Note>) {
    let mut notes = Vec::with_capacity(BATCH);
    let mut next = Instant::now();
    while queue.recv_many(&mut notes, 1).await > 0 {
        sleep_until(next).await;
        next = Instant::now() + PACE;
        while notes.len() < BATCH
            && let Ok(note) = queue.try_recv()
        {
            notes.push(note);
        }
        let outcome = write(&store, &feed, &notes).await;
        // Nobody's note is at fault when the store is not there.
        if let Err(CoreError::Unavailable(reason)) = &outcome {
            for note in notes.drain(..) {
                let _ = note.written.send(Err(CoreError::Unavailable(reason.clone())));
            }
            continue;
        }
        if outcome.is_ok() {
            for note in notes.drain(..) {
                let _ = note.written.send(Ok(()));
            }
            continue;
        }
        // One that is refused must not take the others with it.
        for note in notes.drain(..) {
            let outcome = write(&store, &feed, std::slice::from_ref(&note)).await;
            let _ = note.written.send(outcome);
        }
    }
}

#[derive(sqlx::FromRow)]
struct Closed {
    id: String,
    interaction_id: String,
    state: String,
}

impl Closed {
    fn is_audible(&self) -> bool {
        self.state.parse().is_ok_and(RecordingState::is_audible)
    }
}

#[derive(sqlx::FromRow)]
struct Linked {
    interaction_id: String,
    request_id: String,
}

/// One transaction.
async fn write(store: &Store, feed: &Feed, notes: &[Note]) -> Result<()> {
    let now = time::now();
    let (mut answered, mut coded, mut ended) = (Vec::new(), Vec::new(), Vec::new());
    let (mut sealed, mut paused) = (Vec::new(), Vec::new());
    let mut ends = BTreeMap::new();
    for note in notes {
        match &note.what {
            What::Answered { codec } => {
                answered.push(row!({"which": note.interaction, "moment": note.at}));
                coded.extend(codec.iter().map(|codec| row!({"which": note.interaction, "coded": codec})));
            }
            // The first end stays.
            What::Ended { .. } if ends.contains_key(note.interaction.as_str()) => {}
            What::Ended {
                ending,
                started_at,
                outcome,
            } => {
                let (state, samples, reason) = parts(outcome);
                let stopped = ending.stopped_by.as_ref().map(|by| format!("stopped by {by}"));
                let reason = reason.cloned().or(stopped);
                ends.insert(note.interaction.as_str(), &**ending);
                paused.extend(ending.pauses.iter().map(|pause| {
                    row!({
                        "which": note.interaction,
                        "place": pause.number,
                        "begins": number(pause.first),
                        "lasts": pause.samples.map(number),
                    })
                }));
                ended.push(row!({
                    "which": note.interaction,
                    "moment": note.at,
                    "why": ending.by.as_str(),
                    "words": ending.reason,
                    "heard": ending.quality.and_then(Quality::to_json),
                }));
                sealed.push(row!({
                    "which": note.interaction,
                    "new_state": state.as_str(),
                    "new_samples": number(samples),
                    "new_reason": reason,
                    "now_at": now,
                    "begun": started_at,
                    "sign_later": i64::from(matches!(outcome, RecordingOutcome::Partial { signed: false, .. })),
                }));
            }
        }
    }
    let mut tx = store.begin().await?;
    execute(&mut tx, &ANSWERED, &answered).await?;
    execute(&mut tx, &CODED, &coded).await?;
    execute(&mut tx, &ENDED, &ended).await?;
    execute(&mut tx, &PAUSED, &paused).await?;
    let mut events = Vec::new();
    if !sealed.is_empty() {
        let (sql, rows) = (SEALED.for_tx(&tx), Row::array(&sealed));
        let closed: Vec<Closed> = on!(Tx, &mut tx, db => sqlx::query_as(sql).bind(rows).fetch_all(db).await)?;
        events = announce(&mut tx, &closed, &ends, now).await?;
        audit::append(&mut tx, &stops(&closed, &ends, now)).await?;
    }
    if !events.is_empty() {
        let first = feed::next_positions(&mut tx, events.len()).await?;
        feed::append(&mut tx, first, now, &events).await?;
    }
    tx.commit().await?;
    if !events.is_empty() {
        feed.committed();
    }
    Ok(())
}

/// Raises the versions of the requests whose recordings were closed; what the feed tells of it.
async fn announce(tx: &mut Tx, closed: &[Closed], ends: &BTreeMap<&str, &Ending>, now: Millis) -> Result<Vec<NewEvent>> {
    if closed.is_empty() {
        return Ok(Vec::new());
    }
    let rows: Vec<Row> = closed.iter().map(|recording| row!({"which": recording.interaction_id})).collect();
    let (sql, rows) = (REQUESTS.for_tx(tx), Row::array(&rows));
    let linked: Vec<Linked> = on!(Tx, &mut *tx, db => sqlx::query_as(sql).bind(rows).fetch_all(db).await)?;
    // The request that the call came to first; it is the one that is told.
    let mut request_of: BTreeMap<&str, &str> = BTreeMap::new();
    for link in &linked {
        request_of.entry(&link.interaction_id).or_insert(&link.request_id);
    }
    // In the order of their ids, as every set of requests is locked.
    let requests: BTreeSet<&str> = request_of.values().copied().collect();
    let rows: Vec<Row> = requests.iter().map(|request| row!({"which": request, "now_at": now})).collect();
    let (sql, rows) = (VERSIONS.for_tx(tx), Row::array(&rows));
    let versions: Vec<(String, i64)> = on!(Tx, tx, db => sqlx::query_as(sql).bind(rows).fetch_all(db).await)?;
    let mut events = Vec::new();
    for recording in closed {
        let interaction = recording.interaction_id.as_str();
        let (Some(request), Some(ending)) = (request_of.get(interaction), ends.get(interaction)) else {
            continue;
        };
        let kind = if recording.is_audible() {
            EventKind::RecordingAvailable
        } else {
            EventKind::RecordingFailed
        };
        let event = NewEvent::of_request(kind, request)
            .with("interaction_id", interaction)
            .with("recording_id", recording.id.as_str())
            .with("state", recording.state.as_str());
        events.push(event.with("end", ending.by.as_str()));
    }
    let updated = |(request, version): &(String, i64)| NewEvent::of_request(EventKind::RequestUpdated, request).with("version", *version);
    events.extend(versions.iter().map(updated));
    Ok(events)
}

/// What the trail is told of recordings that somebody stopped; who discarded one stands there already.
fn stops(closed: &[Closed], ends: &BTreeMap<&str, &Ending>, now: Millis) -> Vec<audit::Entry> {
    let entry = |recording: &Closed| {
        let by = ends.get(recording.interaction_id.as_str())?.stopped_by.as_ref()?;
        let entry = audit::Entry::new(by, "stopped", format!("recording/{}", recording.id)).at(now);
        Some(entry.detail(&json!({"interaction_id": recording.interaction_id})))
    };
    closed.iter().filter_map(entry).collect()
}

async fn execute(tx: &mut Tx, sql: &SetSql, rows: &[Row]) -> Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let (sql, rows) = (sql.for_tx(tx), Row::array(rows));
    Ok(on!(Tx, tx, db => sqlx::query(sql).bind(rows).execute(db).await.map(|_| ()))?)
}

fn number(samples: u64) -> i64 {
    i64::try_from(samples).unwrap_or(i64::MAX)
}

const fn parts(outcome: &RecordingOutcome) -> (RecordingState, u64, Option<&String>) {
    match outcome {
        RecordingOutcome::Sealed { samples } => (RecordingState::Sealed, *samples, None),
        RecordingOutcome::Partial { samples, reason, .. } => (RecordingState::Partial, *samples, Some(reason)),
        RecordingOutcome::Failed { reason } => (RecordingState::Failed, 0, Some(reason)),
    }
}
