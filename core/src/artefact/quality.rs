//! How well a call was heard.

use serde::{Deserialize, Serialize};

/// What was counted of the caller's sound, and what both sides' reports say (RTCP, RFC 3550).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Quality {
    /// Packets of sound that found their place.
    pub received: u64,
    /// Packets that never came, by their numbers.
    pub lost: u64,
    /// Packets that came twice.
    pub duplicated: u64,
    /// Packets that came after one with a higher number, and still in time.
    pub reordered: u64,
    /// Packets that came too late to be recorded.
    pub late: u64,
    /// Interarrival jitter (RFC 3550 §A.8), microseconds.
    pub jitter_us: u64,
    /// Mean round trip, microseconds; `None` when the peer sent no reports.
    pub round_trip_us: Option<u64>,
    /// Packets of ours that the peer missed, as it says.
    pub remote_lost: Option<u64>,
    /// Jitter of ours at the peer, as it says, microseconds.
    pub remote_jitter_us: Option<u64>,
    /// Estimated mean opinion score in hundredths, 100 to 450 (ITU-T G.107); `None` when nothing was heard.
    pub mos: Option<u16>,
}

impl Quality {
    /// As it is stored.
    pub(crate) fn to_json(self) -> Option<String> {
        serde_json::to_string(&self).ok()
    }
}
