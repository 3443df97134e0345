//! The one task that enters reads: what waits at the same moment shares a transaction.

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot};

use super::append::append;
use super::entry::Entry;
use crate::base::error::{CoreError, Result};
use crate::store::Store;

/// Entries a transaction. Its turn at SQLite's one writer is short, and then it is the intake's again, first come, first
/// served: reading never keeps a contact waiting for more than one such transaction.
const BATCH: usize = 256;

/// An entry, and who waits for its commit.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) entry: Entry,
    pub(super) answer: oneshot::Sender<Result<()>>,
}

/// Runs until every door is gone.
pub(super) async fn run(store: Store, mut queue: mpsc::Receiver<Waiting>) {
    let mut waiting = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut waiting, BATCH).await > 0 {
        let (entries, answers): (Vec<Entry>, Vec<_>) = waiting.drain(..).map(|one| (one.entry, one.answer)).unzip();
        // A fault of ours must not end the only committer.
        let written = AssertUnwindSafe(write(&store, &entries)).catch_unwind().await;
        let reason = match written {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some("a fault inside the audit trail".to_owned()),
        };
        if let Some(reason) = &reason {
            tracing::error!(
                reads = answers.len(),
                reason,
                "reads could not be entered in the audit trail and are refused"
            );
        }
        for answer in answers {
            // Who has gone meanwhile saw nothing, and is entered all the same.
            let _ = answer.send(reason.clone().map_or(Ok(()), |reason| Err(CoreError::Unavailable(reason))));
        }
    }
}

async fn write(store: &Store, entries: &[Entry]) -> Result<()> {
    let mut tx = store.begin().await?;
    append(&mut tx, entries).await?;
    tx.commit().await
}
