//! The binds of one account: each is made, kept and made anew by itself, and what one holds the end of another leaves alone.
//!
//! While one of them works the account does. When none is left the account's task ends, and the supervisor begins anew.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::net::TcpStream;
use voxea_core::base::backoff::{Backoff, HALT, RETRY, STABLE, random};
use voxea_core::base::exit::Exit;
use voxea_core::base::time;
use voxea_core::channel::{Meter, State};

use super::board::Board;
use super::connect::Stream;
use super::door::{Door, Introduced, STRANGERS, introduce};
use super::place::{self, Account, Place};
use super::serving::serve;
use crate::pdu::Bind;

/// Connections of the SMSC's making at once.
const GUESTS: usize = 8;

/// Whose end it was.
enum Who {
    Slot(usize),
    Guest(Arc<str>),
}

/// A connection that we make.
struct Slot {
    name: Arc<str>,
    bind: Bind,
    meter: Meter,
    retry: Backoff,
    halt: Backoff,
    /// When it is made, while it is not there.
    due: Option<Instant>,
    /// Whether the SMSC refused it the last time.
    halted: bool,
}

pub(super) struct Keeper {
    account: Arc<Account>,
    board: Arc<Board>,
    slots: Vec<Slot>,
    serving: FuturesUnordered<BoxFuture<'static, (Who, Exit)>>,
    door: Option<Door>,
    strangers: FuturesUnordered<BoxFuture<'static, Introduced>>,
    guests: Vec<Arc<str>>,
    stopping: bool,
}

enum Turn {
    Ended(Who, Exit),
    Introduced(Introduced),
    Knocked(Option<TcpStream>),
    Due,
    Stop,
}

impl Keeper {
    pub(super) fn new(account: Account, door: Option<Door>) -> Self {
        let (config, now) = (&account.config, Instant::now());
        let slot = |(name, bind): (String, Bind)| Slot {
            meter: Meter::new(&name, place::kind(bind), place::window(config, bind)),
            name: Arc::from(name),
            bind,
            retry: Backoff::new(RETRY.0, config.reconnect),
            halt: Backoff::new(HALT.0, HALT.1),
            due: Some(now),
            halted: false,
        };
        let slots: Vec<Slot> = config.slots().into_iter().map(slot).collect();
        let meters = slots.iter().map(|slot| slot.meter.clone()).collect();
        let board = Board::new(account.reporter.clone(), meters, door.as_ref().map(Door::address));
        Self {
            account: Arc::new(account),
            board: Arc::new(board),
            slots,
            serving: FuturesUnordered::new(),
            door,
            strangers: FuturesUnordered::new(),
            guests: Vec::new(),
            stopping: false,
        }
    }

    /// Keeps the binds until none is left, or until the stop.
    pub(super) async fn run(mut self) -> Exit {
        if let Some(door) = &self.door {
            tracing::info!(account = %self.account.reporter.account(), address = door.address(), "listening for the SMSC's outbind");
            self.board.refresh();
        }
        loop {
            if self.stopping && self.serving.is_empty() {
                return Exit::Stopped;
            }
            match self.turn().await {
                Turn::Ended(who, exit) => {
                    if let Some(exit) = self.ended(who, exit) {
                        return exit;
                    }
                }
                Turn::Introduced(Ok(stream)) => self.welcome(stream),
                Turn::Introduced(Err(reason)) => self.refused(reason),
                Turn::Knocked(Some(stream)) => self.hear(stream),
                Turn::Knocked(None) => self.account.count("outbinds_foreign"),
                Turn::Due => self.start_due(),
                Turn::Stop => self.stop(),
            }
        }
    }

