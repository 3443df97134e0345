//! Random lives of calls over a bad network, on virtual time: whatever is lost, doubled, late or out of order, every call
//! comes to one legal end, every request that arrives is answered once, and a day later nothing is left over.
//!
//! `VOXEA_LIVES` says how many; `VOXEA_LIVES_SEED` plays one world again, the one that a failure names.
//!
//! One-line mistakes that turn it red, each tried by hand: `merges.remove`, `dialogs.remove`, `branches.remove` or
//! `offered.remove` left out; a BYE, UPDATE or ACK that is treated although the call is over; the BYE of a call that nobody
//! confirmed; timers F, H, I, J, K or L left out, or J cut short; the 2xx that nobody confirms given up by nobody; no end for a
//! call that the user never decides on; a CANCEL that the user is not told of; an ACK that answers a call twice; numbers of
//! our requests that do not rise, and numbers of theirs that are not compared.

mod caller;
mod chance;
mod network;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use voxea_sip::call::{CallHandle, EndedBy};
use voxea_sip::endpoint::{Config, Endpoint, Event, Gone, Limits, Output};
use voxea_sip::flow::{Flow, Transport};

use self::caller::Caller;
use self::chance::{Chance, Plan, Verdict};
use self::network::{Ledger, Network, To, Weather};
use crate::bench::Bench;

/// Lives in one world, which meet each other in its tables.
const TOGETHER: usize = 20;

/// Lives of a run that names no number.
const LIVES: usize = 10_000;

const DAY: Duration = Duration::from_secs(86_400);

/// How far a call has come, as its user sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Offered,
    Accepted,
    Talking,
    Over,
}

/// What the user wants at a moment.
#[derive(Debug, Clone, Copy)]
enum Wish {
    Decide(CallHandle),
    HangUp(CallHandle),
}

struct World {
    endpoint: Endpoint,
    limits: Limits,
    start: Instant,
    now: Duration,
    network: Network,
    ledger: Ledger,
    callers: Vec<Caller>,
    /// The caller and the stage of every call that was ever offered.
    calls: BTreeMap<CallHandle, (usize, Stage)>,
    wishes: Vec<(Duration, Wish)>,
    /// How calls ended, for the sum of all worlds.
    ends: BTreeMap<String, usize>,
}

type Found = Result<(), String>;

impl World {
    fn new(seed: u64) -> (Self, Weather) {
        let mut chance = Chance::new(seed);
        let weather = match chance.below(5) {
            0 => Weather {
                loss: 0,
                doubled: 0,
                delay: 5,
            },
            1 => Weather {
                loss: 3,
                doubled: 2,
                delay: 50,
            },
            2 => Weather {
                loss: 10,
                doubled: 10,
                delay: 100,
            },
            3 => Weather {
                loss: 30,
                doubled: 5,
                delay: 30,
            },
            // The worst that RFC 3261's T4 allows for.
            _ => Weather {
                loss: 5,
                doubled: 20,
                delay: 500,
            },
        };
        let limits = if chance.percent(15) {
            Limits {
                calls: 4,
                ..Limits::default()
            }
        } else {
            Limits::default()
        };
        let endpoint = Endpoint::new(Config {
            secret: [seed as u8; 32],
            trunks: vec![Bench::pbx()],
            lines: vec!["3000".to_owned()],
            limits,
        });
        let callers = (0..TOGETHER).map(|number| Caller::new(number, Plan::draw(&mut chance))).collect();
        let world = Self {
            endpoint,
            limits,
            start: Instant::now(),
            now: Duration::ZERO,
            network: Network::new(weather, chance),
            ledger: Ledger::default(),
            callers,
            calls: BTreeMap::new(),
            wishes: Vec::new(),
            ends: BTreeMap::new(),
        };
        (world, weather)
    }

    fn at(&self) -> Instant {
        self.start + self.now
    }

    /// Lets everything happen, until nothing is to come.
    fn play(&mut self) -> Found {
        loop {
            let deadline = self.drain()?.map(|at| at.saturating_duration_since(self.start));
            let callers = self.callers.iter().filter_map(Caller::next);
            let wishes = self.wishes.iter().map(|(at, _)| *at);
            let Some(next) = callers.chain(wishes).chain(deadline).chain(self.network.next()).min() else {
                return Ok(());
            };
            if next > DAY {
                return Err(format!("a day later something is still to come: {:?}", self.endpoint.held()));
            }
            self.now = self.now.max(next);
            if deadline.is_some_and(|at| at <= self.now) {
                self.endpoint.handle_timeout(self.at());
                self.drain()?;
            }
            if let Some(index) = self.wishes.iter().position(|(at, _)| *at <= self.now) {
                let (_, wish) = self.wishes.remove(index);
                self.grant(wish)?;
            }
            while let Some((to, text)) = self.network.arrived(self.now) {
                self.arrives(to, text)?;
            }
            for caller in &mut self.callers {
                if caller.next().is_some_and(|at| at <= self.now) {
                    caller.wake(self.now);
                }
                for text in caller.take() {
                    let to = To::Endpoint {
                        caller: usize::from(caller.port() - 10_000),
                    };
                    self.network.send(to, caller.plan.tcp, &text, self.now);
                }
            }
        }
    }

