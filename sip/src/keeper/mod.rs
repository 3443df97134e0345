//! The keeper of one trunk: asks with OPTIONS whether its peer is there, and registers us with it (RFC 3261 §10, §11).
//!
//! A machine like the endpoint, above it: the time and what came of its requests go in; requests, the wish for a flow
//! and the next deadline come out. Two requests at most are under way, one of each sort.
//!
//! | state   | becomes                                                                                     |
//! |---------|---------------------------------------------------------------------------------------------|
//! | unknown | up with the first answer, down after two failures in a row                                  |
//! | up      | down after two failures in a row; the one after the first follows soon                      |
//! | down    | up with the first answer                                                                    |
//!
//! Where we register, up is more: that we are registered, for without it the peer finds us no more than if it were down.
//! Who answers and has not registered us is unknown until the first attempt is over, retrying when that or a later one
//! came to nothing, and halted when it was refused.
//!
//! An answer is any final response to OPTIONS or REGISTER but 408 and 503, which say that somebody in between found
//! nobody, or that it is there and takes no calls: whoever says 404 or 405 to OPTIONS is there all the same. Failures are
//! those two, no answer within [`PATIENCE`], and no way to it; to REGISTER only where OPTIONS are not asked. What a trunk is has no effect on the calls that come from it.

mod errand;
mod inquiry;
mod register;
mod request;
mod settings;
mod status;
#[cfg(test)]
mod tests;

pub use self::errand::Task;
pub use self::inquiry::Inquiry;
pub use self::settings::Settings;
pub use self::status::{State, Status};

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use self::errand::{Errand, Phase};
use crate::endpoint::Ask;
use crate::flow::Flow;
use crate::ids::Ids;
use crate::wire::Response;

/// How long a peer may take to answer.
pub const PATIENCE: Duration = Duration::from_secs(8);
/// When a peer that failed once is asked again, if not sooner.
const SOON: Duration = Duration::from_secs(5);
/// Failures in a row after which a peer is down.
const DOWN: u32 = 2;
/// How long we wait for the answer to our leave.
const LEAVE: Duration = Duration::from_secs(2);

/// What the machine wants.
#[derive(Debug)]
pub enum Want {
    /// A flow to the peer: its name looked up anew, its connection opened when there is none. Answer with
    /// [`Keeper::reached`] or [`Keeper::unreachable`].
    Reach,
    /// A request to be sent; what came of the last one of its task has no meaning any more.
    Send {
        /// What it is for; answer with [`Keeper::answer`].
        task: Task,
        /// Between whom.
        flow: Flow,
        /// The request.
        ask: Ask,
    },
    /// Nothing more until something happens, or this moment.
    Timeout(Option<Instant>),
}

/// The machine.
#[derive(Debug)]
pub struct Keeper {
    settings: Settings,
    ids: Ids,
    status: Status,
    failures: u32,
    /// What a peer is that answers: up, unless we wait to be registered with it.
    there: State,
    options: Errand,
    register: Errand,
    /// Seconds that we ask for; more than configured after a 423.
    expires: u32,
    /// How often it failed in a row to register us.
    refused: u32,
    flow: Option<Flow>,
    closing: bool,
    wants: VecDeque<Want>,
}

impl Keeper {
    /// A keeper that begins at once. `secret` is random: tags and waiting times come from it.
    #[must_use]
    pub fn new(settings: Settings, secret: [u8; 32], now: Instant) -> Self {
        let mut ids = Ids::new(secret);
        let (options, register) = (Errand::new(&mut ids), Errand::new(&mut ids));
        let mut keeper = Self {
            expires: settings.register.unwrap_or_default(),
            status: Status::new(&settings, now),
            settings,
            ids,
            failures: 0,
            there: State::Up,
            options,
            register,
            refused: 0,
            flow: None,
            closing: false,
            wants: VecDeque::new(),
        };
        if keeper.settings.register.is_some() && keeper.settings.login.is_some() {
            keeper.register.due = Some(now);
            keeper.there = State::Unknown;
        }
        if keeper.settings.options.is_some() {
            keeper.options.due = Some(now);
        }
        keeper
    }

    /// What is known of the peer.
    #[must_use]
    pub fn status(&self) -> Status {
        let next = if self.status.registered_until.is_none() && self.settings.register.is_some() {
            self.register.due
        } else {
            [self.options.due, self.register.due].into_iter().flatten().min()
        };
        Status {
            next_attempt: next,
            ..self.status.clone()
        }
    }

    /// The next thing to do; [`Want::Timeout`] when there is nothing more.
    pub fn poll(&mut self) -> Want {
        self.wants.pop_front().unwrap_or_else(|| Want::Timeout(self.next()))
    }

    fn next(&self) -> Option<Instant> {
        [self.options.next(), self.register.next(), self.status.registered_until]
            .into_iter()
            .flatten()
            .min()
    }

