//! What is said of one call's media: what it was started with, what happens, what became of it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use voxea_core::contact::Done;
use voxea_recorder::codec::Codec;
use voxea_recorder::error::Error as RecorderError;
use voxea_recorder::timeline::{Counts, Gap};

use super::kept::Kept;
use crate::announcement::Plan;
use crate::dtmf::Digit;
use crate::rtcp::Summary;
use crate::sdp::Sources;
use crate::srtp::Keys;

/// Names a leg in events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u64);

/// The other end, as its last description says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address and port; an unspecified one is a hold of the old kind (RFC 2543 §B.5): nothing is sent, nothing is taken.
    pub remote: SocketAddr,
    /// Where it wants reports, if it says so (RFC 3605).
    pub rtcp: Option<SocketAddr>,
    /// Whether reports share the port of sound (RFC 5761).
    pub muxed: bool,
    /// The sources by which it sends, where it names them (RFC 5576).
    pub sources: Sources,
    /// The keys of both directions, when packets are encrypted.
    pub srtp: Option<Keys>,
    /// Whether it holds the call: nothing need come of it, and silence is no end.
    pub holds: bool,
    /// Payload type of telephone events (RFC 4733), where there is one.
    pub events: Option<u8>,
}

impl Peer {
    /// Where reports go: the port after that of sound (RFC 3550 §11), unless it says otherwise.
    pub(super) fn reports(&self) -> Option<SocketAddr> {
        if self.muxed {
            return Some(self.remote);
        }
        let next = self.remote.port().checked_add(1);
        let target = self.rtcp.or_else(|| Some(SocketAddr::new(self.remote.ip(), next?)))?;
        (!target.ip().is_unspecified() && target.port() != 0).then_some(target)
    }
}

/// One call, as negotiated.
#[derive(Debug, Clone)]
pub struct Call {
    /// The other end.
    pub peer: Peer,
    /// The codec both ways.
    pub codec: Codec,
    /// What is said, and which keys do something.
    pub plan: Plan,
    /// The sentence for emergencies: octets in that codec; may be empty.
    pub emergency: Arc<[u8]>,
    /// What the keys choose, likewise.
    pub menu: Arc<[u8]>,
    /// The greeting, likewise.
    pub greeting: Arc<[u8]>,
    /// The recording's greatest length.
    pub max: Duration,
    /// The recording ends when nothing was heard for this long.
    pub silence: Duration,
    /// The call ends when no packet came for this long, greeting included.
    pub rtp_timeout: Duration,
    /// The same while the peer holds the call, from then on.
    pub hold: Duration,
    /// Where and how the recording is kept.
    pub kept: Kept,
}

/// What the shell hears of a leg.
#[derive(Debug)]
pub enum MediaEvent {
    /// The beep is out; `at` is the instant of the recording's sample 0.
    RecordingStarted {
        /// The instant after the beep's last sample.
        at: Instant,
    },
    /// The caller chose with a key; told once at most. Until [`Leg::stored`](super::Leg::stored) the beep waits, some seconds
    /// at most.
    Chosen {
        /// The key, one of the plan's menu.
        digit: Digit,
    },
    /// The leg has ended the recording by itself; the call is to be hung up.
    Ended {
        /// Why.
        end: MediaEnd,
    },
    /// The last of a leg: its sockets are closed, its recording is settled.
    Finished(Box<Finished>),
}

/// Why a leg ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaEnd {
    /// The caller has said nothing for `silence`.
    Silence,
    /// The recording has reached `max`.
    MaxLength,
    /// No packet came for `rtp_timeout`, or for `hold` while the peer held the call.
    RtpTimeout,
    /// The engine was shut down.
    Shutdown,
    /// The caller did not want to be recorded.
    Refused,
    /// All was said, and no message is taken.
    Said,
    /// The announcement could not be played to its end: for `rtp_timeout`, or for `hold` while the peer held the call, the
    /// network took no packet of it, or there was none.
    Unheard,
}

/// What became of a leg.
#[derive(Debug)]
pub struct Finished {
    /// Why, if it ended by itself; none when it was stopped. A refusal is said of a stopped one too.
    pub end: Option<MediaEnd>,
    /// The recording's sample 0, if recording had begun.
    pub started: Option<Instant>,
    /// The recording's file and length, or what was wrong.
    pub outcome: Outcome,
    /// Where nothing was received, in samples.
    pub gaps: Vec<Gap>,
    /// Where nothing was to be recorded, in samples; all that there were, those of no length too.
    pub pauses: Vec<Gap>,
    /// The caller's packets.
    pub counts: Counts,
    /// The caller's packets of telephone events (RFC 4733); no sound, and not counted as such.
    pub events: u64,
    /// Datagrams from elsewhere than the peer, of another source than it names, or not authentic.
    pub rejected: u64,
    /// Datagrams of the peer that were not RTP.
    pub malformed: u64,
    /// Datagrams on the port of reports that were not the peer's, or no reports.
    pub refused_reports: u64,
    /// What reports and times of arrival say of the call.
    pub reports: Summary,
}

/// What became of a leg's recording.
#[derive(Debug)]
pub enum Outcome {
    /// Whole, and on the disk.
    Sealed {
        /// Its file.
        path: PathBuf,
        /// Its length; `duration_ms` is this divided by 8.
        samples: u64,
    },
    /// The call ended before a single sample; there is no file.
    Nothing,
    /// The file holds only the beginning.
    Partial {
        /// Its file.
        path: PathBuf,
        /// Samples known to have been written.
        samples: u64,
        /// What failed.
        error: RecorderError,
        /// Whether it has a manifest; the disk may have taken none yet.
        signed: bool,
    },
}

/// Why a leg could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The recording's id can be no file's name.
    #[error(transparent)]
    Recorder(#[from] RecorderError),
    /// The system gave no random octets.
    #[error("no random numbers")]
    NoEntropy,
    /// The leg was started or stopped before, or the engine was shut down.
    #[error("the leg is started or stopped already")]
    NotReserved,
}

/// What a leg's holder has asked of its thread; read at every tick.
#[derive(Debug, Default)]
pub(super) struct Control {
    wishes: Mutex<Wishes>,
}

#[derive(Debug, Default)]
pub(super) struct Wishes {
    pub(super) stop: Option<Instant>,
    /// The other end as it is now.
    pub(super) moved: Option<Peer>,
    /// Keys that came by INFO; bounded.
    pub(super) keys: Vec<(Digit, Instant)>,
    /// The choice is stored.
    pub(super) stored: bool,
    /// Pauses, and ends of pauses; bounded.
    pub(super) pauses: Vec<Wanted>,
    /// The leg has ended: nobody reads this any more.
    pub(super) over: bool,
    /// Nothing of the recording shall stay.
    pub(super) discarded: bool,
}

/// That a recording shall be paused from an instant on, or not.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) paused: bool,
    pub(super) at: Instant,
    pub(super) answer: oneshot::Sender<Done>,
}

impl Control {
    pub(super) fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
