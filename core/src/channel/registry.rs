//! The states of the channel tasks of this node, in memory: after a restart they are found out anew.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::binds::{BindStatus, Meter};
use super::capture::Capture;
use super::folders::{FolderMeter, FolderStatus};
use super::state::State;
use crate::base::account::Account;
use crate::base::time::{self, Millis};
use crate::base::wake::{Listener, Wake};

/// What is known of one channel.
#[derive(Debug, Clone)]
pub struct Status {
    /// Which.
    pub account: Account,
    /// What it is doing.
    pub state: State,
    /// Since when, milliseconds UTC.
    pub since: Millis,
    /// The addresses really bound or reached, `udp:127.0.0.1:5060`.
    pub addresses: Vec<String>,
    /// The last time that a peer was heard.
    pub last_activity: Option<Millis>,
    /// What went wrong last. Says nothing about citizens.
    pub last_error: Option<String>,
    /// What is wrong now although it works, and that somebody should look at: recordings that the disk does not take. Withdrawn
    /// when it is over. Says nothing about citizens.
    pub alarm: Option<String>,
    /// When the next attempt is due.
    pub next_attempt: Option<Millis>,
    /// Work that waits: replies to send, mails to fetch.
    pub queue: u64,
    /// Attempts since it last worked for a stable minute.
    pub attempts: u32,
    /// The peers of a channel that has several, in the order of the configuration: the trunks of the telephone.
    pub trunks: Vec<TrunkStatus>,
    /// The connections of a channel that may have several, in their order: the binds of an SMPP account.
    pub binds: Vec<BindStatus>,
    /// The folders of a mailbox, in the order of the configuration.
    pub folders: Vec<FolderStatus>,
}

/// Whether a trunk's peer is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrunkState {
    /// Nobody has asked it, or it has no address, or the first answers are awaited.
    Unknown,
    /// It answers.
    Up,
    /// It does not.
    Down,
    /// It answers, but we are not registered with it; tried again soon.
    Retrying,
    /// It answers, and refuses to register us; tried again slowly, and an operator should look.
    Halted,
}

impl TrunkState {
    /// The name that the API uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Down => "down",
            Self::Retrying => "retrying",
            Self::Halted => "halted",
        }
    }
}

/// What is known of one trunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrunkStatus {
    /// Its name in the configuration.
    pub name: String,
    /// Whether its peer is there.
    pub state: TrunkState,
    /// Since when, milliseconds UTC.
    pub since: Millis,
    /// Where it is reached, `udp:192.0.2.1:5060`; `None`: nobody was told.
    pub address: Option<String>,
    /// Until when we are registered with it.
    pub registered_until: Option<Millis>,
    /// What went wrong last. Says nothing about citizens.
    pub last_error: Option<String>,
    /// When it is asked next, or when the next attempt to register is due.
    pub next_attempt: Option<Millis>,
    /// Calls that were taken from it since the channel's start.
    pub calls: u64,
    /// Calls that were refused since then.
    pub refused: u64,
}

#[derive(Debug, Default)]
struct Shared {
    channels: Mutex<BTreeMap<Account, Status>>,
    /// What is measured of connections; read with the rest, written without it.
    meters: Mutex<BTreeMap<Account, Vec<Meter>>>,
    folders: Mutex<BTreeMap<Account, Vec<FolderMeter>>>,
    captures: Mutex<BTreeMap<Account, Capture>>,
    changed: Wake,
}

/// All channels of this node; clones share it.
#[derive(Debug, Clone, Default)]
pub struct Channels(Arc<Shared>);

