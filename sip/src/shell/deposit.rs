//! One deposit call, as the shell follows it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;
use voxea_core::artefact::{CallEnd, Quality, RecordingOutcome};
use voxea_recorder::Key;
use voxea_recorder::codec::Codec;

use super::orders::Wanted;
use super::said::Said;
use crate::config::{Greeting, Line};
use crate::dtmf::Digit;
use crate::media::{self, Finished, Kept, Leg, LegId, MediaEnd, Outcome};
use crate::sdp::Negotiated;

/// A call between INVITE and the last row.
#[derive(Debug)]
pub(super) struct Deposit {
    pub(super) stage: Stage,
    pub(super) leg: LegId,
    /// The recording's id: of its row and its file.
    pub(super) recording: String,
    /// The key of that file, where files are encrypted.
    pub(super) key: Option<Key>,
    /// The codec that the store was told of.
    pub(super) codec: Codec,
    /// The line's number as configured.
    pub(super) line: String,
    /// Whether the caller can hear something before an answer.
    pub(super) reliable: bool,
    /// Our address in the SDP.
    pub(super) local: IpAddr,
    /// Set by the commit.
    pub(super) interaction: Option<String>,
    /// Its request; set by the commit too.
    pub(super) request: Option<String>,
    /// Why and when it ended; the first reason stays.
    pub(super) end: Option<(CallEnd, Instant)>,
    /// Why, in the caller's words.
    pub(super) reason: Option<String>,
    /// How well it was heard, once its media are over.
    pub(super) quality: Option<Quality>,
    /// The other end of the sound, once the caller has changed it before its ACK.
    pub(super) moved: Option<media::Peer>,
    /// Keys that came by INFO before the ACK; bounded.
    pub(super) early: Vec<(Digit, Instant)>,
    /// The codes of the themes that keys choose, since the answer.
    pub(super) themes: Vec<(Digit, String)>,
    /// Closed when the caller's choice is stored.
    pub(super) storing: Option<oneshot::Receiver<()>>,
    /// What others want of its recording.
    pub(super) wanted: Wanted,
}

/// How far it has come. The leg is in every stage in which it is ours to hold.
#[derive(Debug)]
pub(super) enum Stage {
    /// The core has it; no answer was sent.
    Committing(Leg),
    /// Our 200 is out.
    Answering(Leg),
    /// Greeting, beep, message.
    Talking(Leg),
    /// The leg was told to stop, or is gone.
    Over,
}

impl Deposit {
    /// Notes why it ended, unless that is known already.
    pub(super) fn ends(&mut self, end: CallEnd, at: Instant) {
        self.end.get_or_insert((end, at));
    }
}

/// What the leg must know.
pub(super) fn media_call(line: &Line, said: &Said, kept: Kept, media: &Negotiated) -> media::Call {
    let codec = Codec::from(media.codec);
    let octets = |greeting: &Option<Greeting>| {
        greeting
            .as_ref()
            .map_or_else(|| Arc::new([]) as Arc<[u8]>, |greeting| greeting.octets(codec))
    };
    media::Call {
        peer: peer(media),
        codec,
        plan: said.plan,
        emergency: octets(&line.emergency),
        menu: octets(&line.menu),
        greeting: said.greeting.octets(codec),
        max: line.max,
        silence: line.silence,
        rtp_timeout: line.rtp_timeout,
        hold: line.hold,
        kept,
    }
}

/// The other end of the sound. Our packets go nowhere while the caller holds the call.
pub(super) fn peer(media: &Negotiated) -> media::Peer {
    let wanted = media.direction.sends || media.direction.receives;
    let remote = media.remote.filter(|_| wanted);
    media::Peer {
        remote: remote.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0))),
        rtcp: media.rtcp,
        muxed: media.rtcp_mux,
        sources: media.sources,
        srtp: media.srtp.map(|(keys, _)| keys),
        // The peer does not listen, by a=sendonly, a=inactive or no address (RFC 3264 §8.4).
        holds: !media.direction.sends,
        events: media.events,
    }
}

/// How a call ended that its media ended.
pub(super) const fn call_end(end: MediaEnd) -> CallEnd {
    match end {
        MediaEnd::Silence => CallEnd::Silence,
        MediaEnd::MaxLength => CallEnd::MaxLength,
        MediaEnd::RtpTimeout => CallEnd::RtpTimeout,
        MediaEnd::Shutdown => CallEnd::Shutdown,
        MediaEnd::Refused => CallEnd::RefusedRecording,
        // The town says that it takes no messages now.
        MediaEnd::Said => CallEnd::Operator,
        // Its sound did not get through, in the other direction.
        MediaEnd::Unheard => CallEnd::RtpTimeout,
    }
}

/// What became of the sound, for the core.
pub(super) fn outcome(finished: &Finished, end: CallEnd) -> RecordingOutcome {
    match &finished.outcome {
        Outcome::Sealed { samples, .. } => RecordingOutcome::Sealed { samples: *samples },
        Outcome::Nothing => RecordingOutcome::Failed {
            reason: match (finished.end, end) {
                (_, CallEnd::RefusedRecording) => "the caller refused to be recorded",
                (Some(MediaEnd::Said), _) => "the line was closed and takes no messages then",
                (Some(MediaEnd::Unheard), _) => "the announcement could not be played to the caller, so nothing was recorded",
                _ if finished.started.is_some() => "the recording ended before a single sample",
                _ => "the call ended before the beep",
            }
            .to_owned(),
        },
        Outcome::Partial { samples: 0, error, .. } => RecordingOutcome::Failed { reason: error.words() },
        Outcome::Partial {
            samples, error, signed, ..
        } => RecordingOutcome::Partial {
            samples: *samples,
            reason: error.words(),
            signed: *signed,
        },
    }
}

/// Why there is no sound of a call that was never recorded.
pub(super) const fn silent_because(end: CallEnd) -> &'static str {
    match end {
        CallEnd::Cancelled => "the caller gave up before the answer",
        CallEnd::Abandoned => "the caller never confirmed the answer",
        CallEnd::Shutdown => "the daemon was stopped",
        _ => "the call ended before the recording began",
    }
}
