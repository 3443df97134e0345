//! The submission of a mailbox over the lives of its tokens: a sender a token, or one for all where there is a password.

use std::time::Duration;

use tokio::time::sleep;
use voxea_core::Core;
use voxea_core::base::account::Account;
use voxea_core::base::stop::Stop;
use voxea_core::channel::Reporter;

use crate::config::{Config, Submission};
use crate::outage::Outage;
use crate::submission::Sender;
use crate::trouble::Trouble;

/// Before a token that was not given is asked for again.
const PAUSE: Duration = Duration::from_secs(60);
/// No token is asked for more often than this, whatever its life.
const SHORTEST: Duration = Duration::from_secs(10);

/// Sends what is due until it is stopped. Failures end nothing and are shown.
pub(crate) async fn send(config: &Config, core: &Core, account: &Account, reporter: &Reporter, stop: &Stop) {
    let mut outage = Outage::new(Duration::from_secs(config.alarm_seconds));
    while !stop.soft.is_cancelled() {
        let (submission, life) = match with_token(config).await {
            Ok(Some(found)) => found,
            Ok(None) => return,
            Err(trouble) => {
                outage.goes_on(account, reporter, &format!("submission: {trouble}"));
                core.counters.add(account, "submission_down", 1);
                tokio::select! {
                    () = sleep(PAUSE) => continue,
                    () = stop.soft.cancelled() => return,
                }
            }
        };
        let sender = match Sender::new(&submission, core, account.clone(), reporter) {
            Ok(sender) => sender,
            Err(words) => return reporter.trouble(&format!("submission: {words}")),
        };
        let Some(life) = life else {
            return sender.run(stop, &mut outage).await;
        };
        // What is in hand is finished with the old token.
        let lives = stop.child();
        let ends = async {
            sleep(life.max(SHORTEST)).await;
            lives.soft.cancel();
        };
        tokio::join!(sender.run(&lives, &mut outage), async {
            tokio::select! {
                () = ends => {}
                () = lives.soft.cancelled() => {}
            }
        });
    }
}

/// The submission with the token in the place of its password, and how long that is good; `None` without a submission.
///
/// # Errors
/// As [`crate::oauth::Tokens::token`].
pub(crate) async fn with_token(config: &Config) -> Result<Option<(Submission, Option<Duration>)>, Trouble> {
    let Some(submission) = config.submission.clone() else {
        return Ok(None);
    };
    let (true, Some(tokens), Some((user, _))) = (submission.xoauth2, &config.oauth, &submission.credentials) else {
        return Ok(Some((submission, None)));
    };
    let shown = tokens.token().await?;
    let credentials = Some((user.clone(), shown.token));
    Ok(Some((Submission { credentials, ..submission }, Some(shown.left))))
}