    fn arrives(&mut self, to: To, text: String) -> Found {
        match to {
            To::Caller { caller } => {
                self.callers[caller].hears(&text, self.now);
                Ok(())
            }
            To::Endpoint { caller } => {
                self.ledger.asked(&text);
                let caller = &self.callers[caller];
                let flow = Flow {
                    remote: ([192, 0, 2, 1], caller.port()).into(),
                    local: ([192, 0, 2, 10], 5060).into(),
                    transport: if caller.plan.tcp { Transport::Tcp } else { Transport::Udp },
                };
                self.endpoint.handle_input(text.into(), flow, self.at());
                self.drain().map(|_| ())
            }
        }
    }

    fn drain(&mut self) -> Result<Option<Instant>, String> {
        loop {
            match self.endpoint.poll_output() {
                Output::Transmit { flow, bytes } => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    self.ledger.said(&text, self.now)?;
                    // The loose router of some calls stands before their callers and finds them by their Call-ID.
                    let caller = match flow.remote.port() {
                        5060 => caller::field(&text, "Call-ID").trim_start_matches("life-").parse().unwrap(),
                        port => usize::from(port - 10_000) % 20_000,
                    };
                    self.network
                        .send(To::Caller { caller }, flow.transport.is_reliable(), &text, self.now);
                }
                Output::Event(event) => self.happens(event)?,
                Output::Timeout(at) => {
                    let held = self.endpoint.held();
                    if held.calls > self.limits.calls
                        || held.admitted != held.calls
                        || held.dialogs > held.calls
                        || held.timers > 6 * (held.calls + held.transactions) + 2 * held.requests
                    {
                        return Err(format!("more is held than may be: {held:?}"));
                    }
                    return Ok(at);
                }
            }
        }
    }

    /// The only ways that a call may take: offered; cancelled, or accepted; talking; over.
    fn happens(&mut self, event: Event) -> Found {
        let (call, from, to) = match &event {
            Event::Counted(_) | Event::Answer { .. } => return Ok(()),
            Event::Reason { call, .. } | Event::Digit { call, .. } | Event::Early { call, .. } => {
                let alive = self.calls.get(call).is_some_and(|(_, stage)| *stage != Stage::Over);
                return if alive {
                    Ok(())
                } else {
                    Err(format!("{event:?} of a call that is over"))
                };
            }
            Event::IncomingCall(incoming) => {
                let caller: usize = incoming.call_id.trim_start_matches("life-").parse().unwrap();
                let plan = &self.callers[caller].plan;
                if plan.verdict == Verdict::Announce && !incoming.reliable {
                    // It cannot hear anything before the answer.
                } else if plan.verdict != Verdict::Never {
                    self.wishes.push((self.now + plan.thinks, Wish::Decide(incoming.call)));
                }
                return match self.calls.insert(incoming.call, (caller, Stage::Offered)) {
                    None => Ok(()),
                    Some(_) => Err("a handle was used twice".to_owned()),
                };
            }
            Event::Answered { call, .. } => (*call, Stage::Accepted, Stage::Talking),
            Event::Renegotiated { call, .. } => (*call, Stage::Talking, Stage::Talking),
            // What was accepted has its 200 once a reliable 183 is confirmed; until then it can be cancelled.
            Event::Cancelled { call } => match self.calls.get(call) {
                Some((caller, Stage::Accepted)) if self.callers[*caller].plan.extra.contains("Require: 100rel") => {
                    (*call, Stage::Accepted, Stage::Over)
                }
                _ => (*call, Stage::Offered, Stage::Over),
            },
            Event::Ended { call, answered, .. } => (*call, if *answered { Stage::Talking } else { Stage::Accepted }, Stage::Over),
        };
        // RFC 3261 §15: no BYE of ours before the ACK.
        if matches!(
            event,
            Event::Ended {
                by: EndedBy::Us,
                answered: false,
                ..
            }
        ) {
            return Err(format!("{event:?}"));
        }
        if let (Event::Ended { by: EndedBy::NoAck, .. }, Some((caller, _))) = (&event, self.calls.get(&call)) {
            self.ledger.given_up(*caller, self.now)?;
        }
        self.end_of(&event);
        match self.calls.get_mut(&call) {
            Some((_, stage)) if *stage == from => {
                *stage = to;
                Ok(())
            }
            found => Err(format!("{event:?} although the call is {found:?}")),
        }
    }

    fn end_of(&mut self, event: &Event) {
        let end = match event {
            Event::Cancelled { .. } => "cancelled".to_owned(),
            Event::Ended { by, answered, .. } => format!("{by:?}{}", if *answered || *by == EndedBy::NoAck { "" } else { " unanswered" }),
            _ => return,
        };
        *self.ends.entry(end).or_default() += 1;
    }

    fn grant(&mut self, wish: Wish) -> Found {
        let (now, at) = (self.now, self.at());
        let (call, done, to) = match wish {
            Wish::Decide(call) => {
                let plan = &self.callers[self.calls[&call].0].plan;
                let (verdict, after) = (plan.verdict, plan.hang_up);
                let (done, to) = match verdict {
                    Verdict::Accept => (self.endpoint.accept(call, ([192, 0, 2, 10], 40_000).into(), at), Stage::Accepted),
                    Verdict::Announce => (self.endpoint.announce(call, ([192, 0, 2, 10], 40_000).into(), at), Stage::Offered),
                    Verdict::Reject(status) => (self.endpoint.reject(call, status, None, at), Stage::Over),
                    Verdict::HangUp | Verdict::Never => (self.endpoint.hangup(call, at), Stage::Over),
                };
                if done.is_ok() && matches!(verdict, Verdict::Accept | Verdict::Announce) {
                    self.wishes.extend(after.map(|after| (now + after, Wish::HangUp(call))));
                }
                (call, done, to)
            }
            Wish::HangUp(call) => {
                let done = self.endpoint.hangup(call, at);
                let stage = self.calls[&call].1;
                (call, done, stage)
            }
        };
        let stage = self.calls[&call].1;
        match (done, stage) {
            (Ok(()), Stage::Over) => return Err("a call that is over was decided on".to_owned()),
            (Ok(()), _) => {
                if to == Stage::Over {
                    *self.ends.entry("refused".to_owned()).or_default() += 1;
                }
                self.calls.insert(call, (self.calls[&call].0, to));
            }
            (Err(Gone), Stage::Over) => {}
            (Err(Gone), _) => return Err(format!("{wish:?}: gone, although nobody was told; it is {stage:?}")),
        }
        self.drain().map(|_| ())
    }

    /// After the end of time.
    fn judge(&self, weather: Weather) -> Found {
        let held = self.endpoint.held();
        if !self.endpoint.is_idle() || held != Default::default() {
            return Err(format!("something is left over: {held:?}"));
        }
        if let Some((call, (caller, stage))) = self.calls.iter().find(|(_, (_, stage))| *stage != Stage::Over) {
            return Err(format!("{call:?} of caller {caller} never ended: {stage:?}"));
        }
        let silent = self.ledger.unanswered();
        if !silent.is_empty() {
            return Err(format!("never answered: {silent:?}"));
        }
        let quiet = self.ledger.too_quiet();
        if !quiet.is_empty() {
            return Err(format!("said too seldom: {quiet:#?}"));
        }
        if let Some(caller) = self.callers.iter().find(|caller| !caller.wrong.is_empty()) {
            return Err(format!("an answer that may not be: {:#?}", caller.wrong));
        }
        let unheard = self.callers.iter().find(|caller| !caller.unanswered.is_empty());
        match unheard {
            Some(caller) if weather.loss == 0 => Err(format!("unanswered without any loss: {:#?}", caller.unanswered)),
            _ => Ok(()),
        }
    }
}

