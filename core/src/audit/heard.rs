//! A recording that is fetched in pieces is listened to once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::entry::Entry;
use crate::base::time::Millis;

/// So long after its entry a further piece belongs to the same listening.
const WITHIN: Millis = 60_000;
/// Listenings that are remembered at once; a piece of one that is forgotten is entered anew.
const MOST: usize = 10_000;

type Listening = (String, String, String, Option<String>);

/// The listenings of the last minute.
#[derive(Debug, Clone, Default)]
pub(super) struct Heard(Arc<Mutex<HashMap<Listening, Millis>>>);

impl Heard {
    /// Whether an entry for the same actor, action, object and purpose was written within the last minute.
    pub(super) fn lately(&self, entry: &Entry) -> bool {
        let heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = heard.get(&listening(entry)).copied();
        // A clock that was set back makes nothing recent.
        at.is_some_and(|at| (0..WITHIN).contains(&(entry.at - at)))
    }

    /// Notes an entry that is committed.
    pub(super) fn note(&self, entry: &Entry) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heard.len() >= MOST {
            heard.retain(|_, at| (0..WITHIN).contains(&(entry.at - *at)));
            if heard.len() >= MOST {
                heard.clear();
            }
        }
        heard.insert(listening(entry), entry.at);
    }
}

fn listening(entry: &Entry) -> Listening {
    let Entry {
        actor,
        action,
        object,
        purpose,
        ..
    } = entry.clone();
    (actor, action, object, purpose)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::actor::Actor;

    #[test]
    fn a_minute_from_the_entry_on_pieces_belong_to_it() {
        let heard = Heard::default();
        let piece = |at, purpose: &str| {
            Entry::new(&Actor::System, "listened", "recording/1")
                .at(at)
                .purpose(Some(purpose.to_owned()))
        };
        assert!(!heard.lately(&piece(0, "a")), "nothing was entered yet");
        heard.note(&piece(0, "a"));
        assert!(heard.lately(&piece(WITHIN - 1, "a")));
        assert!(!heard.lately(&piece(WITHIN, "a")) && !heard.lately(&piece(1, "b")) && !heard.lately(&piece(-1, "a")));
        for n in 0..=MOST {
            heard.note(&piece(1, &n.to_string()));
        }
        assert!(heard.0.lock().unwrap().len() <= MOST);
    }
}
