//! The outbox as a link uses it: at most one look, one lease and one settlement at a time, each kept alive across turns.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use tokio::sync::Mutex;
use voxea_core::base::account::Account;
use voxea_core::base::error::Result;
use voxea_core::base::wake::Listener;
use voxea_core::outbox::{Outbound, Outbox, Settlement};

/// A long queue is not counted more often than this while it is worked off.
const COUNT: Duration = Duration::from_secs(1);
/// After a failure, or a look that found nothing where something seemed due.
const PATIENCE: Duration = Duration::from_secs(1);

type Settlements = Vec<(String, Settlement)>;
/// Replies, and how many wait in all, when that was counted.
type Lease = (Vec<Outbound>, Option<u64>);

/// What the outbox answered.
pub(super) enum Mail {
    /// Something is due.
    Due,
    /// These are to be sent; so many wait in all, when that was counted.
    Leased(Vec<Outbound>, Option<u64>),
    /// Settled; so many wait now, when that was counted.
    Settled(Option<u64>),
    /// Not settled; to be tried again.
    Unsettled(Settlements),
    /// The outbox could not be asked.
    Failed,
}

/// What is leased for: one of several connections of an account.
#[derive(Debug, Clone)]
pub(super) struct Holder {
    pub(super) account: Account,
    /// Of the connection, the same each time it is made anew.
    pub(super) name: Arc<str>,
    /// One connection at a time leases, so that no text overtakes an earlier one to the same number.
    pub(super) turn: Arc<Mutex<()>>,
}

pub(super) struct Postbox {
    outbox: Outbox,
    holder: Holder,
    hold: Duration,
    listener: Option<Listener>,
    looking: Option<BoxFuture<'static, (Listener, Result<()>)>>,
    leasing: Option<BoxFuture<'static, Result<Lease>>>,
    settling: Option<BoxFuture<'static, (Settlements, Result<Option<u64>>)>>,
    due: bool,
    room: usize,
    counted: Option<Instant>,
    seek_after: Option<Instant>,
    settle_after: Option<Instant>,
}

async fn slot<T>(future: &mut Option<BoxFuture<'static, T>>) -> T {
    match future {
        Some(running) => {
            let done = running.await;
            *future = None;
            done
        }
        None => std::future::pending().await,
    }
}

impl Postbox {
    /// `hold` is how long a lease must last: longer than any response may take.
    pub(super) fn new(outbox: Outbox, holder: Holder, hold: Duration) -> Self {
        let listener = Some(outbox.listen());
        Self {
            outbox,
            holder,
            hold,
            listener,
            looking: None,
            leasing: None,
            settling: None,
            due: false,
            room: 0,
            counted: None,
            seek_after: None,
            settle_after: None,
        }
    }

    /// Looks for replies, for as many as there is room.
    pub(super) fn seek(&mut self, room: usize, now: Instant) {
        if room == 0 || self.leasing.is_some() || later(self.seek_after, now).is_some() {
            return;
        }
        let (outbox, holder, hold) = (self.outbox.clone(), self.holder.clone(), self.hold);
        if self.due {
            self.room = room;
            let count = self.counts(now);
            self.leasing = Some(Box::pin(async move {
                let turn = holder.turn.lock().await;
                let leased = outbox.lease_for(&holder.account, &holder.name, room, hold).await?;
                drop(turn);
                let waiting = match count || leased.len() < room {
                    // What is leased is ours, whether or not the rest can be counted.
                    true => outbox.waiting(&holder.account).await.ok(),
                    false => None,
                };
                Ok((leased, waiting))
            }));
        } else if let Some(mut listener) = self.listener.take() {
            self.looking = Some(Box::pin(async move {
                let due = outbox.due(&holder.account, &mut listener).await;
                (listener, due)
            }));
        }
    }

    /// Settles, when nothing else is being settled. Returns what must wait.
    pub(super) fn settle(&mut self, settlements: Settlements, now: Instant) -> Settlements {
        if self.settling.is_some() || later(self.settle_after, now).is_some() || settlements.is_empty() {
            return settlements;
        }
        let (outbox, account) = (self.outbox.clone(), self.holder.account.clone());
        let count = !self.due || self.counts(now);
        self.settling = Some(Box::pin(async move {
            let settled = outbox.settle(settlements.clone()).await;
            let counted = match settled {
                // What is settled stays settled, whether or not the rest can be counted.
                Ok(()) if count => Ok(outbox.waiting(&account).await.ok()),
                Ok(()) => Ok(None),
                Err(error) => Err(error),
            };
            (settlements, counted)
        }));
        Vec::new()
    }

    /// Whether what waits is to be counted again.
    fn counts(&mut self, now: Instant) -> bool {
        let due = self.counted.is_none_or(|at| now >= at + COUNT);
        if due {
            self.counted = Some(now);
        }
        due
    }

