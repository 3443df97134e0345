//! Server-sent events (WHATWG HTML §9.2): a stream that goes on for as long as its reader may read.

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use futures_util::stream;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, broadcast};
use tokio::time::Instant;
use voxea_core::base::actor::Actor;
use voxea_core::base::grant::Operation;
use voxea_core::feed::{self, Selection};

use super::asked::Asked;
use super::event::Event;
use super::hub::{Batch, Hub};
use crate::http::api::Api;
use crate::http::auth::token;
use crate::http::cursor::{self, Named};
use crate::http::identify::identify;
use crate::http::problem::{Kind, Problem};

/// The header by which a reader goes on after it lost the stream.
const LAST_EVENT_ID: &str = "last-event-id";
/// The media type.
pub(crate) const MEDIA_TYPE: &str = "text/event-stream";
/// Between two signs of life.
const BEAT: Duration = Duration::from_secs(15);
/// Between two looks whether the reader may still read, and what.
const RECHECK: Duration = Duration::from_secs(30);
/// When a reader that lost the stream comes back, in milliseconds.
const RETRY: u64 = 2000;
/// Events of a page that is read to catch up.
const PAGE: usize = 500;

/// Opens the stream.
///
/// # Errors
/// 400 for a Last-Event-ID that is no cursor, 503 when there are as many streams as there may be, and as a page is refused.
pub(crate) async fn open(api: Api, headers: &HeaderMap, actor: &Actor, mut asked: Asked) -> Result<Response, Problem> {
    if let Some(id) = headers.get(LAST_EVENT_ID) {
        asked.after = Some(Named::read(id.to_str().unwrap_or_default())?);
    }
    asked.limit = PAGE;
    let hub = api.hub().clone();
    let place = hub
        .stream()
        .ok_or_else(|| Problem::new(Kind::UNAVAILABLE, "as many streams are open as there may be; read pages meanwhile").retry_after(30))?;
    let selection = asked.selection(&api, actor).await?;
    let heard = hub.hear();
    let state = api.core().feed.state().await?;
    let after = asked.position(&state)?;
    state.follows(after)?;
    let listener = Listener {
        token: token(headers).unwrap_or_default().to_owned(),
        whole: selection.is_everything(),
        selection,
        asked,
        epoch: state.epoch,
        after,
        caught_up: false,
        heard,
        hub,
        beat: Instant::now() + BEAT,
        recheck: Instant::now() + RECHECK,
        begun: false,
        api,
        _place: place,
    };
    let body = Body::from_stream(stream::unfold(listener, |mut listener| async move {
        let chunk = listener.next().await?;
        listener.beat = Instant::now() + BEAT;
        Some((Ok::<_, Infallible>(chunk), listener))
    }));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
        // Proxies of the nginx kind would hold events back until they have a page of them.
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no")),
    ];
    Ok((headers, body).into_response())
}

/// One who listens. It is asked for the next piece when the last one was taken, so that nothing queues up.
struct Listener {
    api: Api,
    hub: Hub,
    token: String,
    asked: Asked,
    selection: Selection,
    /// Nothing is left out for it.
    whole: bool,
    epoch: String,
    /// All up to here was told.
    after: i64,
    /// It is where the hub is.
    caught_up: bool,
    heard: broadcast::Receiver<Arc<Batch>>,
    beat: Instant,
    recheck: Instant,
    begun: bool,
    _place: OwnedSemaphorePermit,
}

impl Listener {
    /// The next piece of text; `None` ends the stream.
    async fn next(&mut self) -> Option<Bytes> {
        if !self.begun {
            self.begun = true;
            return Some(Bytes::from(format!("retry: {RETRY}\n\n")));
        }
        loop {
            if Instant::now() >= self.recheck && !self.may_go_on().await {
                return None;
            }
            let piece = if self.caught_up { self.live().await? } else { self.page().await? };
            if !piece.is_empty() {
                return Some(piece);
            }
        }
    }

    /// Whether whoever opened the stream may still read, of a feed that is still the same; what, is taken anew.
    async fn may_go_on(&mut self) -> bool {
        self.recheck = Instant::now() + RECHECK;
        let Ok(Some(actor)) = identify(&self.api, &self.token).await else {
            return false;
        };
        let (selection, state) = (self.asked.selection(&self.api, &actor).await, self.api.core().feed.state().await);
        match (selection, state) {
            (Ok(selection), Ok(state)) if state.epoch == self.epoch && actor.may(Operation::Read) => {
                self.whole = selection.is_everything();
                self.selection = selection;
                true
            }
            _ => false,
        }
    }

    /// A page read by himself.
    async fn page(&mut self) -> Option<Bytes> {
        let page = tokio::select! {
            () = self.hub.closing() => return None,
            page = self.asked.page(&self.api, &self.selection, self.after) => page,
        };
        // The reader comes back, and is told what is wrong by a status.
        let page = page.ok()?;
        self.after = page.next;
        self.caught_up = !page.has_more;
        let mut text = String::new();
        for event in page.items {
            write(&mut text, &self.epoch, event);
        }
        // Years of what is not shown to him are many pages: he moves on with each, and hears that the stream lives.
        Some(if text.is_empty() && page.has_more {
            self.moved_on()
        } else {
            Bytes::from(text)
        })
    }

    /// An id without data, which is remembered and shown to nobody: where a reader of little goes on.
    fn moved_on(&self) -> Bytes {
        Bytes::from(format!(": \nid: {}\n\n", cursor::of_feed(&self.epoch, self.after)))
    }

    /// What the hub hands on.
    async fn live(&mut self) -> Option<Bytes> {
        let batch = tokio::select! {
            () = self.hub.closing() => return None,
            () = tokio::time::sleep_until(self.beat) => return Some(self.moved_on()),
            () = tokio::time::sleep_until(self.recheck) => return Some(Bytes::new()),
            batch = self.heard.recv() => batch,
        };
        match batch {
            Ok(batch) if batch.epoch != self.epoch => None,
            Ok(batch) if batch.next <= self.after => Some(Bytes::new()),
            Ok(batch) if batch.after <= self.after => {
                let after = std::mem::replace(&mut self.after, batch.next);
                Some(self.told(&batch, after))
            }
            // Something lies between, or was dropped because he was slow.
            Ok(_) | Err(RecvError::Lagged(_)) => {
                self.caught_up = false;
                Some(Bytes::new())
            }
            Err(RecvError::Closed) => None,
        }
    }

    fn told(&self, batch: &Batch, after: i64) -> Bytes {
        let mut text = Vec::new();
        for stored in batch.events.iter().filter(|stored| stored.event.position > after) {
            let Some(event) = (if self.whole && stored.whole.get().is_some() {
                None
            } else {
                self.selection.view(stored.event.clone())
            }) else {
                if self.whole {
                    stored.whole.get().into_iter().for_each(|shared| text.extend_from_slice(shared));
                }
                continue;
            };
            let mut one = String::new();
            write(&mut one, &self.epoch, event);
            text.extend_from_slice(one.as_bytes());
            if self.whole {
                let _ = stored.whole.set(Bytes::from(one));
            }
        }
        Bytes::from(text)
    }
}

/// Adds an event; its id is the cursor after it.
fn write(text: &mut String, epoch: &str, event: feed::Event) {
    let id = cursor::of_feed(epoch, event.position);
    let kind = format!("fr.voxea.{}", event.kind);
    // JSON has no line break of its own.
    let data = serde_json::to_string(&Event::from(event)).unwrap_or_default();
    let _ = write!(text, "id: {id}\nevent: {kind}\ndata: {data}\n\n");
}