    /// Lets every deadline up to `now` have its effect.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.status.registered_until.is_some_and(|until| until <= now) {
            self.status.registered_until = None;
            self.unregistered(State::Retrying, now);
        }
        for task in [Task::Register, Task::Options] {
            match self.errand(task).phase {
                Phase::Waiting(until) if until <= now => {
                    let words = format!("no answer to {} within {} s", task.as_str(), PATIENCE.as_secs());
                    self.failed(task, words, None, now);
                }
                Phase::Idle if self.errand(task).due.is_some_and(|due| due <= now) && !self.closing => {
                    let reaching = [&self.options, &self.register].iter().any(|errand| errand.phase == Phase::Reaching);
                    self.errand_mut(task).begin();
                    if !reaching {
                        self.wants.push_back(Want::Reach);
                    }
                }
                _ => {}
            }
        }
    }

    /// The flow that was wished for.
    pub fn reached(&mut self, flow: Flow, now: Instant) {
        // Another machine behind the same name knows nothing of our nonces.
        if self.flow.is_some_and(|before| before.remote != flow.remote)
            && let Some(login) = &mut self.settings.login
        {
            login.forget();
        }
        self.flow = Some(flow);
        for task in [Task::Register, Task::Options] {
            if self.errand(task).phase == Phase::Reaching {
                self.send(task, now);
            }
        }
    }

    /// There is no flow; `error` says why.
    pub fn unreachable(&mut self, error: &str, now: Instant) {
        for task in [Task::Register, Task::Options] {
            if self.errand(task).phase == Phase::Reaching {
                self.failed(task, error.to_owned(), None, now);
            }
        }
    }

    /// What came of a request; `None` when nobody answered.
    pub fn answer(&mut self, task: Task, response: Option<&Response>, now: Instant) {
        if !matches!(self.errand(task).phase, Phase::Waiting(_)) {
            return;
        }
        let Some(response) = response else {
            return self.unanswered(task, None, now);
        };
        match task {
            Task::Options => self.options_answered(response, now),
            Task::Register => self.register_answered(response, now),
        }
    }

    /// Nobody answered a request, and nobody will: our patience is shorter than a transaction's, so that this one ended with
    /// its connection. `why` says how, where that is known.
    pub fn unanswered(&mut self, task: Task, why: Option<String>, now: Instant) {
        if matches!(self.errand(task).phase, Phase::Waiting(_)) {
            let words = why.unwrap_or_else(|| "takes no connection, or has ended it".to_owned());
            self.failed(task, words, None, now);
        }
    }

    /// Between whom its requests go, once there is a way to the peer.
    #[must_use]
    pub const fn flow(&self) -> Option<Flow> {
        self.flow
    }

    fn options_answered(&mut self, response: &Response, now: Instant) {
        match response.status {
            408 | 503 => {
                let words = format!("answers OPTIONS with {}", response.status);
                self.failed(Task::Options, words, None, now);
            }
            401 | 407 if self.proves(Task::Options, response) == Ok(true) => self.send(Task::Options, now),
            _ => {
                self.heard(now);
                let pause = self.about(self.settings.options.unwrap_or(SOON), 10);
                self.options.rest(Some(now + pause));
            }
        }
    }

    /// The peer is there.
    fn heard(&mut self, now: Instant) {
        self.failures = 0;
        self.status.enter(self.there, now);
    }

    /// We are not registered, though we wish it; what is known of whether the peer is there stays.
    fn unregistered(&mut self, there: State, now: Instant) {
        self.there = there;
        if matches!(self.status.state, State::Up | State::Retrying | State::Halted) {
            self.status.enter(there, now);
        }
    }

    /// Something failed; the next try is due by itself, or at `next`.
    fn failed(&mut self, task: Task, error: String, next: Option<Duration>, now: Instant) {
        // Where OPTIONS are asked, they say whether the peer is there; a registrar behind it may be away by itself.
        if task == Task::Options || self.settings.options.is_none() {
            self.failures += 1;
        }
        self.status.last_error = Some(error);
        if task == Task::Register && !self.status.is_registered(now) {
            self.unregistered(State::Retrying, now);
        }
        if self.failures >= DOWN {
            self.status.enter(State::Down, now);
        }
        if self.closing {
            return self.errand_mut(task).rest(None);
        }
        let pause = match (task, next) {
            (_, Some(next)) => next,
            (Task::Register, None) => self.backed_off(),
            (Task::Options, None) if self.failures < DOWN => SOON.min(self.settings.options.unwrap_or(SOON)),
            (Task::Options, None) => self.settings.options.unwrap_or(SOON),
        };
        let pause = self.about(pause, 10);
        self.errand_mut(task).rest(Some(now + pause));
    }

    /// Takes us out of the registrar, when we are in it or may be.
    pub fn close(&mut self, now: Instant) {
        if self.closing {
            return;
        }
        self.closing = true;
        self.options.rest(None);
        let asked = matches!(self.register.phase, Phase::Waiting(_));
        self.register.rest(None);
        if self.flow.is_some() && (asked || self.status.registered_until.is_some()) {
            self.register.begin();
            self.send(Task::Register, now);
        }
        self.status.registered_until = None;
    }

    /// Whether nothing is under way any more, after a close.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closing && self.register.phase == Phase::Idle && self.wants.is_empty()
    }

    fn send(&mut self, task: Task, now: Instant) {
        let Some(flow) = self.flow else { return };
        let patience = if self.closing { LEAVE } else { PATIENCE };
        let ask = self.compose(task, flow);
        self.errand_mut(task).phase = Phase::Waiting(now + patience);
        self.wants.push_back(Want::Send { task, flow, ask });
    }

    /// A time shortened or prolonged by up to so many percent, so that many of us do not ask in step.
    fn about(&mut self, time: Duration, percent: u32) -> Duration {
        let share = u32::try_from(self.ids.number() % u64::from(2 * percent + 1)).unwrap_or_default();
        time * (100 - percent + share) / 100
    }

    const fn errand(&self, task: Task) -> &Errand {
        match task {
            Task::Options => &self.options,
            Task::Register => &self.register,
        }
    }

    const fn errand_mut(&mut self, task: Task) -> &mut Errand {
        match task {
            Task::Options => &mut self.options,
            Task::Register => &mut self.register,
        }
    }
}