    /// When `seek` or `settle` will do again what it refuses now.
    pub(super) fn wakes_at(&self, now: Instant) -> Option<Instant> {
        [later(self.seek_after, now), later(self.settle_after, now)]
            .into_iter()
            .flatten()
            .min()
    }

    /// Whether a lease or a settlement is under way.
    pub(super) fn is_busy(&self) -> bool {
        self.leasing.is_some() || self.settling.is_some()
    }

    /// Waits for an answer. Cancelling it loses nothing.
    pub(super) async fn next(&mut self) -> Mail {
        let mail = tokio::select! {
            (settlements, settled) = slot(&mut self.settling) => match settled {
                Ok(waiting) => Mail::Settled(waiting),
                Err(_) => Mail::Unsettled(settlements),
            },
            leased = slot(&mut self.leasing) => leased.map_or(Mail::Failed, |(leased, waiting)| Mail::Leased(leased, waiting)),
            (listener, due) = slot(&mut self.looking) => {
                self.listener = Some(listener);
                due.map_or(Mail::Failed, |()| Mail::Due)
            }
        };
        let later = Some(Instant::now() + PATIENCE);
        match &mail {
            Mail::Due => self.due = true,
            Mail::Leased(leased, _) => {
                // What was due is held up by an earlier one to the same number.
                self.seek_after = if leased.is_empty() { later } else { None };
                self.due = leased.len() == self.room;
            }
            Mail::Failed => self.seek_after = later,
            Mail::Unsettled(_) => self.settle_after = later,
            // What waited behind it to the same number may go now.
            Mail::Settled(_) => self.seek_after = None,
        }
        mail
    }
}

fn later(at: Option<Instant>, now: Instant) -> Option<Instant> {
    at.filter(|at| *at > now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use voxea_core::base::account::{Channel, Kind};
    use voxea_core::base::actor::Actor;
    use voxea_core::base::time;
    use voxea_core::contact::{Contact, Dedup};
    use voxea_core::outbox::{NewReply, Sender};
    use voxea_core::{Core, CoreConfig};

    /// A postbox over a town in which so many replies to one number wait.
    async fn with_replies(folder: &std::path::Path, count: usize) -> Postbox {
        let core = Core::open(CoreConfig::embedded(folder)).await.unwrap();
        let account = Account::new(Kind::Smpp, "short-number");
        let (channel, number) = (Channel::Sms, "36123".to_owned());
        core.outbox.register(Sender {
            channel,
            account: account.clone(),
            from: number.clone(),
        });
        let epoch = core.intake.register(&account).await.unwrap();
        let citizen = "+33612345678".to_owned();
        let mut contact = Contact::new(account.clone(), epoch, channel, Dedup::Never, citizen, number, time::now());
        contact.text = Some("Un nid-de-poule".to_owned());
        let request = core.intake.accept(contact).await.unwrap().request_id;
        let reply = NewReply {
            channel: None,
            text: "Merci".to_owned(),
            subject: None,
        };
        for _ in 0..count {
            core.outbox.reply(&Actor::System, &request, &reply).await.unwrap();
        }
        let (name, turn) = (Arc::from("1"), Arc::default());
        Postbox::new(core.outbox.clone(), Holder { account, name, turn }, Duration::from_secs(60))
    }

    /// What the next look brings, and how many waited then.
    async fn leased(postbox: &mut Postbox, room: usize) -> (Vec<Outbound>, Option<u64>) {
        loop {
            postbox.seek(room, Instant::now());
            if let Mail::Leased(leased, waiting) = postbox.next().await {
                return (leased, waiting);
            }
        }
    }

    fn submitted(reply: &Outbound) -> Settlements {
        let settlement = Settlement::Submitted {
            native_id: Some("7".to_owned()),
            last_word: false,
        };
        vec![(reply.reply_id.clone(), settlement)]
    }

    #[tokio::test]
    async fn what_is_settled_waits_no_longer() {
        let folder = tempfile::tempdir().unwrap();
        let mut postbox = with_replies(folder.path(), 1).await;
        let (leased, waiting) = leased(&mut postbox, 8).await;
        assert_eq!(waiting, Some(1));
        assert!(postbox.settle(submitted(&leased[0]), Instant::now()).is_empty());
        assert!(matches!(postbox.next().await, Mail::Settled(Some(0))));
    }

    #[tokio::test]
    async fn what_waited_for_a_number_goes_once_it_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let mut postbox = with_replies(folder.path(), 2).await;
        let first = leased(&mut postbox, 1).await.0;
        assert_eq!(first.len(), 1);
        assert!(leased(&mut postbox, 8).await.0.is_empty());
        assert!(postbox.wakes_at(Instant::now()).is_some());
        postbox.settle(submitted(&first[0]), Instant::now());
        assert!(matches!(postbox.next().await, Mail::Settled(_)));
        assert_eq!(postbox.wakes_at(Instant::now()), None);
        assert_eq!(leased(&mut postbox, 8).await.0.len(), 1);
    }
}
