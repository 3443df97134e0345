//! By which source (SSRC) the peer is heard, where its description names any (RFC 5576). Where it names none the timeline
//! follows the one that comes first, and another one only when that stays away.

use std::time::{Duration, Instant};

use crate::sdp::Sources as Named;

/// How long a source that was not named must be alone before it is heard: some systems hand on the names of one stream with
/// the packets of another, and no citizen shall be lost for that. The greeting takes longer.
const ALONE: Duration = Duration::from_secs(1);

/// The sources of one leg.
#[derive(Debug)]
pub(super) struct Sources {
    named: Named,
    /// One of them was heard: from then on they alone are.
    heard: bool,
    other: Option<(u32, Instant)>,
}

impl Sources {
    pub(super) fn new(named: Named) -> Self {
        Self {
            named,
            heard: false,
            other: None,
        }
    }

    /// Another description: what was heard counts as long as it names the same.
    pub(super) fn moved(&mut self, named: Named) {
        if self.named != named {
            *self = Self::new(named);
        }
    }

    /// Is a packet of the peer's, which came then and is of this source, to be heard?
    pub(super) fn accepts(&mut self, ssrc: u32, arrival: Instant) -> bool {
        if self.named.contains(&Some(ssrc)) {
            self.heard = true;
            return true;
        }
        if self.heard {
            return false;
        }
        if self.named == Named::default() {
            return true;
        }
        match self.other {
            Some((other, since)) if other == ssrc => arrival.saturating_duration_since(since) >= ALONE,
            _ => {
                self.other = Some((ssrc, arrival));
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMED: Named = [Some(7), Some(8), None, None];

    #[test]
    fn those_that_are_named_are_heard_at_once_and_alone() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut sources = Sources::new(NAMED);
        assert!(!sources.accepts(9, at(0)));
        assert!(sources.accepts(7, at(20)) && sources.accepts(8, at(40)));
        assert!(!sources.accepts(9, at(9_000)), "also after a long silence");
        sources.moved(NAMED);
        assert!(!sources.accepts(9, at(9_000)), "the same description changes nothing");
        sources.moved([Some(9), None, None, None]);
        assert!(sources.accepts(9, at(9_000)) && !sources.accepts(7, at(9_000)));
    }

    #[test]
    fn where_none_is_named_that_is_for_the_timeline_to_say() {
        let mut sources = Sources::new(Named::default());
        assert!(sources.accepts(1, Instant::now()) && sources.accepts(2, Instant::now()));
    }

    #[test]
    fn a_name_that_is_not_true_costs_a_second() {
        let now = Instant::now();
        let at = |ms| now + Duration::from_millis(ms);
        let mut sources = Sources::new(NAMED);
        assert!(!sources.accepts(1, at(0)) && !sources.accepts(1, at(999)));
        assert!(sources.accepts(1, at(1_000)));
        assert!(!sources.accepts(2, at(1_020)), "another one begins anew");
        assert!(!sources.accepts(1, at(1_040)));
        assert!(
            sources.accepts(7, at(1_060)) && !sources.accepts(1, at(5_000)),
            "and those that are named win"
        );
    }
}