fn live(seed: u64) -> Result<BTreeMap<String, usize>, String> {
    let (mut world, weather) = World::new(seed);
    let played = world.play().and_then(|()| world.judge(weather));
    played
        .map(|()| world.ends)
        .map_err(|found| format!("VOXEA_LIVES_SEED={seed}, {weather:?}, after {:?}: {found}", world.now))
}

#[test]
fn random_lives_over_a_bad_network_end_legally_with_nothing_left_over() {
    let number = |name: &str| std::env::var(name).ok().map(|text| text.parse::<u64>().unwrap());
    if let Some(seed) = number("VOXEA_LIVES_SEED") {
        live(seed).unwrap_or_else(|found| panic!("{found}"));
        return;
    }
    let worlds = number("VOXEA_LIVES").unwrap_or(LIVES as u64).div_ceil(TOGETHER as u64);
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) as u64;
    let sums: Vec<Result<BTreeMap<String, usize>, String>> = std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|first| scope.spawn(move || (first..worlds).step_by(threads as usize).map(live).collect::<Vec<_>>()))
            .collect();
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut ends: BTreeMap<String, usize> = BTreeMap::new();
    let mut found = Vec::new();
    for sum in sums {
        match sum {
            Ok(sum) => sum.into_iter().for_each(|(end, count)| *ends.entry(end).or_default() += count),
            Err(problem) => found.push(problem),
        }
    }
    assert!(
        found.is_empty(),
        "{} of {worlds} worlds: {}",
        found.len(),
        found[..found.len().min(3)].join("\n\n")
    );
    println!("{} lives ended as {ends:?}", worlds * TOGETHER as u64);
    // A life that never happens proves nothing.
    for end in [
        "Caller",
        "Caller unanswered",
        "Us",
        "NoAck",
        "NoMedia unanswered",
        "Expired",
        "cancelled",
        "refused",
    ] {
        assert!(
            ends.get(end).is_some_and(|count| *count > 0) || worlds < 100,
            "no call ended as {end}: {ends:?}"
        );
    }
}
