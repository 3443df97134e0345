//! How much waits to go out by a channel that does not count it itself: a mailbox, and one of texts that has no connection.

use voxea_core::Core;
use voxea_core::base::account::Kind;
use voxea_core::channel::{State, Status};

/// Counts what waits for every mailbox, and for every account of texts that nobody serves now.
pub(crate) async fn count(core: &Core) {
    let uncounted = |status: &Status| match status.account.kind {
        Kind::Smpp => status.binds.iter().all(|bind| bind.state != State::Up),
        kind => kind == Kind::Mailbox,
    };
    for status in core.channels.list().into_iter().filter(uncounted) {
        match core.outbox.waiting(&status.account).await {
            Ok(waiting) => core.channels.waits(&status.account, waiting),
            Err(error) => tracing::debug!(%error, account = %status.account, "what waits cannot be counted"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxea_core::CoreConfig;
    use voxea_core::base::account::{Account, Channel};
    use voxea_core::base::actor::Actor;
    use voxea_core::base::time;
    use voxea_core::channel::Meter;
    use voxea_core::contact::{Contact, Dedup};
    use voxea_core::outbox::{NewReply, Sender};

    #[tokio::test]
    async fn what_waits_for_who_is_away_is_counted() {
        let folder = tempfile::tempdir().unwrap();
        let core = Core::open(CoreConfig::embedded(folder.path())).await.unwrap();
        let account = Account::new(Kind::Smpp, "short-number");
        core.outbox.register(Sender {
            channel: Channel::Sms,
            account: account.clone(),
            from: "36123".to_owned(),
        });
        let epoch = core.intake.register(&account).await.unwrap();
        let (from, to) = ("+33612345678".to_owned(), "36123".to_owned());
        let mut contact = Contact::new(account.clone(), epoch, Channel::Sms, Dedup::Never, from, to, time::now());
        contact.text = Some("Un nid-de-poule".to_owned());
        let request = core.intake.accept(contact).await.unwrap().request_id;
        let reply = NewReply {
            channel: None,
            text: "Merci".to_owned(),
            subject: None,
        };
        core.outbox.reply(&Actor::System, &request, &reply).await.unwrap();

        let reporter = core.channels.register(account.clone());
        let bind = Meter::new("1", "transceiver", 64);
        reporter.binds(vec![bind.clone()]);
        let queue = || core.channels.list()[0].queue;
        bind.up("tcp:127.0.0.1:2775");
        count(&core).await;
        assert_eq!(queue(), 0, "a connection counts for itself");
        bind.failed("it closed the connection", None, false);
        count(&core).await;
        assert_eq!(queue(), 1);
    }
}
