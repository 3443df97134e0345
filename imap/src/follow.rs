//! Follows a folder: does what the planner says, on a real connection and a real store.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, sleep_until};
use voxea_core::base::error::{CoreError, Result as CoreResult};
use voxea_core::base::exit::Exit;
use voxea_core::base::stop::Stop;
use voxea_core::base::{failpoint, time};
use voxea_core::channel::SavedPlace;

use crate::config::Outcome;
use crate::connection::Connection;
use crate::planner::{Do, First, Listed, Observed, Place, Planner, Save, Settings, Unfetched};
use crate::room::{self, Ahead};
use crate::shift::Moving;
use crate::take::Desk;
use crate::trouble::Trouble;
use crate::watch::Watch;

/// Mails a FETCH and a commit, at most.
const BATCH: usize = 100;
/// The same of a mailbox of documents, each of which is looked into by a process of its own before the commit.
const DOCUMENTS: usize = 16;
/// Bytes a FETCH, at most, unless one mail alone has more. There are twice as many in memory, since the next mails are fetched
/// while these are committed, and what was made of them.
const BATCH_BYTES: u64 = 4 * 1024 * 1024;
/// Pauses while the store is away.
pub(crate) const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// How often a long pass is told of in the log.
const TELL: Duration = Duration::from_secs(10);
/// Connections that may be lost in the middle of a FETCH, one after the other and without a mail between, before the
/// supervisor's pauses begin. Until then the next one is made at once: the server lives, and others wait behind that mail.
const AT_ONCE: u32 = 3;

/// Why following ended early.
pub(crate) enum End {
    Mailbox(Trouble),
    Store(String),
    Fenced,
    Stopped,
}

impl From<Trouble> for End {
    fn from(trouble: Trouble) -> Self {
        Self::Mailbox(trouble)
    }
}

/// Follows the folder until it is stopped or something fails.
pub(crate) async fn follow(mut desk: Desk<'_>, watch: &Watch<'_>, stop: &Stop) -> Exit {
    let mut lost = 0;
    loop {
        let opened = tokio::select! {
            opened = Connection::open(desk.config) => opened,
            () = stop.soft.cancelled() => return Exit::Stopped,
        };
        let connection = match opened {
            Ok(connection) => connection,
            Err(trouble) => return exit(End::Mailbox(trouble)),
        };
        desk.validity = 0;
        let mut follower = Follower::new(desk, watch, stop, connection);
        let end = follower.follow().await;
        // A polite end where the connection lives.
        if matches!(end, End::Stopped) {
            if watch.leads {
                watch.reporter.stopping();
            }
            follower.connection.close().await;
            return exit(end);
        }
        lost = if follower.progressed { 1 } else { lost + 1 };
        if !follower.blamed || lost >= AT_ONCE {
            return exit(end);
        }
        desk = follower.desk;
    }
}

fn exit(end: End) -> Exit {
    match end {
        End::Mailbox(Trouble::Wrong(words)) => Exit::Halt(words),
        End::Mailbox(Trouble::Denied(words)) => Exit::Denied(words),
        End::Mailbox(trouble) => Exit::Retry(trouble.to_string()),
        End::Store(words) => Exit::Retry(words),
        End::Fenced => Exit::Halt("another node serves this mailbox now".to_owned()),
        End::Stopped => Exit::Stopped,
    }
}

pub(crate) struct Follower<'a> {
    pub(crate) desk: Desk<'a>,
    pub(crate) watch: &'a Watch<'a>,
    pub(crate) stop: &'a Stop,
    pub(crate) connection: Connection,
    /// Mails that were fetched and not yet committed.
    pub(crate) fetched: HashMap<u32, Bytes>,
    /// The room that these take.
    pub(crate) room: Option<room::Taken>,
    /// Mails that were fetched and not yet asked for.
    pub(crate) ahead: Option<Ahead>,
    /// Of the fetched ones, those that were on the table when a process ended.
    pub(crate) suspects: HashSet<u32>,
    /// What was made of mails that are not marked yet.
    pub(crate) outcomes: HashMap<u32, Outcome>,
    /// What is being moved to another folder.
    pub(crate) moving: Moving,
    /// What came of the mails that are being asked for.
    came: Vec<u32>,
    /// The connection was lost at a mail, and that is noted.
    blamed: bool,
    /// Mails were taken in over this connection.
    pub(crate) progressed: bool,
    /// And the place behind some of them is saved: only then is anything fetched ahead, so that a line that does not live for two
    /// batches gets on by one.
    pub(crate) settled: bool,
}

