//! What systemd is told: ready, stopping, and alive.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

use super::pulse::Pulses;

/// Beats come every five seconds at the latest, so a shorter look would call a healthy loop silent.
const SHORTEST_LOOK: Duration = Duration::from_secs(6);

/// Everything listens and the channels are started.
pub(crate) fn ready(address: &str) {
    tell(&[NotifyState::Ready, NotifyState::Status(&format!("API at {address}"))]);
}

/// The daemon is on its way out, and says how long that may take.
pub(crate) fn stopping(limit: Duration) {
    let microseconds = u32::try_from(limit.as_micros()).unwrap_or(u32::MAX);
    tell(&[NotifyState::Stopping, NotifyState::ExtendTimeoutUsec(microseconds)]);
}

/// Feeds the watchdog while every loop makes progress. Returns at once when systemd asks for none.
pub(crate) async fn feed(pulses: Pulses, stop: CancellationToken) {
    let Some(limit) = sd_notify::watchdog_enabled() else { return };
    let look = (limit / 2).max(SHORTEST_LOOK);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(look) => {}
        }
        let silent = pulses.silent();
        if silent.is_empty() {
            tell(&[NotifyState::Watchdog]);
        } else {
            tracing::error!(loops = ?silent, "no progress; the watchdog is not fed");
        }
    }
}

fn tell(state: &[NotifyState<'_>]) {
    // Without systemd there is no socket and nothing is sent; a full socket must not end the daemon.
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(error = %error, "systemd could not be told");
    }
}