impl Channels {
    /// How much work waits for an account, said by somebody else than its task.
    pub fn waits(&self, account: &Account, waiting: u64) {
        if let Some(status) = self.lock().get_mut(account) {
            status.queue = waiting;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Account, Status>> {
        self.0.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a channel, connecting, and returns what its task reports through.
    #[must_use]
    pub fn register(&self, account: Account) -> Reporter {
        let status = Status {
            account: account.clone(),
            state: State::Connecting,
            since: time::now(),
            addresses: Vec::new(),
            last_activity: None,
            last_error: None,
            alarm: None,
            next_attempt: None,
            queue: 0,
            attempts: 0,
            trunks: Vec::new(),
            binds: Vec::new(),
            folders: Vec::new(),
        };
        self.lock().insert(account.clone(), status);
        Reporter {
            account,
            channels: self.clone(),
        }
    }

    /// Every channel, by kind and name.
    #[must_use]
    pub fn list(&self) -> Vec<Status> {
        let mut list: Vec<Status> = self.lock().values().cloned().collect();
        let meters = self.0.meters.lock().unwrap_or_else(PoisonError::into_inner);
        for status in &mut list {
            let mine = meters.get(&status.account).into_iter().flatten();
            status.binds = mine.map(Meter::status).collect();
        }
        drop(meters);
        let (folders, now) = (self.0.folders.lock().unwrap_or_else(PoisonError::into_inner), time::now());
        for status in &mut list {
            let Some(mine) = folders.get(&status.account) else { continue };
            status.folders = mine.iter().map(FolderMeter::status).collect();
            // What waits to come in, beside what waits to go out.
            status.queue += status.folders.iter().map(|folder| folder.waiting).sum::<u64>();
            // Silence is nobody's to report but the clock's.
            status.alarm = status.alarm.take().or_else(|| mine.iter().find_map(|folder| folder.alarm(now)));
        }
        list
    }

    /// The capture of an account that keeps one.
    #[must_use]
    pub fn capture(&self, account: &Account) -> Option<Capture> {
        self.0.captures.lock().unwrap_or_else(PoisonError::into_inner).get(account).cloned()
    }

    /// Hears every change of state from now on.
    #[must_use]
    pub fn listen(&self) -> Listener {
        self.0.changed.listen()
    }
}

/// How a channel's task says what it is doing.
#[derive(Debug, Clone)]
pub struct Reporter {
    account: Account,
    channels: Channels,
}

impl Reporter {
    /// The account it reports for.
    #[must_use]
    pub const fn account(&self) -> &Account {
        &self.account
    }

    fn enter(&self, state: State, change: impl FnOnce(&mut Status)) {
        let mut channels = self.channels.lock();
        let Some(status) = channels.get_mut(&self.account) else { return };
        let moved = status.state != state;
        if moved {
            status.state = state;
            status.since = time::now();
        }
        status.next_attempt = None;
        change(status);
        drop(channels);
        if moved {
            self.channels.0.changed.ring();
        }
    }

    /// It reaches for its peer.
    pub fn connecting(&self) {
        self.enter(State::Connecting, |_| ());
    }

    /// It works, at these addresses.
    pub fn up(&self, addresses: Vec<String>) {
        self.enter(State::Up, |status| {
            status.addresses = addresses;
            status.last_activity = Some(time::now());
        });
    }

    /// Its peer failed; the next attempt is at `next`.
    pub fn retrying(&self, error: &str, next: Millis, attempts: u32) {
        self.enter(State::Retrying, |status| {
            status.last_error = Some(error.to_owned());
            status.next_attempt = Some(next);
            status.attempts = attempts;
        });
    }

    /// Its peer refused it; the next, slow attempt is at `next`.
    pub fn halted(&self, error: &str, next: Millis, attempts: u32) {
        self.enter(State::Halted, |status| {
            status.last_error = Some(error.to_owned());
            status.next_attempt = Some(next);
            status.attempts = attempts;
        });
    }

    /// It is closing.
    pub fn stopping(&self) {
        self.enter(State::Stopping, |_| ());
    }

    /// Something went wrong without changing the state, such as a submission server that does not answer.
    pub fn trouble(&self, error: &str) {
        if let Some(status) = self.channels.lock().get_mut(&self.account) {
            status.last_error = Some(error.to_owned());
        }
    }

    /// Something is wrong that it works in spite of, or no longer.
    pub fn alarm(&self, alarm: Option<&str>) {
        if let Some(status) = self.channels.lock().get_mut(&self.account) {
            status.alarm = alarm.map(str::to_owned);
        }
    }

    /// The peer was heard.
    pub fn activity(&self) {
        if let Some(status) = self.channels.lock().get_mut(&self.account) {
            status.last_activity = Some(time::now());
        }
    }

    /// What is known of its trunks. Who listens hears when one of them has another state.
    pub fn trunks(&self, trunks: Vec<TrunkStatus>) {
        let mut channels = self.channels.lock();
        let Some(status) = channels.get_mut(&self.account) else { return };
        let states = |trunks: &[TrunkStatus]| trunks.iter().map(|trunk| trunk.state).collect::<Vec<_>>();
        let moved = states(&status.trunks) != states(&trunks);
        status.trunks = trunks;
        drop(channels);
        if moved {
            self.channels.0.changed.ring();
        }
    }

    /// The connections that it has, or reaches for. What each does is read from its meter.
    pub fn binds(&self, meters: Vec<Meter>) {
        let mut all = self.channels.0.meters.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(self.account.clone(), meters);
    }

    /// Where a folder of it is measured, the same one for each of its lives. There is an alarm after so long without success,
    /// milliseconds.
    #[must_use]
    pub fn folder(&self, name: &str, patience: Millis) -> FolderMeter {
        let mut all = self.channels.0.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let mine = all.entry(self.account.clone()).or_default();
        if let Some(known) = mine.iter().find(|folder| folder.status().name == name) {
            return known.clone();
        }
        let folder = FolderMeter::new(name, patience);
        mine.push(folder.clone());
        folder
    }

    /// Where its protocol units are kept, the same one for each of its lives.
    #[must_use]
    pub fn capture(&self) -> Capture {
        let mut all = self.channels.0.captures.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(self.account.clone()).or_default().clone()
    }

    /// How much work waits.
    pub fn queue(&self, waiting: u64) {
        self.channels.waits(&self.account, waiting);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::account::Kind;

    #[test]
    fn a_state_keeps_its_beginning_until_it_changes() {
        let channels = Channels::default();
        let reporter = channels.register(Account::new(Kind::Smpp, "short-number"));
        reporter.retrying("refused", 42, 1);
        let since = channels.list()[0].since;
        reporter.retrying("refused again", 84, 2);
        let status = channels.list().remove(0);
        assert_eq!((status.since, status.next_attempt, status.attempts), (since, Some(84), 2));
        reporter.up(vec!["tcp:127.0.0.1:2775".to_owned()]);
        let status = channels.list().remove(0);
        assert_eq!((status.state, status.next_attempt), (State::Up, None));
        assert_eq!(status.last_error.as_deref(), Some("refused again"));
        let meter = Meter::new("1", "transceiver", 64);
        reporter.binds(vec![meter.clone()]);
        meter.up("tcp:127.0.0.1:2775");
        assert_eq!(channels.list()[0].binds[0].state, State::Up, "as it is now");
        let folder = reporter.folder("INBOX", 0);
        assert!(
            channels.list()[0].alarm.as_deref().is_some_and(|words| words.contains("INBOX")),
            "silent"
        );
        reporter.folder("INBOX", 0).success();
        assert_eq!(channels.list()[0].folders[0].last_success, folder.status().last_success);
        let reporter = channels.register(Account::new(Kind::Smpp, "other"));
        for alarm in [Some("the disk is full"), None] {
            reporter.up(Vec::new());
            reporter.alarm(alarm);
            let status = channels.list().remove(0);
            assert_eq!((status.state, status.alarm.as_deref()), (State::Up, alarm));
        }
    }
}