impl<'a> Follower<'a> {
    fn new(desk: Desk<'a>, watch: &'a Watch<'a>, stop: &'a Stop, connection: Connection) -> Self {
        Self {
            desk,
            watch,
            stop,
            connection,
            fetched: HashMap::new(),
            room: None,
            ahead: None,
            suspects: HashSet::new(),
            outcomes: HashMap::new(),
            moving: Moving::default(),
            came: Vec::new(),
            blamed: false,
            progressed: false,
            settled: false,
        }
    }

    async fn follow(&mut self) -> End {
        match self.steps().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn steps(&mut self) -> Result<std::convert::Infallible, End> {
        let config = self.desk.config;
        let place = self.place().await?;
        // Twice before it would count as silence.
        let often = Duration::from_secs(config.alarm_seconds) / 2;
        let settings = Settings {
            first: config.first,
            marks: config.after.marks(),
            batch: if config.paper.is_some() { DOCUMENTS } else { BATCH },
            batch_bytes: BATCH_BYTES,
            oversize: config.oversize,
            idle: self.connection.offers.idle,
            poll: often.min(Duration::from_secs(config.poll_seconds)),
            safety: often,
            again: Duration::from_secs(config.fetch_retry_seconds),
        };
        // Up is said when what comes from then on is surely taken in: not before "new" has a beginning that lasts.
        let (known, mut said) = (place.is_some(), false);
        let mut told = Instant::now();
        let mut planner = Planner::new(settings, place);
        let mut observed = Observed::Connected;
        loop {
            let next = planner.step(observed, std::time::Instant::now());
            let resting = matches!(
                next,
                Do::Select | Do::Search { .. } | Do::Sizes(_) | Do::Fetch { .. } | Do::Idle(_) | Do::Wait(_)
            );
            if resting && self.stop.soft.is_cancelled() {
                return Err(End::Stopped);
            }
            self.watched(&planner, &next, &mut told);
            let begun = match &next {
                Do::Select => known,
                Do::Save(save) => save.imported || config.first != First::New,
                _ => false,
            };
            observed = match self.perform(next, &planner).await {
                Ok(observed) => observed,
                Err(end) => {
                    if let End::Mailbox(Trouble::Lost(_) | Trouble::TooLarge) = end
                        && let Some(mail) = planner.to_blame(&self.came)
                    {
                        self.blame(mail).await?;
                    }
                    return Err(end);
                }
            };
            if begun && !std::mem::replace(&mut said, true) && self.watch.leads {
                self.watch.reporter.up(vec![format!("tcp:{}", self.connection.peer)]);
            }
        }
    }

    /// Shows what waits, how far a long pass is, and that a look came to its end.
    fn watched(&self, planner: &Planner, next: &Do, told: &mut Instant) {
        let meter = &self.watch.meter;
        let progress = meter.waits(planner.waiting() as u64, planner.oldest_ms(), planner.unfetched() as u64);
        if let Do::Idle(_) | Do::Wait(_) = next {
            meter.success();
            meter.trouble(None);
        }
        let Some(progress) = progress.filter(|_| told.elapsed() >= TELL) else {
            return;
        };
        *told = Instant::now();
        tracing::info!(mailbox = %self.desk.config.name, folder = self.desk.folder, done = progress.done, total = progress.total,
            per_second = progress.per_second.round(), "taking mails in");
    }

    /// Where the folder stands.
    async fn place(&mut self) -> Result<Option<Place>, End> {
        let (mailboxes, account, folder) = (&self.desk.core.mailboxes, &self.desk.account, self.desk.folder);
        let Some(place) = self.store(|| mailboxes.place(account, folder)).await? else {
            return Ok(None);
        };
        let unfetched = self.store(|| mailboxes.unfetched(account, folder)).await?;
        self.clear_up(place.moving.as_deref()).await?;
        let now = time::now();
        let ago = |since: i64| Duration::from_millis(u64::try_from(now.saturating_sub(since)).unwrap_or(0));
        Ok(Some(Place {
            validity: narrow(place.uidvalidity),
            cursor: narrow(place.cursor),
            imported: place.imported,
            import_below: narrow(place.import_below),
            began_at: place.began_at,
            saved_at: place.saved_at,
            gaps: place.gaps.into_iter().map(|(uid, since)| (uid, ago(since))).collect(),
            unfetched: unfetched
                .into_iter()
                .map(|one| Unfetched {
                    validity: narrow(one.uidvalidity),
                    listed: Listed {
                        uid: narrow(one.uid),
                        size: narrow(one.size),
                        internal_ms: one.internal_ms,
                    },
                    failures: narrow(one.failures),
                    ago: ago(one.failed_at),
                })
                .collect(),
        }))
    }

    async fn perform(&mut self, next: Do, planner: &Planner) -> Result<Observed, End> {
        Ok(match next {
            Do::Select => {
                let folder = self.connection.select(self.desk.folder).await?;
                if self.desk.validity != 0 && self.desk.validity != folder.validity {
                    return Err(End::Mailbox(Trouble::Lost(
                        "UIDVALIDITY changed; the folder is read anew".to_owned(),
                    )));
                }
                self.desk.validity = folder.validity;
                Observed::Selected {
                    validity: folder.validity,
                    next: folder.next,
                }
            }
            Do::Search { from, also } => {
                let found = self.connection.search(from, &also).await?;
                // What the search has seen needs no second look.
                self.connection.heard_of_new();
                self.watch.reporter.activity();
                Observed::Found(found)
            }
            Do::Sizes(uids) => {
                let mut listed = Vec::with_capacity(uids.len());
                let asked = self.connection.sizes(&uids, &mut listed).await;
                self.came = listed.iter().map(|one| one.uid).collect();
                asked?;
                Observed::Sized(listed)
            }
            Do::Fetch { whole, headers } => self.fetch(&whole, &headers, planner).await?,
            Do::Note(mail) => Observed::Noted(self.note(mail).await?),
            Do::Attempt(uids) => {
                let validity = i64::from(self.desk.validity);
                let (mailboxes, account, folder) = (&self.desk.core.mailboxes, &self.desk.account, self.desk.folder);
                let counts = self.store(|| mailboxes.attempt(account, folder, validity, &uids)).await?;
                let before = uids.iter().zip(&counts).filter(|(_, count)| **count > 1);
                self.suspects = before.map(|(uid, _)| *uid).collect();
                failpoint::hit("imap.attempted");
                Observed::Attempted(counts)
            }
            Do::Accept(taken) => {
                self.accept_and_fetch(taken, planner).await?;
                Observed::Accepted
            }
            Do::Mark(uids) => {
                self.mark(&uids).await?;
                failpoint::hit("imap.marked");
                Observed::Marked
            }
            Do::Save(save) => {
                self.save(&save).await?;
                failpoint::hit("imap.saved");
                Observed::Saved
            }
            Do::Idle(until) => {
                if !self.connection.heard_of_new() {
                    self.connection.idle(Instant::from_std(until), self.stop.soft.cancelled()).await?;
                }
                Observed::Woken
            }
            Do::Wait(until) => {
                tokio::select! {
                    () = sleep_until(Instant::from_std(until)) => {}
                    () = self.stop.soft.cancelled() => {}
                }
                Observed::Woken
            }
        })
    }

    async fn fetch(&mut self, whole: &[u32], headers: &[u32], planner: &Planner) -> Result<Observed, End> {
        let mut mails = Vec::with_capacity(whole.len() + headers.len());
        let asked = self.bodies((whole, headers), planner, &mut mails).await;
        self.came = mails.iter().map(|(uid, _)| *uid).collect();
        match asked {
            Ok(()) => {
                // A mail that is gone, and what nobody asked for, hold no room.
                let asked = |uid: &u32| whole.contains(uid) || headers.contains(uid);
                self.fetched.extend(mails.into_iter().filter(|(uid, _)| asked(uid)));
                if self.fetched.is_empty() {
                    self.room = None;
                }
                failpoint::hit("imap.fetched");
                Ok(Observed::Fetched(self.came.clone()))
            }
            Err(End::Mailbox(Trouble::Refused { words, .. })) => {
                self.room = None;
                tracing::warn!(mailbox = %self.desk.config.name, %words, "the server did not give every mail; they are fetched one by one");
                self.count("fetch_refused", 1);
                Ok(Observed::Refused)
            }
            Err(end) => Err(end),
        }
    }

    /// Lays the loss of the connection to a mail, durably.
    pub(crate) async fn blame(&mut self, mail: Listed) -> Result<(), End> {
        self.blamed = true;
        self.note(mail).await.map(drop)
    }

    /// Counts a failed FETCH of a mail, durably.
    async fn note(&self, mail: Listed) -> Result<u32, End> {
        let (mailboxes, account, folder) = (&self.desk.core.mailboxes, &self.desk.account, self.desk.folder);
        let (validity, facts) = (i64::from(self.desk.validity), (mail.uid, mail.size, mail.internal_ms));
        let failures = self.store(|| mailboxes.fetch_failed(account, folder, validity, facts)).await?;
        self.count("fetch_failed", 1);
        tracing::warn!(mailbox = %self.desk.config.name, folder, uid = mail.uid, failures, "a mail could not be fetched; the others come first");
        Ok(narrow(failures))
    }

    pub(crate) async fn save(&mut self, save: &Save) -> Result<(), End> {
        let moving = self.moving.saved().then(|| self.moving.note());
        let (mailboxes, account, folder) = (&self.desk.core.mailboxes, &self.desk.account, self.desk.folder);
        let now = time::now();
        let since = |(uid, ago): &(u32, Duration)| (*uid, now.saturating_sub(i64::try_from(ago.as_millis()).unwrap_or(i64::MAX)));
        let saved = SavedPlace {
            uidvalidity: i64::from(save.validity),
            cursor: i64::from(save.cursor),
            imported: save.imported,
            import_below: i64::from(save.import_below),
            gaps: save.gaps.as_ref().map(|gaps| gaps.iter().map(since).collect()),
            moving,
            fetched: save.fetched.clone(),
        };
        self.store(|| mailboxes.save(account, folder, &saved)).await?;
        self.watch.meter.success();
        self.settled |= self.progressed;
        Ok(())
    }

    pub(crate) fn count(&self, event: &'static str, n: u64) {
        self.desk.core.counters.add(&self.desk.account, event, n);
    }

    /// Asks the store until it answers. A store that is away is not the mails' fault: they wait, unread on the server.
    pub(crate) async fn store<T, F: Future<Output = CoreResult<T>>>(&self, ask: impl Fn() -> F) -> Result<T, End> {
        let mut pause = PAUSE;
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                // A full disk shows as a file error first, and passes too.
                Err(error @ (CoreError::Unavailable(_) | CoreError::Away(_) | CoreError::File { .. })) => {
                    self.away(&error.to_string(), &mut pause).await?
                }
                Err(CoreError::Fenced { .. }) => return Err(End::Fenced),
                Err(error) => return Err(End::Store(error.to_string())),
            }
        }
    }

    pub(crate) async fn away(&self, words: &str, pause: &mut Duration) -> Result<(), End> {
        self.count("store_unavailable", 1);
        self.watch.trouble(words);
        tokio::select! {
            () = sleep(*pause) => {}
            () = self.stop.soft.cancelled() => return Err(End::Stopped),
        }
        *pause = (*pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}

fn narrow(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(0)
}
