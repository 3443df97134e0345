//! How well a call was heard, for the core.

use std::time::Duration;

use voxea_core::artefact::Quality;

use crate::media::Finished;
use crate::rtcp;

/// What a packet waits before it is whole: its own length.
const PACKET: Duration = Duration::from_millis(20);

/// The quality of a leg that is over; `None` when neither sound nor a report came.
pub(super) fn of(finished: &Finished) -> Option<Quality> {
    let (counts, reports) = (&finished.counts, &finished.reports);
    if counts.received == 0 && counts.late == 0 && reports.heard == 0 {
        return None;
    }
    let came = counts.received + counts.late;
    let missing = counts.lost + counts.late;
    let jitter = reports.jitter.unwrap_or_default();
    // The way there, and what somebody who listens live would have to hold back.
    let delay = reports.round_trip.unwrap_or_default() / 2 + jitter * 2 + PACKET;
    let mos = (came > 0).then(|| rtcp::mos(missing as f64 / (came + counts.lost) as f64, delay));
    let micros = |span: Duration| u64::try_from(span.as_micros()).unwrap_or(u64::MAX);
    Some(Quality {
        received: counts.received,
        lost: counts.lost,
        duplicated: counts.duplicated,
        reordered: counts.reordered,
        late: counts.late,
        jitter_us: micros(jitter),
        round_trip_us: reports.round_trip.map(micros),
        remote_lost: reports.remote_lost.map(u64::from),
        remote_jitter_us: reports.remote_jitter.map(micros),
        mos: mos.map(|mos| (mos * 100.0).round() as u16),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::Outcome;
    use crate::rtcp::Summary;
    use voxea_recorder::timeline::Counts;

    fn finished(counts: Counts, reports: Summary) -> Finished {
        Finished {
            end: None,
            started: None,
            outcome: Outcome::Nothing,
            gaps: Vec::new(),
            pauses: Vec::new(),
            counts,
            events: 0,
            rejected: 0,
            malformed: 0,
            refused_reports: 0,
            reports,
        }
    }

    #[test]
    fn nothing_heard_is_no_quality() {
        assert_eq!(of(&finished(Counts::default(), Summary::default())), None);
    }

    #[test]
    fn loss_and_delay_cost() {
        let counts = Counts {
            received: 990,
            ..Counts::default()
        };
        let clean = of(&finished(counts, Summary::default())).unwrap();
        assert_eq!((clean.received, clean.mos, clean.round_trip_us), (990, Some(440), None));
        let late = Counts {
            lost: 5,
            late: 5,
            ..counts
        };
        let reports = Summary {
            jitter: Some(Duration::from_micros(2_125)),
            round_trip: Some(Duration::from_millis(400)),
            ..Summary::default()
        };
        let worse = of(&finished(late, reports)).unwrap();
        assert_eq!((worse.jitter_us, worse.round_trip_us), (2_125, Some(400_000)));
        assert!(worse.mos.unwrap() < 370, "{worse:?}");
    }
}
