//! Tells the feed when a channel begins or ceases to work.

use std::collections::BTreeMap;
use std::time::Duration;

use voxea_core::Core;
use voxea_core::base::account::Account;
use voxea_core::base::error::Result;
use voxea_core::base::stop::Stop;
use voxea_core::base::time;
use voxea_core::channel::State;
use voxea_core::feed::{self, EventKind, NewEvent};

/// Before an event that could not be stored is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// Writes `channel.up` and `channel.down` until the soft stop. A channel that was never up is not said to be down.
pub(crate) async fn announce(core: Core, stop: Stop) {
    let mut said = BTreeMap::new();
    let mut changes = core.channels.listen();
    loop {
        let events = changed(&core, &mut said);
        while let Err(error) = tell(&core, &events).await {
            tracing::warn!(error = %error, "a channel's change could not be stored");
            if stop.soft.run_until_cancelled(tokio::time::sleep(PAUSE)).await.is_none() {
                return;
            }
        }
        if stop.soft.run_until_cancelled(changes.rung()).await.is_none() {
            return;
        }
    }
}

/// What is to be said, compared with what was.
fn changed(core: &Core, said: &mut BTreeMap<Account, bool>) -> Vec<NewEvent> {
    let mut events = Vec::new();
    for status in core.channels.list() {
        let up = status.state == State::Up;
        if said.get(&status.account).copied().unwrap_or(false) == up {
            continue;
        }
        let kind = if up { EventKind::ChannelUp } else { EventKind::ChannelDown };
        events.push(NewEvent::of_account(kind, &status.account.key()).with("state", status.state.as_str()));
        said.insert(status.account, up);
    }
    events
}

async fn tell(core: &Core, events: &[NewEvent]) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let mut tx = core.store.begin().await?;
    let first = feed::next_positions(&mut tx, events.len()).await?;
    feed::append(&mut tx, first, time::now(), events).await?;
    tx.commit().await?;
    core.feed.committed();
    Ok(())
}

#[cfg(test)]
mod tests {
    use voxea_core::CoreConfig;
    use voxea_core::base::account::Kind;

    use super::*;

    #[tokio::test]
    async fn the_feed_hears_of_each_change_once() {
        let folder = tempfile::tempdir().unwrap();
        let config = CoreConfig::embedded(folder.path());
        let core = Core::open(config).await.unwrap();
        let link = core.channels.register(Account::new(Kind::Smpp, "a"));
        let never = core.channels.register(Account::new(Kind::Mailbox, "b"));
        let mut said = BTreeMap::new();
        never.retrying("refused", 0, 1);
        for step in 0..4 {
            match step {
                0 | 3 => link.up(vec![]),
                1 => link.retrying("broken", 0, 1),
                _ => link.connecting(),
            }
            tell(&core, &changed(&core, &mut said)).await.unwrap();
        }
        let page = core.feed.page(&voxea_core::store::Reach::everything(), 0, 10).await.unwrap();
        let told: Vec<(&str, &str)> = page
            .items
            .iter()
            .map(|event| (event.kind.as_str(), event.subject.as_str()))
            .collect();
        assert_eq!(
            told,
            [("channel.up", "smpp/a"), ("channel.down", "smpp/a"), ("channel.up", "smpp/a")]
        );
    }
}
