//! The loop that runs what is due. The steps are the core's.

use std::time::Duration;

use voxea_core::Core;
use voxea_core::base::stop::Stop;
use voxea_core::base::time;
use voxea_core::jobs::Lane;

use super::pulse::Pulse;

/// Between two looks into the table.
const LOOK: Duration = Duration::from_secs(1);
/// Between two looks while the table cannot be read.
const PAUSE: Duration = Duration::from_secs(5);
/// A step that takes longer is given up and tried again; its transaction is rolled back.
const LIMIT: Duration = Duration::from_secs(100);

/// Runs the jobs of a lane until the soft stop.
pub(crate) async fn work(core: Core, lane: Lane, pulse: Pulse, stop: Stop) {
    loop {
        pulse.beat();
        let wait = match stop.soft.run_until_cancelled(turn(&core, lane, &pulse)).await {
            None => return,
            Some(wait) => wait,
        };
        if stop.soft.run_until_cancelled(tokio::time::sleep(wait)).await.is_none() {
            return;
        }
    }
}

/// Runs one job and says how long to wait before the next look.
async fn turn(core: &Core, lane: Lane, pulse: &Pulse) -> Duration {
    let done = beating(pulse, tokio::time::timeout(LIMIT, core.runner.run_due(lane))).await;
    match done {
        Ok(Ok(Some(kind))) => {
            tracing::debug!(job = kind, "a job ran");
            Duration::ZERO
        }
        Ok(Ok(None)) if lane != Lane::Main => {
            if let Err(error) = core.uploads.count().await {
                tracing::debug!(%error, "what waits for the object storage cannot be counted");
            }
            LOOK
        }
        Ok(Ok(None)) => {
            super::backlog::count(core).await;
            // What another node or the command line changed.
            if let Err(error) = core.catalogue.fresh().await {
                tracing::warn!(error = %error, "the catalogue cannot be read; the one at hand goes on");
            }
            let signing = tokio::time::timeout(LIMIT, core.audit.checkpoint_when_due(time::now()));
            match beating(pulse, signing).await {
                Ok(Ok(_)) => {}
                Ok(Err(error)) => tracing::warn!(error = %error, "the audit trail was not signed; it is tried again in a minute"),
                Err(_) => tracing::error!(seconds = LIMIT.as_secs(), "signing the audit trail took too long and was given up"),
            }
            LOOK
        }
        Ok(Err(error)) => {
            tracing::warn!(error = %error, "the job table cannot be used");
            PAUSE
        }
        Err(_) => {
            tracing::error!(seconds = LIMIT.as_secs(), "a job took too long and was given up");
            PAUSE
        }
    }
}

/// Work may take its time; waiting for it is progress until its limit.
async fn beating<T>(pulse: &Pulse, work: impl Future<Output = T>) -> T {
    tokio::pin!(work);
    let mut ticks = tokio::time::interval(PAUSE);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = ticks.tick() => pulse.beat(),
        }
    }
}
