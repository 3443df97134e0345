//! Says in the log when a channel has an alarm, and when it is over: a mailbox that falls silent writes no line of its own.

use std::collections::BTreeMap;
use std::time::Duration;

use voxea_core::Core;
use voxea_core::base::account::Kind;
use voxea_core::base::stop::Stop;
use voxea_core::channel::Status;

/// How often it looks.
const LOOK: Duration = Duration::from_secs(10);

/// Looks until the soft stop.
pub(crate) async fn tell(core: Core, stop: Stop) {
    let mut said = BTreeMap::new();
    while stop.soft.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
        for (account, alarm) in changed(&core.channels.list(), &mut said) {
            match alarm {
                Some(words) => tracing::error!(account, alarm = words, "a mailbox is silent"),
                None => tracing::info!(account, "the mailbox is silent no longer"),
            }
        }
    }
}

/// What is to be said, compared with what was: an alarm that begins, or `None` for one that is over. The telephone and the texts
/// say theirs themselves.
fn changed(channels: &[Status], said: &mut BTreeMap<String, bool>) -> Vec<(String, Option<String>)> {
    let mut news = Vec::new();
    for status in channels.iter().filter(|status| status.account.kind == Kind::Mailbox) {
        let account = status.account.key();
        let alarmed = status.alarm.is_some();
        if said.insert(account.clone(), alarmed).unwrap_or(false) != alarmed {
            news.push((account, status.alarm.clone()));
        }
    }
    news
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxea_core::base::account::Account;
    use voxea_core::channel::Channels;

    #[test]
    fn an_alarm_is_told_once_and_so_is_its_end() {
        let channels = Channels::default();
        let reporter = channels.register(Account::new(Kind::Mailbox, "mairie"));
        let texts = channels.register(Account::new(Kind::Smpp, "short-number"));
        texts.alarm(Some("binds are away"));
        let mut said = BTreeMap::new();
        let mut told = Vec::new();
        for alarm in [None, Some("silent"), Some("silent since"), None, None] {
            reporter.alarm(alarm);
            told.extend(changed(&channels.list(), &mut said));
        }
        let account = "mailbox/mairie".to_owned();
        assert_eq!(told, [(account.clone(), Some("silent".to_owned())), (account, None)]);
    }
}
