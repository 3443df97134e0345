//! Whether the daemon lives, and whether it can do its work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Mutex;
use voxea_core::Core;
use voxea_core::channel::State;

/// An answer stands for this long: anybody may ask, and each asking costs a write lock.
const FRESH: Duration = Duration::from_secs(1);
/// A database that takes longer than this is not ready.
const PATIENCE: Duration = Duration::from_secs(2);

const STARTING: u8 = 0;
const LISTENING: u8 = 1;
const STOPPING: u8 = 2;

/// Shared by the lifecycle, which moves it, and the API, which shows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Health(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    phase: AtomicU8,
    last: Mutex<Option<(Instant, bool)>>,
}

/// What `/readyz` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It works; `degraded` when a channel is halted or has an alarm.
    Ready {
        /// Whether one is.
        degraded: bool,
    },
    /// It does not, and why.
    Not(&'static str),
}

impl Health {
    /// The API listens.
    pub(crate) fn listening(&self) {
        self.0.phase.store(LISTENING, Ordering::Release);
    }

    /// The end has begun.
    pub(crate) fn stopping(&self) {
        self.0.phase.store(STOPPING, Ordering::Release);
    }

    /// Ready once the database is migrated and takes writes and the API listens.
    pub(crate) async fn readiness(&self, core: &Core) -> Readiness {
        match self.0.phase.load(Ordering::Acquire) {
            STARTING => return Readiness::Not("starting"),
            STOPPING => return Readiness::Not("stopping"),
            _ => {}
        }
        if !self.writable(core).await {
            return Readiness::Not("the database does not take writes");
        }
        Readiness::Ready {
            degraded: core
                .channels
                .list()
                .iter()
                .any(|status| status.state == State::Halted || status.alarm.is_some()),
        }
    }

    async fn writable(&self, core: &Core) -> bool {
        let mut last = self.0.last.lock().await;
        if let Some((at, answer)) = *last
            && at.elapsed() < FRESH
        {
            return answer;
        }
        let answer = matches!(tokio::time::timeout(PATIENCE, core.store.probe()).await, Ok(Ok(())));
        *last = Some((Instant::now(), answer));
        answer
    }
}