    async fn turn(&mut self) -> Turn {
        let due = self.slots.iter().filter_map(|slot| slot.due).min();
        let timer = async {
            match due {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let room = self.strangers.len() < STRANGERS;
        let knock = async {
            match &self.door {
                Some(door) if room => door.knock().await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = self.account.stop.soft.cancelled(), if !self.stopping => Turn::Stop,
            Some((who, exit)) = self.serving.next() => Turn::Ended(who, exit),
            Some(introduced) = self.strangers.next() => Turn::Introduced(introduced),
            () = timer => Turn::Due,
            stream = knock => Turn::Knocked(stream),
        }
    }

    fn stop(&mut self) {
        self.stopping = true;
        self.door = None;
        self.strangers.clear();
        for slot in &mut self.slots {
            slot.due = None;
        }
    }

    fn start_due(&mut self) {
        let now = Instant::now();
        for (at, slot) in self.slots.iter_mut().enumerate() {
            if slot.due.is_some_and(|due| due <= now) {
                slot.due = None;
                slot.meter.connecting();
                let place = Place {
                    name: Arc::clone(&slot.name),
                    bind: slot.bind,
                    meter: slot.meter.clone(),
                    board: Arc::clone(&self.board),
                };
                let serving = serve(Arc::clone(&self.account), place, None);
                self.serving.push(serving.map(move |exit| (Who::Slot(at), exit)).boxed());
            }
        }
    }

    /// What follows from the end of a connection; `Some` when the account's task ends with it.
    fn ended(&mut self, who: Who, exit: Exit) -> Option<Exit> {
        match who {
            Who::Guest(name) => {
                tracing::info!(account = %self.account.reporter.account(), bind = &*name, ?exit, "the SMSC's connection is over");
                self.guests.retain(|guest| *guest != name);
                self.board.leave(&name);
            }
            Who::Slot(_) if self.stopping => {}
            Who::Slot(at) => {
                if self.serving.is_empty() && self.door.is_none() {
                    return Some(self.none_is_left(at, exit));
                }
                self.again(at, exit);
            }
        }
        if !self.stopping && !self.board.refresh() && self.serving.is_empty() {
            self.say_that_none_is_left();
        }
        None
    }

    /// The supervisor begins anew, and slowly only when every bind was refused.
    fn none_is_left(&self, last: usize, exit: Exit) -> Exit {
        self.account.reporter.alarm(None);
        let others_halted = self.slots.iter().enumerate().all(|(at, slot)| at == last || slot.halted);
        let exit = match exit {
            Exit::Halt(reason) if !others_halted => Exit::Retry(reason),
            exit => exit,
        };
        if let (Some(slot), Exit::Retry(reason) | Exit::Halt(reason)) = (self.slots.get(last), &exit) {
            slot.meter.failed(reason, None, matches!(exit, Exit::Halt(_)));
        }
        exit
    }

    /// This bind is made anew later; the others go on.
    fn again(&mut self, at: usize, exit: Exit) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        let status = slot.meter.status();
        let stable = i64::try_from(STABLE.as_millis()).unwrap_or(i64::MAX);
        if status.state == State::Up && time::now() - status.since >= stable {
            slot.retry.reset();
            slot.halt.reset();
        }
        let (reason, wait, event) = match exit {
            Exit::Halt(reason) | Exit::Denied(reason) => (reason, slot.halt.next(random()), "halt"),
            Exit::Retry(reason) => (reason, slot.retry.next(random()), "retry"),
            Exit::Stopped => ("it ended unasked".to_owned(), slot.retry.next(random()), "retry"),
        };
        slot.halted = event == "halt";
        slot.due = Some(Instant::now() + wait);
        let next = time::now() + i64::try_from(wait.as_millis()).unwrap_or(0);
        slot.meter.failed(&reason, Some(next), slot.halted);
        self.account.count(event);
        tracing::warn!(
            account = %self.account.reporter.account(), bind = &*slot.name, reason, seconds = wait.as_secs_f32(),
            "a bind ended; it is made anew"
        );
    }

    /// Only the door is left open: the account waits for its own next attempt, and for the SMSC.
    fn say_that_none_is_left(&self) {
        let statuses = self.slots.iter().map(|slot| slot.meter.status());
        let Some(first) = statuses.min_by_key(|status| status.next_attempt) else {
            return;
        };
        let (error, next) = (first.last_error.unwrap_or_default(), first.next_attempt.unwrap_or_else(time::now));
        if self.slots.iter().all(|slot| slot.halted) {
            self.account.reporter.halted(&error, next, 1);
        } else {
            self.account.reporter.retrying(&error, next, 1);
        }
    }

    fn hear(&mut self, stream: TcpStream) {
        if let Some(door) = &self.door {
            self.strangers.push(introduce(stream, door.outbind().clone()).boxed());
        }
    }

    fn refused(&self, reason: &'static str) {
        self.account.count("outbinds_refused");
        tracing::warn!(account = %self.account.reporter.account(), reason, "somebody who connected is not the SMSC");
    }

    /// The SMSC is there: bind on its connection.
    fn welcome(&mut self, stream: TcpStream) {
        let Some(door) = &self.door else { return };
        if self.guests.len() >= GUESTS {
            return self.refused("it has as many connections as it may");
        }
        self.account.count("outbinds");
        let names = (1..).map(|number| format!("outbind-{number}"));
        let mut free = names.filter(|name| !self.guests.iter().any(|guest| **guest == **name));
        let name: Arc<str> = Arc::from(free.next().unwrap_or_default());
        let bind = door.outbind().bind;
        let meter = Meter::new(&name, place::kind(bind), place::window(&self.account.config, bind));
        self.guests.push(Arc::clone(&name));
        self.board.enter(meter.clone());
        let place = Place {
            name: Arc::clone(&name),
            bind,
            meter,
            board: Arc::clone(&self.board),
        };
        let serving = serve(Arc::clone(&self.account), place, Some(Stream::plain(stream)));
        self.serving.push(serving.map(move |exit| (Who::Guest(name), exit)).boxed());
    }
}
