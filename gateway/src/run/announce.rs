//! Tells the feed when a channel, or a trunk of the telephone, begins or ceases to work.

use std::collections::BTreeMap;
use std::time::Duration;

use voxea_core::Core;
use voxea_core::base::error::Result;
use voxea_core::base::stop::Stop;
use voxea_core::base::time;
use voxea_core::channel::{State, TrunkState};
use voxea_core::feed::{self, EventKind, NewEvent};

/// Before an event that could not be stored is tried again.
const PAUSE: Duration = Duration::from_secs(5);

/// Writes `channel.up` and `channel.down` until the soft stop. A channel that was never up is not said to be down. A trunk
/// has a subject of its own below its channel's, `sip/sip/pbx`, since the channel goes on without it.
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
fn changed(core: &Core, said: &mut BTreeMap<String, bool>) -> Vec<NewEvent> {
    let mut events = Vec::new();
    let mut note = |key: String, up: bool, state: &'static str| {
        if said.get(&key).copied().unwrap_or(false) == up {
            return;
        }
        let kind = if up { EventKind::ChannelUp } else { EventKind::ChannelDown };
        events.push(NewEvent::of_account(kind, &key).with("state", state));
        said.insert(key, up);
    };
    for status in core.channels.list() {
        let account = status.account.key();
        // What nobody knows yet is no change.
        for trunk in status.trunks.iter().filter(|trunk| trunk.state != TrunkState::Unknown) {
            let key = format!("{account}/{}", trunk.name);
            note(key, trunk.state == TrunkState::Up, trunk.state.as_str());
        }
        note(account, status.state == State::Up, status.state.as_str());
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
    use voxea_core::base::account::{Account, Kind};
    use voxea_core::channel::TrunkStatus;

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
        let page = core.feed.select(&feed::Selection::everything(), 0, 10).await.unwrap();
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

    #[tokio::test]
    async fn a_trunk_is_told_of_by_its_own_subject_and_wakes_who_tells() {
        let folder = tempfile::tempdir().unwrap();
        let core = Core::open(CoreConfig::embedded(folder.path())).await.unwrap();
        let sip = core.channels.register(Account::new(Kind::Sip, "sip"));
        sip.up(vec![]);
        let (mut said, mut heard) = (BTreeMap::new(), core.channels.listen());
        let _ = changed(&core, &mut said);
        let mut told = Vec::new();
        for state in [
            TrunkState::Unknown,
            TrunkState::Halted,
            TrunkState::Up,
            TrunkState::Up,
            TrunkState::Retrying,
            TrunkState::Halted,
            TrunkState::Up,
        ] {
            let before = core.channels.list().remove(0).trunks.first().map(|trunk| trunk.state);
            sip.trunks(vec![TrunkStatus {
                name: "pbx".to_owned(),
                state,
                since: 0,
                address: None,
                registered_until: None,
                last_error: None,
                next_attempt: None,
                calls: 0,
                refused: 0,
            }]);
            if before != Some(state) {
                tokio::time::timeout(PAUSE, heard.rung()).await.unwrap();
            }
            told.extend(changed(&core, &mut said).into_iter().map(|event| (event.kind, event.subject)));
        }
        let subject = "sip/sip/pbx".to_owned();
        let expected = [EventKind::ChannelUp, EventKind::ChannelDown, EventKind::ChannelUp];
        assert_eq!(told, expected.map(|kind| (kind, subject.clone())));
    }
}
