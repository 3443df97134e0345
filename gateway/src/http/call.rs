//! A call on a connection, from its head to the end of its answer, and whose turn it is meanwhile.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use tokio::sync::watch;

use super::places::Place;

/// A call at work on a connection, from its headers until its answer is sent or given up.
pub(super) struct Call {
    calls: watch::Sender<usize>,
    place: Arc<Place>,
}

impl Call {
    /// Its head has come.
    pub(super) fn begin(calls: &watch::Sender<usize>, place: &Arc<Place>) -> Self {
        calls.send_modify(|count| *count += 1);
        place.begins();
        Self {
            calls: calls.clone(),
            place: Arc::clone(place),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.place.ends();
        self.calls.send_modify(|count| *count -= 1);
    }
}

/// Whether a call waits for its peer, as its place is told.
pub(super) struct Waiting {
    place: Arc<Place>,
    now: bool,
}

impl Waiting {
    /// It does not yet.
    pub(super) fn new(place: &Arc<Place>) -> Self {
        Self {
            place: Arc::clone(place),
            now: false,
        }
    }

    fn set(&mut self, waits: bool) {
        match (self.now, waits) {
            (false, true) => self.place.waits(),
            (true, false) => self.place.goes_on(),
            _ => (),
        }
        self.now = waits;
    }

    /// It does from its head on.
    pub(super) fn begun(mut self) -> Self {
        self.set(true);
        self
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// What the peer sends. Its call waits for the peer until all of it is there: a byte now and then is no work.
pub(super) struct Asked {
    body: Incoming,
    waiting: Waiting,
}

impl Asked {
    /// The body of a call.
    pub(super) fn new(body: Incoming, waiting: Waiting) -> Self {
        let waiting = if body.is_end_stream() { waiting } else { waiting.begun() };
        Self { body, waiting }
    }
}

impl HttpBody for Asked {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.body).poll_frame(cx);
        if this.body.is_end_stream() || matches!(polled, Poll::Ready(None | Some(Err(_)))) {
            this.waiting.set(false);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        HttpBody::size_hint(&self.body)
    }
}

/// An answer's body, by which its call stays at work. From one piece until the next is asked for, it is the peer's turn to take
/// it; while there is no next piece, ours to make one.
pub(super) struct Answer {
    body: Body,
    waiting: Waiting,
    _call: Call,
}

impl Answer {
    /// The answer of a call.
    pub(super) const fn new(body: Body, waiting: Waiting, call: Call) -> Self {
        Self {
            body,
            waiting,
            _call: call,
        }
    }
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        this.waiting.set(false);
        let piece = ready!(Pin::new(&mut this.body).poll_frame(cx));
        this.waiting.set(piece.is_some());
        Poll::Ready(piece)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        HttpBody::size_hint(&self.body)
    }
}
