//! What a caller's keys do.

use std::time::{Duration, Instant};

use voxea_core::Core;
use voxea_core::contact::{Choice, IntakeError};

use super::deposit::Stage;
use super::driver::{Done, Driver};
use crate::call::CallHandle;
use crate::dtmf::Digit;

/// Keys of one call that wait until its leg is playing.
const EARLY: usize = 16;

impl Driver {
    /// A key came by INFO.
    pub(super) fn pressed(&mut self, call: CallHandle, digit: Digit, at: Instant) {
        let Some(deposit) = self.calls.get_mut(&call) else { return };
        match &deposit.stage {
            Stage::Talking(leg) => leg.press(digit, at),
            Stage::Answering(_) if deposit.early.len() < EARLY => deposit.early.push((digit, at)),
            _ => {}
        }
    }

    /// A key of the menu chose a theme: it is stored, and only then may the beep follow.
    pub(super) fn chosen(&mut self, call: CallHandle, digit: Digit) {
        self.count("theme_chosen");
        let Some(deposit) = self.calls.get_mut(&call) else { return };
        let theme = deposit.themes.iter().find(|(key, _)| *key == digit);
        let (Some((_, theme)), Some(request_id)) = (theme, deposit.request.clone()) else {
            return;
        };
        let choice = Choice {
            account: self.account.clone(),
            epoch: self.epoch,
            request_id,
            given: self.config.line(&deposit.line).and_then(|line| line.theme.clone()),
            theme: theme.clone(),
        };
        // The end of the call is noted after it, so that no recording is told of before its theme.
        let (stored, storing) = tokio::sync::oneshot::channel();
        deposit.storing = Some(storing);
        let (core, stop) = (self.core.clone(), self.stop.hard.clone());
        self.tasks.spawn(async move {
            tokio::select! {
                () = store(&core, &choice) => {}
                () = stop.cancelled() => {}
            }
            drop(stored);
            Done::Chosen { call }
        });
    }

    /// The choice is stored.
    pub(super) fn choice_stored(&mut self, call: CallHandle) {
        if let Some(deposit) = self.calls.get(&call)
            && let Stage::Talking(leg) = &deposit.stage
        {
            leg.stored();
        }
    }
}

/// Stores a choice, and does not give up while the store may come back.
async fn store(core: &Core, choice: &Choice) {
    let mut wait = Duration::from_millis(100);
    loop {
        match core.intake.choose_theme(choice).await {
            Ok(_) => return,
            Err(error @ IntakeError::Unavailable(_)) => {
                tracing::warn!(%error, request = choice.request_id, "a caller's choice could not be stored; trying again");
            }
            // The theme was switched off meanwhile, or the account is another node's.
            Err(error) => {
                tracing::warn!(%error, request = choice.request_id, "a caller's choice was not stored");
                return;
            }
        }
        tokio::time::sleep(wait).await;
        wait = (wait * 2).min(Duration::from_secs(10));
    }
}
