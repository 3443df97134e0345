//! The one task that owns the machine: a `select!` over sockets, timers, media, the store's answers and the stop.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::task::{JoinSet, spawn_blocking};
use voxea_core::Core;
use voxea_core::artefact::CallEnd;
use voxea_core::base::account::Account;
use voxea_core::base::exit::Exit;
use voxea_core::base::stop::Stop;
use voxea_core::channel::Reporter;
use voxea_core::contact::{Accepted, Contact, IntakeError};

use super::arrival::Arrival;
use super::deposit::{Deposit, Stage};
use super::keeping::Keeping;
use super::net::Net;
use super::notices::Notices;
use super::orders::Orders;
use super::paced::Paced;
use super::repair::{self, Orphans};
use super::traced;
use crate::call::CallHandle;
use crate::config::Config;
use crate::endpoint::{Endpoint, Event, Output};
use crate::media::{LegId, MediaEngine, MediaEvent};

/// Callers that still repeat an INVITE of before a crash have given up after this (64·T1 and some).
pub(super) const ORPHANED: Duration = Duration::from_secs(35);

/// At a stop, callers that have not confirmed our 200 get this long.
const CONFIRM: Duration = Duration::from_secs(2);

/// At a stop, our BYEs get this long to be answered.
const LINGER: Duration = Duration::from_secs(1);

/// What a task of ours came back with.
pub(super) enum Done {
    /// The core's answer to an offered call.
    Committed {
        call: CallHandle,
        result: Result<Accepted, IntakeError>,
    },
    /// A caller's choice was stored, or cannot be.
    Chosen { call: CallHandle },
    /// A row was written.
    Noted,
}

/// The endpoint's task.
pub(super) struct Driver {
    pub(super) config: Arc<Config>,
    pub(super) core: Core,
    pub(super) account: Account,
    pub(super) endpoint: Endpoint,
    pub(super) media: MediaEngine,
    pub(super) epoch: i64,
    pub(super) orphans: Orphans,
    pub(super) calls: HashMap<CallHandle, Deposit>,
    pub(super) legs: HashMap<LegId, CallHandle>,
    pub(super) commits: Paced<(CallHandle, Contact)>,
    pub(super) tasks: JoinSet<Done>,
    pub(super) stop: Stop,
    /// When it started.
    pub(super) since: Instant,
    /// When what is being treated came off the wire.
    pub(super) moment: Instant,
    /// Set when a soft stop began.
    pub(super) stopping: Option<Instant>,
    /// The account was taken over by another node.
    pub(super) fenced: bool,
    pub(super) reporter: Reporter,
    notices: Notices,
    /// From where came what is being treated.
    peer: Option<IpAddr>,
    pub(super) keeping: Keeping,
    pub(super) orders: Orders,
    pub(super) net: Net,
    /// When the levels of the tables are told next.
    levels_due: Instant,
}

impl Driver {
    #[expect(clippy::too_many_arguments, reason = "everything that one task owns, handed over once")]
    pub(super) fn new(
        config: Arc<Config>,
        core: Core,
        reporter: Reporter,
        endpoint: Endpoint,
        net: Net,
        media: MediaEngine,
        epoch: i64,
        orphans: Orphans,
    ) -> Self {
        let now = Instant::now();
        let keeping = Keeping::new(&config, net.ways(), now);
        Self {
            config,
            core,
            account: reporter.account().clone(),
            endpoint,
            media,
            epoch,
            orphans,
            calls: HashMap::new(),
            legs: HashMap::new(),
            commits: Paced::default(),
            tasks: JoinSet::new(),
            stop: Stop::new(),
            since: now,
            moment: now,
            stopping: None,
            fenced: false,
            reporter,
            notices: net.notices(),
            peer: None,
            keeping,
            orders: Orders::default(),
            net,
            levels_due: now,
        }
    }

    pub(super) async fn run(
        mut self,
        mut arrivals: mpsc::Receiver<Arrival>,
        mut sound: mpsc::Receiver<(LegId, MediaEvent)>,
        stop: Stop,
    ) -> Exit {
        self.stop = stop.clone();
        let exit = loop {
            let due = self.drain();
            self.peer = None;
            self.tell_levels();
            if let Some(exit) = self.is_done() {
                break exit;
            }
            let due = self.next_deadline(due);
            tokio::select! {
                biased;
                () = stop.hard.cancelled() => break Exit::Stopped,
                () = stop.soft.cancelled(), if self.stopping.is_none() => self.begin_stop(),
                Some(done) = self.tasks.join_next() => {
                    // A task that panicked took its call's leg with it; the row is repaired at the next start.
                    if let Ok(done) = done {
                        self.moment = Instant::now();
                        self.done(done);
                    }
                }
                Some((leg, event)) = sound.recv() => {
                    self.moment = Instant::now();
                    self.heard(leg, event);
                }
                Some(reached) = self.keeping.reached() => self.reached(reached),
                Some(order) = self.orders.next() => {
                    self.moment = Instant::now();
                    self.ordered(order);
                }
                () = tokio::time::sleep_until(due) => {
                    self.moment = Instant::now();
                    self.keeping.handle_timeout(self.moment);
                    self.endpoint.handle_timeout(self.moment);
                    self.on_time();
                }
                Some(flow) = self.net.lost.recv() => {
                    self.moment = Instant::now();
                    self.endpoint.transport_failed(flow, self.moment);
                }
                arrival = arrivals.recv() => match arrival {
                    None => break Exit::Retry("the sockets are gone".to_owned()),
                    Some(arrival) => {
                        self.moment = arrival.at;
                        self.peer = Some(arrival.flow.remote.ip());
                        self.reporter.activity();
                        traced::message("in", &arrival.flow, &arrival.bytes, &self.orders.paused);
                        self.endpoint.handle_input(arrival.bytes, arrival.flow, Instant::now());
                    }
                },
            }
        };
        self.close(exit).await
    }

