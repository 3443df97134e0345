//! One connection, whoever opened it: messages in, messages out, and an end that loses no answer.

use std::io::ErrorKind;
use std::pin::pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::arrival::{Arrival, Intakes};
use super::connections::{Connections, Seat, is_response};
use super::streams::Stay;
use crate::flow::{Flow, Transport};
use crate::timers::T1X64;
use crate::wire::stream::{Frame, Framer};

/// A trunk's connection may be silent this long; its calls last longer than its keep-alives.
const TRUNK_IDLE: Duration = Duration::from_secs(600);
/// Who opens a connection has something to say: a trunk that has not said it within this time, the longest that a
/// transaction waits, had nothing. Keep-alives do not count before.
const TRUNK_FIRST: Duration = T1X64;
/// A stranger's connection may be silent this long.
const STRANGER_IDLE: Duration = Duration::from_secs(5);
/// A peer that does not read for this long has gone.
const WRITE: Duration = Duration::from_secs(10);
/// What is queued at the end has this long.
const LAST: Duration = Duration::from_millis(500);

/// How long a connection may be silent, and whose place it has.
#[derive(Debug)]
pub(super) struct Life {
    /// Before the first whole message.
    first: Duration,
    /// After it.
    idle: Duration,
    /// The place that another one may need.
    stay: Option<Stay>,
}

impl Life {
    /// A connection that a trunk has opened.
    pub(super) const fn trunk(stay: Stay) -> Self {
        Self {
            first: TRUNK_FIRST,
            idle: TRUNK_IDLE,
            stay: Some(stay),
        }
    }

    /// One of somebody who may not call.
    pub(super) const fn stranger() -> Self {
        Self {
            first: STRANGER_IDLE,
            idle: STRANGER_IDLE,
            stay: None,
        }
    }

    /// One that we have opened: it is we who had something to say.
    pub(super) const fn ours() -> Self {
        Self {
            first: TRUNK_IDLE,
            idle: TRUNK_IDLE,
            stay: None,
        }
    }

    /// Until another one needs the place.
    async fn needed(&self) {
        match &self.stay {
            Some(stay) => stay.leave.cancelled().await,
            None => std::future::pending().await,
        }
    }
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// The peer sends nothing more.
    Closed,
    /// It was silent too long, another one needs its place, or what came is no message: nothing is wrong with the way back.
    Idle,
    /// Reset, or not written to: what was sent may be lost.
    Broken,
    /// We are stopping.
    Stopped,
}

/// Reads and writes until it ends.
pub(super) async fn serve<S>(stream: S, mut seat: Seat, life: Life, connections: &Connections, intakes: &Intakes)
where
    S: AsyncRead + AsyncWrite + Send,
{
    let (mut reader, mut writer) = tokio::io::split(stream);
    // Requests that came and have no final answer yet.
    let (owed, mut settled) = watch::channel(0_u32);
    let mut end = {
        let mut write = pin!(write(&mut writer, &mut seat.waiting, &owed));
        let read = read(&mut reader, seat.flow, &seat.queue, &life, intakes, &owed);
        let end = tokio::select! {
            () = &mut write => End::Broken,
            end = read => end,
            () = life.needed() => End::Idle,
            () = intakes.stop.cancelled() => End::Stopped,
            () = seat.cut.cancelled() => End::Broken,
        };
        if end == End::Closed && *settled.borrow() > 0 {
            // Who has ended its side still reads, and is still owed what it asked for.
            connections.half_closed(&seat.flow);
            tokio::select! {
                () = &mut write => End::Broken,
                _ = settled.wait_for(|owed| *owed == 0) => End::Closed,
                () = life.needed() => End::Idle,
                () = tokio::time::sleep(life.idle.min(T1X64)) => End::Idle,
                () = intakes.stop.cancelled() => End::Stopped,
                () = seat.cut.cancelled() => End::Broken,
            }
        } else {
            end
        }
    };
    connections.forget(&seat);
    // What is queued already goes out: the last 200 of a call among it.
    while end != End::Broken
        && let Ok(bytes) = seat.waiting.try_recv()
    {
        if !matches!(timeout(LAST, writer.write_all(&bytes)).await, Ok(Ok(()))) {
            end = End::Broken;
        }
    }
    let _ = timeout(LAST, writer.shutdown()).await;
    if end == End::Broken {
        let _ = intakes.lost.send(seat.flow).await;
    }
}

/// Ends when the peer does not take it.
async fn write<W: AsyncWrite + Unpin>(writer: &mut W, waiting: &mut mpsc::Receiver<Bytes>, owed: &watch::Sender<u32>) {
    while let Some(bytes) = waiting.recv().await {
        let written = async {
            writer.write_all(&bytes).await?;
            writer.flush().await
        };
        if !matches!(timeout(WRITE, written).await, Ok(Ok(()))) {
            return;
        }
        if is_response(&bytes) && bytes.get(8) != Some(&b'1') {
            owed.send_modify(|owed| *owed = owed.saturating_sub(1));
        }
    }
}

async fn read<R: AsyncRead + Unpin>(
    reader: &mut R,
    flow: Flow,
    queue: &mpsc::Sender<Bytes>,
    life: &Life,
    intakes: &Intakes,
    owed: &watch::Sender<u32>,
) -> End {
    let mut framer = Framer::default();
    let mut buffer = vec![0; 16 * 1024];
    // The idle time counts whole messages: byte after byte keeps nobody alive.
    let (mut heard, mut spoken) = (tokio::time::Instant::now(), false);
    loop {
        let idle = if spoken { life.idle } else { life.first };
        let length = match tokio::time::timeout_at(heard + idle, reader.read(&mut buffer)).await {
            Err(_) => return End::Idle,
            Ok(Ok(0)) => return End::Closed,
            Ok(Ok(length)) => length,
            // TLS without its good-bye.
            Ok(Err(error)) if error.kind() == ErrorKind::UnexpectedEof => return End::Closed,
            Ok(Err(_)) => return End::Broken,
        };
        let octets = buffer.get(..length).unwrap_or_default();
        // The beginning of a handshake (RFC 8446 §5.1): nothing that it says can be understood, and it waits for an answer.
        if !spoken && flow.transport == Transport::Tcp && octets.starts_with(&[0x16, 0x03]) {
            intakes.say("tls_on_tcp", flow.remote.ip());
            return End::Idle;
        }
        framer.push(octets);
        while let Some(frame) = framer.next() {
            let now = tokio::time::Instant::now();
            let (bytes, last) = match frame {
                Frame::KeepAlive => {
                    if spoken {
                        heard = now;
                    }
                    let _ = queue.try_send(Bytes::from_static(b"\r\n"));
                    continue;
                }
                Frame::Message(bytes) => (bytes, false),
                Frame::Broken(head) => (head, true),
            };
            (heard, spoken) = (now, true);
            if let Some(stay) = &life.stay {
                stay.heard();
            }
            if !is_response(&bytes) && !bytes.starts_with(b"ACK ") {
                owed.send_modify(|owed| *owed = owed.saturating_add(1));
            }
            // A full queue stops the reading, and so the peer.
            let at = Instant::now();
            if intakes.arrivals.send(Arrival { flow, bytes, at }).await.is_err() {
                return End::Stopped;
            }
            if last {
                // The endpoint answers a broken message at once; then nothing more can be understood.
                tokio::time::sleep(Duration::from_millis(200)).await;
                return End::Idle;
            }
        }
    }
}
