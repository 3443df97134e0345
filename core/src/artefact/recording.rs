//! What a recording is, and how a call ends.

use std::fmt;
use std::str::FromStr;

use super::quality::Quality;
use crate::base::account::Unknown;
use crate::base::actor::Actor;
use crate::base::time::Millis;

/// How far a recording has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingState {
    /// The call is going on.
    Recording,
    /// The call is over, its file is being closed.
    Sealing,
    /// Whole and closed.
    Sealed,
    /// Closed after a crash: all but its last second is there.
    Partial,
    /// There is no audio; the reason says why.
    Failed,
    /// Erased when its time was over.
    Purged,
}

impl RecordingState {
    const ALL: [Self; 6] = [
        Self::Recording,
        Self::Sealing,
        Self::Sealed,
        Self::Partial,
        Self::Failed,
        Self::Purged,
    ];

    /// The name that the API and the database use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Recording => "recording",
            Self::Sealing => "sealing",
            Self::Sealed => "sealed",
            Self::Partial => "partial",
            Self::Failed => "failed",
            Self::Purged => "purged",
        }
    }

    /// Whether there is audio that may be heard.
    #[must_use]
    pub const fn is_audible(self) -> bool {
        matches!(self, Self::Sealed | Self::Partial)
    }
}

impl FromStr for RecordingState {
    type Err = Unknown;

    fn from_str(text: &str) -> std::result::Result<Self, Unknown> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| Unknown(text.to_owned()))
    }
}

/// What ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallEnd {
    /// The caller hung up.
    Caller,
    /// Nothing was said for the line's `silence_seconds`.
    Silence,
    /// The line's `max_seconds` were over.
    MaxLength,
    /// No packet came any more.
    RtpTimeout,
    /// The caller gave up before we answered.
    Cancelled,
    /// We answered, and the caller never confirmed.
    Abandoned,
    /// The caller did not want to be recorded.
    RefusedRecording,
    /// An agent ended it, or the line was closed and takes no messages then.
    Operator,
    /// The daemon was stopped.
    Shutdown,
    /// The daemon died.
    Crash,
}

/// A stretch of a recording that is not to be recorded; its file has silence there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// Its place among the recording's pauses, from 0.
    pub number: u32,
    /// Its first sample.
    pub first: u64,
    /// Its length in samples; `None` while it lasts.
    pub samples: Option<u64>,
}

/// A pause as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct PauseRow {
    /// Its first sample.
    pub first_sample: i64,
    /// Its length in samples; `None` while it lasts, and when the daemon died before its end.
    pub samples: Option<i64>,
    /// Who wanted it, as history names them.
    pub paused_by: Option<String>,
    /// Who ended it; `None` when the end of the recording did.
    pub resumed_by: Option<String>,
}

/// The end of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// What ended it.
    pub by: CallEnd,
    /// When.
    pub at: Millis,
    /// Why, in the peer's words: protocol and cause (RFC 3326).
    pub reason: Option<String>,
    /// How well it was heard, when anything was.
    pub quality: Option<Quality>,
    /// Where nothing was to be recorded.
    pub pauses: Vec<Pause>,
    /// Who stopped the recording, when somebody did.
    pub stopped_by: Option<Actor>,
}

impl Ending {
    /// An end of which the peer said nothing.
    #[must_use]
    pub const fn new(by: CallEnd, at: Millis) -> Self {
        Self {
            by,
            at,
            reason: None,
            quality: None,
            pauses: Vec::new(),
            stopped_by: None,
        }
    }
}

impl CallEnd {
    /// The name that the API and the database use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "caller",
            Self::Silence => "silence",
            Self::MaxLength => "max_length",
            Self::RtpTimeout => "rtp_timeout",
            Self::Cancelled => "cancelled",
            Self::Abandoned => "abandoned",
            Self::RefusedRecording => "refused_recording",
            Self::Operator => "operator",
            Self::Shutdown => "shutdown",
            Self::Crash => "crash",
        }
    }
}

impl fmt::Display for CallEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of the audio.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordingOutcome {
    /// The file is whole.
    Sealed {
        /// Samples of each of its two channels.
        samples: u64,
    },
    /// A crash cut it; what was written is kept.
    Partial {
        /// Samples of each of its two channels.
        samples: u64,
        /// What happened.
        reason: String,
        /// Whether there is a manifest of it; the disk may have had no room for one yet.
        signed: bool,
    },
    /// There is no audio.
    Failed {
        /// Why.
        reason: String,
    },
}

/// A recording as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct RecordingRow {
    /// UUIDv7.
    pub id: String,
    /// The call's interaction.
    pub interaction_id: String,
    /// See [`RecordingState`].
    pub state: String,
    /// Below the blob folder.
    pub path: String,
    /// `pcma`, `pcmu` or `g722`.
    pub codec: String,
    /// What `samples` counts, a second.
    pub rate: i64,
    /// Of each channel.
    pub samples: i64,
    /// Why it is partial or failed; of a sealed one, who stopped it.
    pub reason: Option<String>,
    /// When the first sample was heard.
    pub started_at: Option<Millis>,
    /// When it was closed.
    pub sealed_at: Option<Millis>,
    /// When the caller confirmed our answer.
    pub answered_at: Option<Millis>,
    /// The key of its file, sealed; see [`crate::vault::Vault::open_data_key`].
    pub data_key: Option<String>,
    /// It is kept so many days after the last of its requests was closed.
    pub keep_days: i64,
    /// When it may be erased; `None` while a request of it is open.
    pub keep_until: Option<Millis>,
    /// Why it is not erased all the same.
    pub hold_reason: Option<String>,
    /// Since when.
    pub held_at: Option<Millis>,
    /// By whose word, as history names them.
    pub held_by: Option<String>,
    /// Who wanted nothing of it kept, as history names them.
    pub discarded_by: Option<String>,
    /// Where nothing was to be recorded, in order; read by [`crate::contact::Recordings::get`] alone.
    #[sqlx(skip)]
    pub pauses: Vec<PauseRow>,
}

impl RecordingRow {
    /// Whether it is being made, and nothing is recorded at the moment.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        let last = self.pauses.last().is_some_and(|pause| pause.samples.is_none());
        last && self.state == RecordingState::Recording.as_str()
    }

    /// A number of its samples in milliseconds.
    #[must_use]
    pub const fn millis(&self, samples: i64) -> i64 {
        if self.rate > 0 { samples * 1000 / self.rate } else { 0 }
    }

    /// Its length in milliseconds.
    #[must_use]
    pub const fn duration_ms(&self) -> i64 {
        self.millis(self.samples)
    }
}