    /// Does everything that the machine wants; gives its next deadline.
    fn drain(&mut self) -> Option<Instant> {
        loop {
            let kept = self.keep();
            match self.endpoint.poll_output() {
                Output::Transmit { flow, bytes } => {
                    traced::message("out", &flow, &bytes, &self.orders.paused);
                    if !self.net.send(&flow, bytes) && flow.transport.is_reliable() {
                        self.endpoint.transport_failed(flow, Instant::now());
                    }
                }
                Output::Event(event) => self.on_event(event),
                Output::Timeout(due) => return [due, kept, self.commit()].into_iter().flatten().min(),
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::IncomingCall(call) => self.offered(&call),
            Event::Answered { call, media } => self.answered(call, &media),
            Event::Early { call, media } => self.begin(call, &media),
            Event::Renegotiated { call, media } => self.renegotiated(call, &media),
            Event::Digit { call, digit, at } => self.pressed(call, digit, at),
            Event::Reason { call, reason } => {
                if let Some(deposit) = self.calls.get_mut(&call) {
                    deposit.reason = Some(reason);
                }
            }
            Event::Cancelled { call } => self.over(call, CallEnd::Cancelled),
            Event::Ended { call, by, answered } => self.ended(call, by, answered),
            Event::Counted(what) => self.count(what),
            Event::Answer { ask, response } => self.answer(ask, response.as_deref()),
        }
    }

    pub(super) fn count(&mut self, what: &'static str) {
        self.core.counters.add(&self.account, what, 1);
        if let Some((words, times)) = self.notices.note(what, Instant::now()) {
            let from = self.peer.map(tracing::field::display);
            tracing::warn!(event = what, times, from, "{words}");
        }
    }

    /// What is held, for the metrics; once a second is often enough.
    fn tell_levels(&mut self) {
        let now = Instant::now();
        if now < self.levels_due {
            return;
        }
        self.levels_due = now + Duration::from_secs(1);
        for (event, words, times) in self.notices.due(now) {
            tracing::warn!(event, times, "again, in the last minute: {words}");
        }
        self.reporter.alarm(self.media.trouble().as_deref());
        let held = self.endpoint.held();
        for (what, count) in [
            ("calls", held.calls),
            ("unconfirmed", held.unconfirmed),
            ("dialogs", held.dialogs),
            ("transactions", held.transactions),
            ("requests", held.requests),
            ("timers", held.timers),
            ("admitted", held.admitted),
            ("indices", held.indices),
            ("legs", self.media.legs()),
            ("deposits", self.calls.len()),
            ("tasks", self.tasks.len()),
            ("recordings_failing", self.media.failing()),
        ] {
            self.core.counters.set_level(&self.account, what, count as u64);
        }
    }

    fn next_deadline(&self, machine: Option<Instant>) -> tokio::time::Instant {
        // Once a second is often enough for what has no deadline of its own.
        let tick = Instant::now()
            + if self.stopping.is_some() {
                Duration::from_millis(50)
            } else {
                Duration::from_secs(1)
            };
        tokio::time::Instant::from_std(machine.map_or(tick, |due| due.min(tick)))
    }

    fn on_time(&mut self) {
        self.report_trunks();
        if !self.orphans.is_empty() && self.since.elapsed() > ORPHANED {
            for (_, row) in self.orphans.drain() {
                let core = self.core.clone();
                self.tasks.spawn(async move {
                    if let Err(error) = repair::give_up(&core, &row).await {
                        tracing::warn!(%error, "a call of before the crash is closed at the next start");
                    }
                    Done::Noted
                });
            }
        }
        if self.stopping.is_some_and(|since| since.elapsed() > CONFIRM) {
            let waiting = |(call, deposit): (&CallHandle, &Deposit)| matches!(deposit.stage, Stage::Answering(_)).then_some(*call);
            let unconfirmed: Vec<CallHandle> = self.calls.iter().filter_map(waiting).collect();
            for call in unconfirmed {
                self.over(call, CallEnd::Shutdown);
            }
        }
    }

    /// Soft stop: no new calls, a BYE for those that go on.
    fn begin_stop(&mut self) {
        let now = Instant::now();
        self.moment = now;
        self.stopping = Some(now);
        self.reporter.stopping();
        self.endpoint.drain();
        self.keeping.close(now);
        let all: Vec<CallHandle> = self.calls.keys().copied().collect();
        for call in all {
            self.hang_up(call, CallEnd::Shutdown);
        }
    }

    fn is_done(&self) -> Option<Exit> {
        if self.fenced && self.stopping.is_none() {
            return Some(Exit::Retry("another node has taken the account over".to_owned()));
        }
        let since = self.stopping?;
        let idle = self.calls.is_empty() && self.tasks.is_empty();
        let quiet = (self.endpoint.calls() == 0 && self.keeping.is_closed()) || since.elapsed() > CONFIRM + LINGER;
        (idle && quiet).then_some(Exit::Stopped)
    }

    async fn close(mut self, exit: Exit) -> Exit {
        // What is not noted by now is repaired at the next start.
        self.calls.clear();
        self.tasks.abort_all();
        let media = self.media;
        let _ = spawn_blocking(move || media.shutdown()).await;
        self.net.close().await;
        exit
    }
}
