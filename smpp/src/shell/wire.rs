//! The connection: reads in large pieces, writes what has gathered, knows which responses have left.

use std::collections::VecDeque;
use std::io;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use voxea_core::contact::DeliveryMark;

use super::connect::Stream;

/// Bytes a read.
const READ: usize = 64 * 1024;
/// While so many bytes wait to be written, nothing more is read.
const CONGESTED: usize = 256 * 1024;

/// What happened on it.
pub(super) enum Moved {
    Read(io::Result<usize>),
    Wrote(io::Result<usize>),
}

pub(super) struct Wire {
    reader: Box<dyn AsyncRead + Send + Unpin>,
    writer: Box<dyn AsyncWrite + Send + Unpin>,
    inbox: Vec<u8>,
    out: BytesMut,
    /// Bytes of `out` that were written, but may not have left yet: TLS holds them until it is flushed.
    unflushed: usize,
    queued: u64,
    written: u64,
    /// Marks of responses that are not in `out` yet.
    coming: Vec<DeliveryMark>,
    /// Marks of responses that have left when so many bytes are written.
    marks: VecDeque<(u64, DeliveryMark)>,
}

impl Wire {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            reader: stream.reader,
            writer: stream.writer,
            inbox: vec![0; READ],
            out: BytesMut::new(),
            unflushed: 0,
            queued: 0,
            written: 0,
            coming: Vec::new(),
            marks: VecDeque::new(),
        }
    }

    /// Bytes to be written.
    pub(super) fn queue(&mut self, bytes: &Bytes) {
        self.out.extend_from_slice(bytes);
        self.queued += bytes.len() as u64;
    }

    /// The response to this delivery is among the next bytes that are queued.
    pub(super) fn expect(&mut self, mark: DeliveryMark) {
        self.coming.push(mark);
    }

    /// Everything that was expected is queued.
    pub(super) fn queued_all(&mut self) {
        let queued = self.queued;
        self.marks.extend(self.coming.drain(..).map(|mark| (queued, mark)));
    }

    /// Waits until something could be written or, when `reads`, was read. Cancelling it loses nothing.
    pub(super) async fn moves(&mut self, reads: bool) -> Moved {
        let reads = reads && self.out.len() < CONGESTED;
        let writes = !self.out.is_empty();
        let (writer, out, unflushed) = (&mut self.writer, &self.out, &mut self.unflushed);
        let write = async {
            if *unflushed == 0 {
                *unflushed = writer.write(out).await?;
            }
            if *unflushed == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            writer.flush().await?;
            Ok(std::mem::take(unflushed))
        };
        tokio::select! {
            biased;
            wrote = write, if writes => Moved::Wrote(wrote),
            read = self.reader.read(&mut self.inbox), if reads => Moved::Read(read),
            else => std::future::pending().await,
        }
    }

    /// What was read.
    pub(super) fn inbox(&self, count: usize) -> &[u8] {
        self.inbox.get(..count).unwrap_or_default()
    }

    /// So many bytes have left; returns the marks of the responses among them.
    pub(super) fn wrote(&mut self, count: usize) -> Vec<DeliveryMark> {
        self.out.advance(count.min(self.out.len()));
        self.written += count as u64;
        let gone = self.marks.partition_point(|(at, _)| *at <= self.written);
        self.marks.drain(..gone).map(|(_, mark)| mark).collect()
    }

    /// Writes what is left.
    pub(super) async fn flush(&mut self) -> io::Result<Vec<DeliveryMark>> {
        let rest = self.out.get(self.unflushed..).unwrap_or_default();
        self.writer.write_all(rest).await?;
        self.writer.flush().await?;
        self.unflushed = 0;
        let marks = self.wrote(self.out.len());
        // TLS says goodbye; whether that arrives changes nothing.
        let _ = self.writer.shutdown().await;
        Ok(marks)
    }
}
