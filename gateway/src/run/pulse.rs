//! Real progress, for systemd's watchdog: every long-lived loop beats, and the watchdog is fed only when all have.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// One loop's sign of life. A loop beats at every turn, and turns at least every five seconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// The loop has come round once more.
    pub(crate) fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The loops that must be alive for the daemon to be.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pulses(Arc<Mutex<Vec<Watched>>>);

#[derive(Debug)]
struct Watched {
    name: &'static str,
    pulse: Pulse,
    seen: u64,
}

impl Pulses {
    /// A pulse for the loop called `name`.
    pub(crate) fn watch(&self, name: &'static str) -> Pulse {
        let pulse = Pulse::default();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Watched {
            name,
            pulse: pulse.clone(),
            seen: 0,
        });
        pulse
    }

    /// The loops that have not come round since the last call.
    pub(crate) fn silent(&self) -> Vec<&'static str> {
        let mut silent = Vec::new();
        for watched in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter_mut() {
            let beats = watched.pulse.0.load(Ordering::Relaxed);
            if beats == watched.seen {
                silent.push(watched.name);
            }
            watched.seen = beats;
        }
        silent
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loop_that_stands_still_is_named() {
        let pulses = Pulses::default();
        let (jobs, api) = (pulses.watch("jobs"), pulses.watch("api"));
        jobs.beat();
        api.beat();
        assert!(pulses.silent().is_empty());
        jobs.beat();
        assert_eq!(pulses.silent(), ["api"]);
        api.beat();
        assert_eq!(pulses.silent(), ["jobs"]);
    }
}
