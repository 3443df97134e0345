//! An outage of the submission server: who is told of it, and when it becomes an alarm.

use std::time::{Duration, Instant};

use voxea_core::base::account::Account;
use voxea_core::channel::Reporter;

/// Whether mail can go out.
#[derive(Debug)]
pub(crate) struct Outage {
    /// Longer is an alarm.
    patience: Duration,
    began: Option<Instant>,
}

impl Outage {
    /// None yet.
    pub(crate) const fn new(patience: Duration) -> Self {
        Self { patience, began: None }
    }

    /// The server could not be used. The log is told once an outage, and without the server's words.
    pub(crate) fn goes_on(&mut self, account: &Account, reporter: &Reporter, words: &str) {
        let words = unaddressed(words);
        if self.began.is_none() {
            tracing::warn!(%account, "no mail can go out; it waits and is tried again, and last_error in /v1/channels says why");
        }
        let lasts = self.began.get_or_insert_with(Instant::now).elapsed();
        if lasts >= self.patience {
            reporter.alarm(Some(&format!("no mail has gone out for {} min: {words}", lasts.as_secs() / 60)));
        }
        reporter.trouble(&words);
    }

    /// It answered.
    pub(crate) fn ends(&mut self, account: &Account, reporter: &Reporter) {
        if self.began.take().is_some() {
            tracing::info!(%account, "mail goes out again");
            reporter.alarm(None);
        }
    }
}

/// Words of a server without the addresses in them: whoever may see the channel may not see every citizen.
fn unaddressed(words: &str) -> String {
    let masked = words.split(' ').map(|word| if word.contains('@') { "(an address)" } else { word });
    masked.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use voxea_core::base::account::Kind;
    use voxea_core::channel::Channels;

    use super::*;

    #[test]
    fn an_outage_that_lasts_is_an_alarm_and_names_nobody() {
        let (channels, account) = (Channels::default(), Account::new(Kind::Mailbox, "mairie"));
        let reporter = channels.register(account.clone());
        let shown = || channels.list().remove(0);
        let said = "it answered 421 4.7.0 <zoe@example.org>: deferred";
        let mut outage = Outage::new(Duration::from_secs(900));
        outage.goes_on(&account, &reporter, said);
        assert_eq!(
            (shown().alarm, shown().last_error.as_deref()),
            (None, Some("it answered 421 4.7.0 (an address) deferred"))
        );
        let mut outage = Outage::new(Duration::ZERO);
        outage.goes_on(&account, &reporter, said);
        assert!(
            shown()
                .alarm
                .is_some_and(|alarm| alarm.starts_with("no mail has gone out for 0 min"))
        );
        outage.ends(&account, &reporter);
        assert_eq!(shown().alarm, None);
    }
}
