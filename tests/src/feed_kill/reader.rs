//! A back-office application: what it has applied and where it stands survive its death, what it has in hand does not.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::town::Town;
use crate::scratch::Rest;
use crate::sse::Sse;

const PAUSE: Duration = Duration::from_millis(20);
/// A stream that shows no sign of life for so long is opened anew; comments come each 15 s.
const SILENCE: Duration = Duration::from_secs(20);

/// By which way it reads.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// Pages after its own cursor, with a wait.
    Cursor,
    /// Server-sent events.
    Stream,
    /// A consumer of this name, with batches and acknowledgements.
    Named(String),
}

/// The application's own database.
#[derive(Debug, Clone, Default)]
pub(super) struct Kept(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    order: Vec<String>,
    ids: BTreeSet<String>,
    repeated: usize,
    place: Option<String>,
}

impl Kept {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One transaction: the effect of events that had none yet, and where to go on.
    fn apply(&self, events: &[Value], place: Option<&str>) {
        let mut state = self.state();
        for id in events.iter().filter_map(|event| event["id"].as_str()) {
            if state.ids.insert(id.to_owned()) {
                state.order.push(id.to_owned());
            } else {
                state.repeated += 1;
            }
        }
        if let Some(place) = place {
            state.place = Some(place.to_owned());
        }
    }

    fn place(&self) -> Option<String> {
        self.state().place.clone()
    }

    /// How many events took effect.
    pub(super) fn count(&self) -> usize {
        self.state().order.len()
    }

    /// They, in their order, and how many came again.
    pub(super) fn had(&self) -> (Vec<String>, usize) {
        let state = self.state();
        (state.order.clone(), state.repeated)
    }
}

/// Reads for as long as it lives.
pub(super) async fn read(way: Way, kept: Kept, town: Town) {
    loop {
        let mut rest = town.rest();
        let went = match &way {
            Way::Cursor => pages(&mut rest, &kept).await,
            Way::Stream => stream(&town, &kept).await,
            Way::Named(name) => batches(&mut rest, &kept, name).await,
        };
        // The daemon is away, or said no for now: whatever it was, the next try begins from what is kept.
        drop(went);
        sleep(PAUSE).await;
    }
}

fn items(page: &Value) -> &[Value] {
    page["items"].as_array().map_or(&[], Vec::as_slice)
}

async fn pages(rest: &mut Rest, kept: &Kept) -> Result<()> {
    loop {
        let after = kept.place().map(|place| format!("&after={place}")).unwrap_or_default();
        let answered = rest
            .call_with("GET", &format!("/v1/changes?limit=50{after}"), &[("Prefer", "wait=2")], None)
            .await?;
        ensure!(answered.status == 200, "{}", answered.status);
        let page = answered.json()?;
        kept.apply(items(&page), page["next"].as_str());
    }
}

async fn stream(town: &Town, kept: &Kept) -> Result<()> {
    let mut stream = Sse::open(town.address(), town.key(), "/v1/changes/stream", kept.place().as_deref()).await?;
    loop {
        let event = timeout(SILENCE, stream.event()).await??.context("the stream has ended")?;
        kept.apply(&[event], stream.last.as_deref());
    }
}

async fn batches(rest: &mut Rest, kept: &Kept, name: &str) -> Result<()> {
    let path = format!("/v1/consumers/{name}");
    let made = rest.call("PUT", &path, Some(&json!({"from": "beginning"}))).await?;
    ensure!(matches!(made.status, 200 | 201), "{}", made.status);
    loop {
        let wanted = json!({"limit": 50, "lease_seconds": 1});
        let batch = rest.call("POST", &format!("{path}/batch"), Some(&wanted)).await?;
        ensure!(batch.status == 200, "{}", batch.status);
        let batch = batch.json()?;
        kept.apply(items(&batch), None);
        match batch["lease"].as_str() {
            None => sleep(PAUSE).await,
            Some(lease) => {
                let said = rest.call("POST", &format!("{path}/ack"), Some(&json!({"lease": lease}))).await?;
                ensure!(said.status == 200, "{}", said.status);
            }
        }
    }
}
