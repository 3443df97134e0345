//! Sends what webhooks are due: a task for each, so that a dead endpoint holds up nobody else's events.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::task::JoinHandle;
use voxea_core::Core;
use voxea_core::base::stop::Stop;
use voxea_core::base::time;
use voxea_core::webhook::{Due, Endpoint, Outcome, Turn};

use super::answer::retry_after;
use super::post::Post;
use crate::run::metrics::Metrics;
use crate::run::pulse::Pulse;

/// Between two looks for webhooks that another node or the command line has made.
const LOOK: Duration = Duration::from_secs(2);
/// What is committed within this time is sent together.
const COMPANY: Duration = Duration::from_millis(20);
/// After the database failed.
const PAUSE: Duration = Duration::from_secs(5);
/// How often what came of attempts is entered when the database fails; else they are made again.
const TRIES: usize = 3;

/// How webhooks are sent.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    /// The client.
    pub(crate) post: Post,
    /// Attempts under way for one webhook.
    pub(crate) concurrency: usize,
    /// Counts them.
    pub(crate) metrics: Metrics,
}

/// Sends until the soft stop; what is under way then is finished.
pub(crate) async fn send(core: Core, sender: Sender, pulse: Pulse, stop: Stop) {
    let mut tasks: BTreeMap<String, JoinHandle<()>> = BTreeMap::new();
    let mut changed = core.webhooks.listen();
    while !stop.soft.is_cancelled() {
        pulse.beat();
        // One that has panicked is begun anew, and the log has its place.
        tasks.retain(|_, task| !task.is_finished());
        match core.webhooks.active().await {
            Ok(ids) => {
                for id in ids {
                    let begin = |id: &String| tokio::spawn(work(core.clone(), sender.clone(), id.clone(), stop.clone()));
                    tasks.entry(id.clone()).or_insert_with(|| begin(&id));
                }
            }
            Err(error) => tracing::warn!(%error, "the webhooks cannot be read"),
        }
        tokio::select! {
            () = stop.soft.cancelled() => {}
            () = changed.rung() => {}
            () = tokio::time::sleep(LOOK) => {}
        }
    }
    let finished = join_all(tasks.values_mut());
    if stop.hard.run_until_cancelled(finished).await.is_none() {
        tasks.values().for_each(JoinHandle::abort);
    }
}

/// Sends what one webhook is due, until it is disabled.
async fn work(core: Core, sender: Sender, id: String, stop: Stop) {
    let (mut events, mut changed) = (core.feed.listen(), core.webhooks.listen());
    let mut failing = false;
    while !stop.soft.is_cancelled() {
        let wait = match core.webhooks.turn(&id, sender.concurrency, time::now()).await {
            Ok(Turn::Gone) => return,
            Ok(Turn::Wait(millis)) => Duration::from_millis(millis.unsigned_abs()),
            Ok(Turn::Send(endpoint, due)) => {
                let outcomes = join_all(due.into_iter().map(|due| attempt(&sender, &endpoint, due))).await;
                let success = outcomes.iter().any(|(_, outcome)| outcome.is_success());
                if success == failing {
                    failing = !success;
                    let error = outcomes.iter().find_map(|(_, outcome)| outcome.error.as_deref());
                    tell(&id, failing, error.unwrap_or_default());
                }
                if settle(&core, &id, &outcomes).await {
                    tracing::warn!(webhook = %id, "a webhook is disabled or gone");
                    return;
                }
                continue;
            }
            Err(error) => {
                tracing::warn!(webhook = %id, %error, "what a webhook is due cannot be read");
                PAUSE
            }
        };
        tokio::select! {
            () = stop.soft.cancelled() => {}
            () = events.rung() => {}
            () = changed.rung() => {}
            () = tokio::time::sleep(wait) => {}
        }
        let _ = stop.soft.run_until_cancelled(tokio::time::sleep(COMPANY)).await;
    }
}

fn tell(webhook: &str, failing: bool, error: &str) {
    if failing {
        tracing::warn!(webhook, error, "a webhook's endpoint fails; it is tried again with growing pauses");
    } else {
        tracing::info!(webhook, "a webhook's endpoint takes events");
    }
}

/// One attempt, signed for this moment.
async fn attempt(sender: &Sender, endpoint: &Endpoint, due: Due) -> (Due, Outcome) {
    let at = time::now() / 1000;
    let signatures: Vec<String> = endpoint.keys.iter().map(|key| key.sign(&due.event_id, at, &due.body)).collect();
    let headers = [
        ("webhook-id", due.event_id.clone()),
        ("webhook-timestamp", at.to_string()),
        ("webhook-signature", signatures.join(" ")),
    ];
    let outcome = match sender.post.send(endpoint.url.reveal(), &headers, &due.body).await {
        Ok((status, headers)) => Outcome {
            status: Some(status.as_u16()),
            error: (!status.is_success()).then(|| format!("it answered {}", status.as_u16())),
            retry_after: retry_after(&headers, time::now()),
        },
        Err(error) => Outcome {
            status: None,
            error: Some(error),
            retry_after: None,
        },
    };
    sender.metrics.webhook(match outcome.status {
        Some(_) if outcome.is_success() => "delivered",
        Some(_) => "refused",
        None => "unanswered",
    });
    (due, outcome)
}

/// Enters what came of attempts; true when the webhook is disabled or gone.
async fn settle(core: &Core, id: &str, outcomes: &[(Due, Outcome)]) -> bool {
    for _ in 0..TRIES {
        match core.webhooks.settle(id, outcomes, time::now()).await {
            Ok(over) => return over,
            Err(error) => tracing::warn!(webhook = %id, %error, "what came of attempts cannot be entered; they may be made again"),
        }
        tokio::time::sleep(COMPANY).await;
    }
    false
}
