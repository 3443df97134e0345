//! What lies between async-imap and the socket: a cap on literals and lines, and time limits.
//!
//! async-imap allocates a literal on the size that the server declares, and waits for its bytes for ever. Here a
//! declaration above the cap, or a line without end, is an error before it allocates; and a socket that neither reads
//! nor writes for long enough is one too. Inside IDLE silence is normal, so the read limit can be changed.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};
use voxea_core::base::mutant;

/// Longest line outside literals, in bytes: a SEARCH answer with a million UIDs.
const LINE_BYTES: u64 = 16 * 1024 * 1024;
/// How long a write may wait.
const WRITE: Duration = Duration::from_secs(30);

/// The error of a literal that is larger than the cap, inside an [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the server declares {declared} bytes, more than the {cap} that are taken")]
pub struct TooLarge {
    /// What it declared.
    pub declared: u64,
    /// What is taken.
    pub cap: u64,
}

/// A socket under limits.
pub struct Limited<S> {
    socket: S,
    scan: Scan,
    reading: Limit,
    writing: Limit,
}

impl<S> fmt::Debug for Limited<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Limited")
    }
}

impl<S> Limited<S> {
    /// A socket on which literals have at most `cap` bytes and a read waits at most `read`.
    #[must_use]
    pub fn new(socket: S, cap: u64, read: Duration) -> Self {
        Self {
            socket,
            scan: Scan::new(cap),
            reading: Limit::new(read),
            writing: Limit::new(WRITE),
        }
    }

    /// How long a read may wait from now on.
    pub fn read_within(&mut self, limit: Duration) {
        self.reading = Limit::new(limit);
    }

    /// The socket below.
    #[must_use]
    pub fn into_inner(self) -> S {
        self.socket
    }
}

/// A time limit that begins at the first wait and ends with progress.
struct Limit {
    within: Duration,
    running: Option<Pin<Box<Sleep>>>,
}

impl Limit {
    const fn new(within: Duration) -> Self {
        Self { within, running: None }
    }

    /// Progress, or an error when there has been none for too long.
    fn check<T>(&mut self, polled: Poll<io::Result<T>>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.running = None;
            return polled;
        }
        let within = self.within;
        let timer = self.running.get_or_insert_with(|| Box::pin(sleep_until(Instant::now() + within)));
        timer
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, "the server is silent")))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Limited<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.socket).poll_read(cx, buf);
        let polled = match polled {
            Poll::Ready(Ok(())) => Poll::Ready(
                this.scan
                    .take(buf.filled().get(before..).unwrap_or_default())
                    .map_err(io::Error::other),
            ),
            other => other,
        };
        this.reading.check(polled, cx)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Limited<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.socket).poll_write(cx, buf);
        this.writing.check(polled, cx)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.socket).poll_flush(cx);
        this.writing.check(polled, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let polled = Pin::new(&mut this.socket).poll_shutdown(cx);
        this.writing.check(polled, cx)
    }
}

/// Finds `{n}` at line ends (RFC 9051 §4.3) without keeping anything.
#[derive(Debug)]
struct Scan {
    cap: u64,
    /// Bytes of the literal that are still to come.
    literal: u64,
    line: u64,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Text,
    /// After `{`, with the number so far.
    Number(u64),
    /// After `}`, with the number.
    Closed(u64),
    /// After `}\r`.
    Return(u64),
}

impl Scan {
    const fn new(cap: u64) -> Self {
        Self {
            cap,
            literal: 0,
            line: 0,
            state: State::Text,
        }
    }

    fn take(&mut self, mut bytes: &[u8]) -> Result<(), TooLarge> {
        while !bytes.is_empty() {
            if self.literal > 0 {
                let skipped = usize::try_from(self.literal).unwrap_or(usize::MAX).min(bytes.len());
                self.literal -= skipped as u64;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            let Some((byte, rest)) = bytes.split_first() else { break };
            bytes = rest;
            self.line += 1;
            if self.line > LINE_BYTES {
                return Err(TooLarge {
                    declared: self.line,
                    cap: LINE_BYTES,
                });
            }
            self.state = match (self.state, byte) {
                (_, b'{') => State::Number(0),
                (State::Number(number), digit @ b'0'..=b'9') => {
                    State::Number(number.saturating_mul(10).saturating_add(u64::from(digit - b'0')))
                }
                // RFC 7888: `{n+}`, which only clients send, but which a parser may take.
                (State::Number(number), b'+') => State::Number(number),
                (State::Number(number), b'}') => State::Closed(number),
                (State::Closed(number), b'\r') => State::Return(number),
                (State::Closed(number) | State::Return(number), b'\n') => {
                    if number > self.cap && !mutant::active("no_literal_cap") {
                        return Err(TooLarge {
                            declared: number,
                            cap: self.cap,
                        });
                    }
                    self.literal = number;
                    State::Text
                }
                _ => State::Text,
            };
            if *byte == b'\n' {
                self.line = 0;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use tokio::io::AsyncReadExt as _;

    #[test]
    fn a_declaration_above_the_cap_is_an_error() {
        let mut scan = Scan::new(1_000);
        assert_eq!(
            scan.take(b"* 1 FETCH (BODY[] {500000000}\r\n"),
            Err(TooLarge {
                declared: 500_000_000,
                cap: 1_000
            })
        );
        assert!(Scan::new(1_000).take(b"{99999999999999999999999999}\r\n").is_err());
    }

    #[test]
    fn a_mail_may_hold_what_looks_like_one() {
        let mut scan = Scan::new(100);
        assert_eq!(scan.take(b"* 1 FETCH (BODY[] {12}\r\n{5000}\r\n{90} UID 1)\r\n"), Ok(()));
        assert_eq!(scan.take(b"* OK [X {5000} y]\r\n"), Ok(()));
    }

    proptest! {
        #[test]
        fn pieces_do_not_matter(cut in 0_usize..60) {
            let bytes = b"* 1 FETCH (BODY[] {12}\r\n{5000}\r\nxx..)\r\n* 2 X {2000}\r\n";
            let (one, two) = bytes.split_at(cut.min(bytes.len()));
            let mut scan = Scan::new(1_000);
            let taken = scan.take(one).and_then(|()| scan.take(two));
            prop_assert_eq!(taken, Err(TooLarge { declared: 2_000, cap: 1_000 }));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_an_error() {
        let (near, _far) = tokio::io::duplex(64);
        let mut limited = Limited::new(near, 10, Duration::from_secs(5));
        let started = Instant::now();
        assert_eq!(limited.read_u8().await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(started.elapsed(), Duration::from_secs(5));
    }
}
