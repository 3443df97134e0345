//! Replies that are asked for at the same moment share a transaction, as contacts do: whoever comes first writes what waits.

use std::collections::{BTreeSet, HashMap};
use std::sync::LazyLock;

use serde_json::json;
use tokio::sync::oneshot;

use super::door::Outbox;
use super::origin;
use super::planned::{Demand, Planned};
use super::row::ReplyRow;
use super::rows::Sets;
use super::turns::{Answer, Wanted};
use crate::base::error::{CoreError, Result};
use crate::base::time;
use crate::feed::{self, EventKind, NewEvent};
use crate::request::Notes;
use crate::store::{Column, Row, Rows, Script, SetSql, Tx, on, row};

static DEMANDS: LazyLock<SetSql> = LazyLock::new(|| {
    Rows(&[("id", Column::Text)])
        .statement(
            "SELECT q.id, q.channel, q.account, q.status, q.subject, q.from_address, q.theme \
             FROM {rows} AS r JOIN request q ON q.id = r.id ORDER BY q.id",
        )
        .locking("q")
});

impl Outbox {
    /// Has a reply written with those that wait at the same moment.
    ///
    /// # Errors
    /// Of [`Outbox::reply_with`].
    pub(super) async fn queue(&self, wanted: Wanted) -> Result<ReplyRow> {
        let (answer, mut answered) = oneshot::channel();
        self.queue.push(wanted, answer)?;
        loop {
            let turn = tokio::select! {
                biased;
                done = &mut answered => return heard(done),
                turn = self.queue.turn() => turn,
            };
            // A caller that goes away meanwhile must not take the answers of the others with it. Its own may not be among
            // what is written first.
            let outbox = self.clone();
            let written = tokio::spawn(async move {
                outbox.write_waiting().await;
                drop(turn);
            });
            let _ = written.await;
        }
    }

    async fn write_waiting(&self) {
        let (all, answers): (Vec<Wanted>, Vec<Answer>) = self.queue.take().into_iter().unzip();
        let written = match self.write(&all).await {
            Ok(written) => written,
            Err(CoreError::Unavailable(reason)) => {
                let unavailable = || Err(CoreError::Unavailable(reason.clone()));
                all.iter().map(|_| unavailable()).collect()
            }
            Err(error) if all.len() == 1 => vec![Err(error)],
            Err(error) => {
                tracing::warn!(%error, replies = all.len(), "a set of replies was refused; each is tried alone");
                let mut written = Vec::with_capacity(all.len());
                for wanted in &all {
                    let alone = self.write(std::slice::from_ref(wanted)).await;
                    written.push(alone.and_then(|mut one| one.pop().unwrap_or_else(|| Err(gone()))));
                }
                written
            }
        };
        for (answer, written) in answers.into_iter().zip(written) {
            let _ = answer.send(written);
        }
    }

    /// One transaction. A reply that cannot be has its own answer; an error is everybody's, and nothing is written then.
    async fn write(&self, all: &[Wanted]) -> Result<Vec<Result<ReplyRow>>> {
        if all.is_empty() {
            return Ok(Vec::new());
        }
        self.tokens.ready().await?;
        let mut tx = self.store.begin().await?;
        let demands = demands(&mut tx, all).await?;
        let now = time::now();
        let mut plans = Vec::with_capacity(all.len());
        for wanted in all {
            plans.push(self.plan(&mut tx, wanted, demands.get(&wanted.request_id), now).await);
        }
        let (mut notes, mut sets, mut events) = (Notes::default(), Sets::default(), Vec::new());
        let mut rows = 0;
        for (wanted, plan) in all.iter().zip(&mut plans) {
            let Ok(Planned { row, events: before, .. }) = plan else { continue };
            let mut detail = json!({"reply_id": row.id, "channel": row.channel});
            if let Some(replaces) = &row.replaces {
                detail["replaces"] = json!(replaces);
            }
            notes.add(&self.vault, &row.request_id, now, &wanted.actor, "replied", &detail)?;
            events.append(before);
            let event = NewEvent::of_request(EventKind::ReplyQueued, &row.request_id)
                .with("reply_id", row.id.as_str())
                .with("interaction_id", row.interaction_id.as_str())
                .with("channel", row.channel.as_str());
            events.push(event.with("state", row.state.as_str()));
            rows += 1;
        }
        if rows > 0 {
            let written = all.iter().zip(&plans).filter_map(|(wanted, plan)| {
                let (origin, planned) = (wanted.origin.as_deref()?, plan.as_ref().ok()?);
                Some((origin, planned.row.interaction_id.as_str()))
            });
            origin::claim(&mut tx, written.collect(), now).await?;
            notes.audit(&mut tx).await?;
            // A reply and its interaction share a position; the events follow all of them.
            let mut position = feed::next_positions(&mut tx, rows + events.len()).await?;
            for planned in plans.iter().flatten() {
                sets.add(&self.vault, planned, position)?;
                position += 1;
            }
            let mut script = Script::default();
            sets.write(&mut script);
            notes.write(&mut script);
            feed::add(&mut script, position, now, &events);
            script.run(&mut tx).await?;
            tx.commit().await?;
            self.feed.committed();
            self.ring();
        }
        Ok(plans.into_iter().map(|plan| plan.map(|planned| planned.row)).collect())
    }
}

fn gone() -> CoreError {
    CoreError::Unavailable("whoever wrote the replies is gone".to_owned())
}

fn heard(answered: std::result::Result<Result<ReplyRow>, oneshot::error::RecvError>) -> Result<ReplyRow> {
    answered.unwrap_or_else(|_| Err(gone()))
}

/// The requests that are answered, locked until the transaction ends.
async fn demands(tx: &mut Tx, all: &[Wanted]) -> Result<HashMap<String, Demand>> {
    let ids: BTreeSet<&str> = all.iter().map(|ask| ask.request_id.as_str()).collect();
    let rows: Vec<Row> = ids.into_iter().map(|id| row!({"id": id})).collect();
    let (sql, rows) = (DEMANDS.for_tx(tx), Row::array(&rows));
    let demands: Vec<Demand> = on!(Tx, tx, db => sqlx::query_as(sql).bind(rows).fetch_all(db).await)?;
    Ok(demands.into_iter().map(|demand| (demand.id.clone(), demand)).collect())
}
