//! One connection, from its bind to its end: one task, one `select!`.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use voxea_core::Core;
use voxea_core::base::exit::Exit;
use voxea_core::base::stop::Stop;
use voxea_core::base::{failpoint, mutant, time};
use voxea_core::channel::Reporter;

use super::certificate;
use super::connect::Stream;
use super::inbound::{Came, Done, Entrance, Taken, normal};
use super::outbound::Outgoing;
use super::place::{Account, Place};
use super::postbox::{Holder, Mail, Postbox};
use super::tap::Tap;
use super::wire::{Moved, Wire};
use crate::pdu::{self, Address};
use crate::session::{End, Event, Handle, Output, Session, State};
use crate::status;
use crate::tls::Tls;

/// With the store away for so long, the bind is closed: the SMSC keeps its texts, and knows it.
const STORE_PATIENCE: Duration = Duration::from_secs(30);
/// What the store refused is brought to it again so often.
const AGAIN: Duration = Duration::from_secs(1);
/// A soft stop waits so long for what is in hand before it unbinds.
const IN_HAND: Duration = Duration::from_secs(3);
/// The last bytes of a connection may take so long.
const LAST_BYTES: Duration = Duration::from_secs(1);
/// Each of the last words to the outbox may take so long.
const LAST_WORDS: Duration = Duration::from_secs(5);
/// Replies are hastened for so many phones at once; what is said of others is only counted.
const HASTENED: usize = 8;

pub(super) struct Link {
    core: Core,
    reporter: Reporter,
    stop: Stop,
    peer: String,
    place: Place,
    tls: Option<Tls>,
    tap: Tap,
    entrance: Arc<Entrance>,
    session: Session,
    wire: Wire,
    taking: FuturesUnordered<BoxFuture<'static, Done>>,
    hastening: FuturesUnordered<BoxFuture<'static, ()>>,
    /// What waits for the store to come back.
    parked: Vec<(Handle, Came)>,
    store_away: Option<(Instant, String)>,
    again: Option<Instant>,
    outgoing: Outgoing,
    postbox: Postbox,
    /// The session's own next deadline.
    deadline: Option<Instant>,
    /// Set when the end has begun: until when what is in hand may still be finished.
    leaving: Option<Instant>,
    /// How `run` will end, when it is decided before the session's end.
    exit: Option<Exit>,
    ended: Option<End>,
    tally: BTreeMap<&'static str, u64>,
}

enum Turn {
    Hard,
    Soft,
    Taken(Done),
    Mail(Mail),
    Hastened,
    Moved(Moved),
    Timer,
}

impl Link {
    pub(super) fn new(account: &Account, place: Place, stream: Stream, entrance: Entrance) -> Result<Self, pdu::Unwritable> {
        let (config, core) = (&account.config, account.core.clone());
        let holder = Holder {
            account: config.account(),
            name: Arc::clone(&place.name),
            turn: Arc::clone(&account.turn),
        };
        Ok(Self {
            session: Session::new(config.settings(place.bind), Instant::now())?,
            outgoing: Outgoing::new(config),
            postbox: Postbox::new(core.outbox.clone(), holder, config.response + Duration::from_secs(60)),
            core,
            reporter: account.reporter.clone(),
            stop: account.stop.clone(),
            peer: stream.peer.clone(),
            tls: config.tls.clone(),
            tap: Tap::new(place.meter.clone(), account.reporter.capture()),
            place,
            entrance: Arc::new(entrance),
            wire: Wire::new(stream),
            taking: FuturesUnordered::new(),
            hastening: FuturesUnordered::new(),
            parked: Vec::new(),
            store_away: None,
            again: None,
            deadline: None,
            leaving: None,
            exit: None,
            ended: None,
            tally: BTreeMap::new(),
        })
    }

    /// Serves until the end of the connection.
    pub(super) async fn run(mut self) -> Exit {
        self.drain();
        while self.ended.is_none() {
            match self.turn().await {
                Turn::Hard => break,
                Turn::Soft => self.leave(Exit::Stopped),
                Turn::Taken(done) => self.taken_all(done),
                Turn::Mail(mail) => self.mail(mail),
                Turn::Hastened => {}
                Turn::Moved(moved) => self.moved(moved),
                Turn::Timer => self.timer(),
            }
            // What the SMSC said is settled now, not when it says something again; and what that makes us say leaves at once.
            self.drain();
            self.care();
            self.drain();
        }
        self.finish().await
    }

    async fn turn(&mut self) -> Turn {
        let wake = self.wake();
        let timer = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => pending().await,
            }
        };
        let reads = self.session.wants_input();
        tokio::select! {
            biased;
            () = self.stop.hard.cancelled() => Turn::Hard,
            () = self.stop.soft.cancelled(), if self.leaving.is_none() => Turn::Soft,
            () = timer => Turn::Timer,
            Some(done) = self.taking.next() => Turn::Taken(done),
            mail = self.postbox.next() => Turn::Mail(mail),
            Some(()) = self.hastening.next() => Turn::Hastened,
            moved = self.wire.moves(reads) => Turn::Moved(moved),
        }
    }

    fn wake(&self) -> Option<Instant> {
        let now = Instant::now();
        let store = self
            .store_away
            .as_ref()
            .filter(|_| self.leaving.is_none())
            .map(|(since, _)| *since + STORE_PATIENCE);
        let leaving = self.leaving.filter(|_| self.session.state() == State::Bound);
        [
            self.deadline,
            self.again,
            store,
            leaving,
            self.outgoing.wakes_at(now).filter(|_| self.leaving.is_none()),
            self.postbox.wakes_at(now),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    fn timer(&mut self) {
        let now = Instant::now();
        self.session.handle_timeout(now);
        if self.again.is_some_and(|at| at <= now) {
            self.again = None;
            for (handle, came) in std::mem::take(&mut self.parked) {
                self.take(handle, came);
            }
        }
        if self.leaving.is_none()
            && let Some((since, reason)) = &self.store_away
            && *since + STORE_PATIENCE <= now
        {
            let exit = Exit::Retry(format!("the store is away ({reason}); the SMSC keeps its texts"));
            self.leave(exit);
            self.session.close(now);
        }
    }

    /// What follows from whatever happened.
    fn care(&mut self) {
        let now = Instant::now();
        if let Some(until) = self.leaving {
            self.outgoing.give_up();
            let idle = self.taking.is_empty() && self.parked.is_empty() && self.session.unanswered() == 0;
            if idle || until <= now {
                self.session.close(now);
            }
        } else {
            self.outgoing.pump(&mut self.session, now);
            self.postbox.seek(self.outgoing.room(&self.session, now), now);
        }
        if self.outgoing.has_settlements() {
            let settlements = self.outgoing.settlements();
            let waiting = self.postbox.settle(settlements, now);
            self.outgoing.unsettled(waiting);
        }
        let session = &self.session;
        self.place
            .meter
            .under_way(session.unanswered(), session.round_trip(), session.congestion());
        if self.taking.is_empty() || self.tally.values().sum::<u64>() > 1000 {
            self.count();
        }
    }

    fn count(&mut self) {
        for (event, n) in std::mem::take(&mut self.tally) {
            self.core.counters.add(self.reporter.account(), event, n);
        }
    }

    fn tally(&mut self, event: &'static str) {
        *self.tally.entry(event).or_default() += 1;
    }

    /// No new work; what is in hand may be finished.
    fn leave(&mut self, exit: Exit) {
        if self.leaving.is_none() {
            self.leaving = Some(Instant::now() + IN_HAND);
            self.exit = Some(exit);
            self.session.pause(false);
            if self.stop.soft.is_cancelled() {
                self.place.meter.stopping();
                self.reporter.stopping();
            }
        }
    }

    fn moved(&mut self, moved: Moved) {
        match moved {
            Moved::Wrote(Ok(count)) => {
                let marks = self.wire.wrote(count);
                if !marks.is_empty() {
                    self.core.intake.flushed(marks, time::now());
                }
            }
            Moved::Read(Ok(count)) if count > 0 => {
                self.reporter.activity();
                let handled = self.session.handle_input(self.wire.inbox(count), Instant::now());
                self.tap.came(&self.session.take_seen());
                if let Err(error) = handled {
                    tracing::warn!(account = %self.reporter.account(), %error, "the SMSC is out of step");
                }
            }
            Moved::Read(Ok(_)) => self.session.handle_lost(),
            Moved::Read(Err(error)) | Moved::Wrote(Err(error)) => {
                if let Some(words) = certificate::refused(&error, self.tls.as_ref()) {
                    self.exit.get_or_insert(Exit::Halt(words));
                }
                self.session.handle_lost();
            }
        }
    }

    fn mail(&mut self, mail: Mail) {
        match mail {
            Mail::Leased(leased, waiting) => {
                if let Some(waiting) = waiting {
                    self.reporter.queue(waiting);
                }
                if self.leaving.is_some() {
                    return self.outgoing.give_back(leased);
                }
                let now = Instant::now();
                for reply in leased {
                    self.outgoing.send(reply, now);
                }
            }
            Mail::Unsettled(settlements) => self.outgoing.unsettled(settlements),
            Mail::Settled(Some(waiting)) => self.reporter.queue(waiting),
            Mail::Due | Mail::Settled(None) | Mail::Failed => {}
        }
    }

    /// Everything that is done by now, so that many responses leave as one piece.
    fn taken_all(&mut self, done: Done) {
        self.taken(done);
        while let Some(Some(done)) = self.taking.next().now_or_never() {
            self.taken(done);
        }
    }

    fn taken(&mut self, done: Done) {
        let Done { handle, taken } = done;
        match taken {
            Taken::Safe { status, mark, event } => {
                self.tally(event);
                if event.starts_with("receipts") {
                    self.place.meter.receipt(time::now());
                }
                if mark.is_some() {
                    failpoint::hit("smpp.after_commit");
                }
                if self.session.acknowledge(handle, status)
                    && let Some(mark) = mark
                {
                    self.wire.expect(mark);
                }
                if self.store_away.take().is_some() {
                    self.session.pause(false);
                    self.again = self.again.map(|_| Instant::now());
                }
            }
            Taken::Unavailable { came, reason } => self.unavailable(handle, came, reason),
            Taken::Fenced => {
                self.leave(Exit::Retry("another node has taken this account over".to_owned()));
                self.session.close(Instant::now());
            }
        }
    }

    fn unavailable(&mut self, handle: Handle, came: Came, reason: String) {
        self.tally("store_away");
        if let Some(busy) = self.entrance.busy_status {
            self.session.acknowledge(handle, busy);
            return;
        }
        self.parked.push((handle, came));
        if self.leaving.is_none() {
            let now = Instant::now();
            self.again.get_or_insert(now + AGAIN);
            self.store_away.get_or_insert((now, reason));
            self.session.pause(true);
        }
    }

    fn take(&mut self, handle: Handle, came: Came) {
        if mutant::active("ack_before_commit") {
            self.session.acknowledge(handle, pdu::status::OK);
        }
        let entrance = Arc::clone(&self.entrance);
        self.taking.push(Box::pin(async move { entrance.take(handle, came).await }));
    }

    fn drain(&mut self) {
        loop {
            match self.session.poll_output() {
                Output::Event(event) => self.event(event),
                Output::Transmit(bytes) => {
                    self.tap.leaves(&bytes);
                    self.wire.queue(&bytes);
                }
                Output::Timeout(deadline) => {
                    self.deadline = deadline;
                    return self.wire.queued_all();
                }
            }
        }
    }

    fn event(&mut self, event: Event) {
        match event {
            Event::Bound => {
                tracing::info!(account = %self.reporter.account(), bind = &*self.place.name, peer = self.peer, "bound to the SMSC");
                self.place.meter.up(&self.peer);
                self.place.board.refresh();
                let now = Instant::now();
                self.postbox.seek(self.outgoing.room(&self.session, now), now);
            }
            // Left unanswered: the SMSC keeps what comes once the end has begun.
            Event::Delivery { .. } | Event::Undecodable { .. } if self.leaving.is_some() => {}
            Event::Delivery { handle, delivery } => self.take(handle, Came::Read(delivery)),
            Event::Undecodable { handle, raw, unreadable } => {
                tracing::warn!(account = %self.reporter.account(), what = unreadable.what, bytes = raw.len(), "a PDU cannot be read; it is kept");
                self.take(handle, Came::Unread { raw, unreadable });
            }
            Event::Answered {
                handle,
                status,
                message_id,
            } => {
                if status != pdu::status::OK {
                    self.place.meter.refused(&status::name(status));
                }
                let event = self.outgoing.answered(handle, status, message_id, Instant::now());
                self.tally(event);
            }
            Event::Told { handle, told } => {
                let event = self.outgoing.told(handle, told);
                self.tally(event);
            }
            Event::Unanswered { handle } => {
                self.tally("texts_unanswered");
                self.place.meter.refused("no response");
                self.outgoing.unanswered(handle);
            }
            Event::Alert { source } => self.alerted(source),
            Event::Odd { command } => {
                tracing::warn!(account = %self.reporter.account(), command = format_args!("{command:#010x}"), "the SMSC sent a request that is refused");
                self.tally("requests_odd");
            }
            Event::Ended(end) => {
                if let End::Refused { status } = end {
                    self.place.meter.refused(&status::name(status));
                }
                self.ended = Some(end);
            }
        }
    }

    /// A phone is back (SMPP 3.4 §4.12): what was put off for it is due now.
    fn alerted(&mut self, source: Option<Address>) {
        self.tally("alerts");
        let Some(source) = source.filter(|_| self.hastening.len() < HASTENED) else {
            return;
        };
        let (outbox, account, number) = (self.core.outbox.clone(), self.entrance.account.clone(), normal(&source));
        self.hastening.push(Box::pin(async move {
            if let Err(error) = outbox.hasten(&account, &number).await {
                tracing::warn!(%account, %error, "what waits for a phone that is back could not be hastened");
            }
        }));
    }

    async fn finish(mut self) -> Exit {
        self.session.handle_lost();
        self.drain();
        if let Ok(Ok(marks)) = tokio::time::timeout(LAST_BYTES, self.wire.flush()).await {
            self.core.intake.flushed(marks, time::now());
        }
        self.core
            .intake
            .link_ended(&self.entrance.account, &self.entrance.link, time::now());
        self.count();
        // Leases must not be left behind: a text that is leased and not settled counts as perhaps sent.
        let _ = tokio::time::timeout(LAST_WORDS, self.settle_all()).await;
        match (self.exit.take(), self.ended) {
            (Some(exit), _) => exit,
            (None, Some(end)) => exit_of(end),
            (None, None) => Exit::Stopped,
        }
    }

    async fn settle_all(&mut self) {
        self.outgoing.give_up();
        loop {
            let now = Instant::now();
            let settlements = self.outgoing.settlements();
            let waiting = self.postbox.settle(settlements, now);
            self.outgoing.unsettled(waiting);
            if self.postbox.is_busy() {
                match self.postbox.next().await {
                    Mail::Leased(leased, _) => self.outgoing.give_back(leased),
                    Mail::Unsettled(settlements) => self.outgoing.unsettled(settlements),
                    Mail::Settled(Some(waiting)) => self.reporter.queue(waiting),
                    _ => {}
                }
            } else if let Some(at) = self.postbox.wakes_at(now).filter(|_| self.outgoing.has_settlements()) {
                tokio::time::sleep_until(at.into()).await;
            } else if !self.outgoing.has_settlements() {
                return;
            }
        }
    }
}

/// What the supervisor is told.
pub(super) fn exit_of(end: End) -> Exit {
    match end {
        End::Asked => Exit::Stopped,
        End::PeerUnbound => Exit::Retry("the SMSC unbound".to_owned()),
        End::Refused {
            status: code @ (pdu::status::BIND_FAILED | pdu::status::INVALID_PASSWORD | pdu::status::INVALID_SYSTEM_ID),
        } => Exit::Halt(format!(
            "the SMSC refused the bind: {}; check system_id and password with its operator",
            status::name(code)
        )),
        End::Refused { status: code } => Exit::Retry(format!("the SMSC refused the bind: {}", status::name(code))),
        End::Deaf => Exit::Retry("the SMSC does not answer".to_owned()),
        End::Unframed => Exit::Retry("the SMSC sent a length that is none".to_owned()),
        End::Lost => Exit::Retry("the SMSC closed the connection".to_owned()),
    }
}
