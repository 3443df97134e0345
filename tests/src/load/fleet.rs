//! The fleet: calls at a rate, each INVITE, 200, ACK, BYE, 200, over one socket and on one thread.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::lines::{answer, call_of, field, request};
use super::link::Link;

/// RFC 3261 §17.1.1.1.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);
/// Timers B and F.
const GIVE_UP: Duration = Duration::from_secs(32);
/// Longest turn without a look at the clock.
const TURN: Duration = Duration::from_millis(1);

/// How its calls end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// BYE so long after the ACK.
    Bye(Duration),
    /// The BYE is lost: the caller is gone, and answers the server's BYE with 481.
    Lost,
    /// No ACK, and nothing else either.
    Unconfirmed,
}

/// What a fleet does.
#[derive(Debug, Clone, Copy)]
pub struct Order {
    /// Whom it calls.
    pub server: SocketAddr,
    /// Where it calls from.
    pub from: IpAddr,
    /// How many calls.
    pub calls: usize,
    /// Calls a second.
    pub rate: f64,
    /// How they end.
    pub ending: Ending,
    /// Of a thousand datagrams, so many are lost each way.
    pub loss: u64,
    /// By which chance.
    pub seed: u64,
    /// How long it listens after the last call began, when calls are open still.
    pub patience: Duration,
}

impl Order {
    /// Calls that end at once, without loss.
    #[must_use]
    pub fn new(server: SocketAddr, calls: usize, rate: f64) -> Self {
        Self {
            server,
            from: Ipv4Addr::LOCALHOST.into(),
            calls,
            rate,
            ending: Ending::Bye(Duration::ZERO),
            loss: 0,
            seed: 1,
            patience: Duration::from_secs(70),
        }
    }
}

/// What became of the calls.
#[derive(Debug, Default, Clone)]
pub struct Tally {
    /// Calls that were begun.
    pub placed: usize,
    /// Of these, those whose INVITE got a 200.
    pub answered: usize,
    /// Those that came to their end as ordered: the BYE answered, or the server's BYE heard.
    pub completed: usize,
    /// Refusals by status.
    pub refused: BTreeMap<u16, usize>,
    /// INVITEs and BYEs that nobody answered in 32 s.
    pub unanswered: usize,
    /// Requests that were sent again.
    pub repeated: usize,
    /// From the first INVITE to the 200, in order.
    pub setup: Vec<Duration>,
    /// From the first INVITE to the last answer.
    pub took: Duration,
    /// The latest that a call was begun after its moment: a generator that falls behind measures itself.
    pub late: Duration,
}

impl Tally {
    /// Calls that did not go as ordered.
    #[must_use]
    pub const fn failed(&self) -> usize {
        self.placed - self.completed
    }

    /// Of a hundred calls so many were answered faster, in milliseconds.
    #[must_use]
    pub fn setup_ms(&self, share: usize) -> f64 {
        let at = self.setup.len().saturating_sub(1) * share / 100;
        self.setup.get(at).copied().unwrap_or_default().as_secs_f64() * 1_000.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Inviting,
    /// 100 was heard: nothing is repeated.
    Proceeding,
    Talking,
    Leaving,
    Over,
}

struct Caller {
    stage: Stage,
    /// When its BYE is due.
    leaves: Option<Instant>,
    began: Instant,
    /// When the request under way was sent first.
    asked: Instant,
    pause: Duration,
    request: String,
    ack: String,
    tag: String,
}

struct Fleet {
    order: Order,
    link: Link,
    local: SocketAddr,
    rtp: UdpSocket,
    callers: Vec<Caller>,
    due: BinaryHeap<Reverse<(Instant, usize)>>,
    open: usize,
    tally: Tally,
}

/// Places the calls; returns when all are over, or patience is. Blocks its thread.
///
/// # Errors
/// When the socket fails.
pub fn run(order: Order) -> Result<Tally> {
    let link = Link::open(order.from, order.server, order.loss, order.seed)?;
    let local = link.local()?;
    let mut fleet = Fleet {
        link,
        local,
        // All callers hear the same: nobody listens, but the kernel refuses nothing.
        rtp: UdpSocket::bind((order.from, 0))?,
        callers: Vec::with_capacity(order.calls),
        due: BinaryHeap::new(),
        open: 0,
        tally: Tally::default(),
        order,
    };
    fleet.play()?;
    fleet.tally.setup.sort_unstable();
    Ok(fleet.tally)
}

impl Fleet {
    fn play(&mut self) -> Result<()> {
        let begun = Instant::now();
        let mut buffer = vec![0; 65_536];
        let mut last = begun;
        loop {
            let now = Instant::now();
            while self.callers.len() < self.order.calls {
                let moment = begun + Duration::from_secs_f64(self.callers.len() as f64 / self.order.rate);
                if moment > now {
                    break;
                }
                self.tally.late = self.tally.late.max(now - moment);
                self.place(now)?;
                last = now;
            }
            while let Some(&Reverse((at, number))) = self.due.peek() {
                if at > now {
                    break;
                }
                self.due.pop();
                self.alarm(number, now)?;
            }
            let placed = self.callers.len() == self.order.calls;
            if placed && (self.open == 0 || now > last + self.order.patience) {
                return Ok(());
            }
            let mut wait = Some(TURN);
            while let Some(bytes) = self.link.receive(&mut buffer, wait.take())? {
                if let Ok(text) = std::str::from_utf8(bytes)
                    && !text.is_empty()
                {
                    let now = Instant::now();
                    self.hear(text, now)?;
                    self.tally.took = now - begun;
                }
                // The next call is due, whatever else comes.
                if now.elapsed() > TURN {
                    break;
                }
            }
        }
    }

    fn text(&self, method: &str, number: usize, tag: Option<&str>) -> Result<String> {
        let rtp = self.rtp.local_addr()?.port();
        Ok(request(method, self.local, self.order.server, number, self.order.seed, tag, rtp))
    }

    fn place(&mut self, now: Instant) -> Result<()> {
        let number = self.callers.len();
        let request = self.text("INVITE", number, None)?;
        self.link.send(request.as_bytes())?;
        self.callers.push(Caller {
            leaves: None,
            stage: Stage::Inviting,
            began: now,
            asked: now,
            pause: T1,
            request,
            ack: String::new(),
            tag: String::new(),
        });
        self.due.push(Reverse((now + T1, number)));
        self.open += 1;
        self.tally.placed += 1;
        Ok(())
    }

    /// Timers A, B, E, F, and the end of the talk.
    fn alarm(&mut self, number: usize, now: Instant) -> Result<()> {
        let Some(caller) = self.callers.get_mut(number) else {
            return Ok(());
        };
        match caller.stage {
            // Other alarms than that of its BYE are of the INVITE that was answered meanwhile.
            Stage::Talking if caller.leaves.is_some_and(|at| at <= now) => return self.leave(number, now),
            Stage::Talking => return Ok(()),
            Stage::Over | Stage::Proceeding if now < caller.asked + GIVE_UP => return Ok(()),
            Stage::Over => return Ok(()),
            Stage::Inviting | Stage::Proceeding | Stage::Leaving => {}
        }
        if now >= caller.asked + GIVE_UP {
            self.tally.unanswered += 1;
            self.end(number);
            return Ok(());
        }
        caller.pause = if caller.stage == Stage::Leaving {
            (caller.pause * 2).min(T2)
        } else {
            caller.pause * 2
        };
        let next = (now + caller.pause).min(caller.asked + GIVE_UP);
        self.due.push(Reverse((next, number)));
        self.tally.repeated += 1;
        self.link.send(caller.request.as_bytes())?;
        Ok(())
    }

    fn leave(&mut self, number: usize, now: Instant) -> Result<()> {
        let tag = self.callers.get(number).map(|caller| caller.tag.clone());
        let bye = self.text("BYE", number, tag.as_deref())?;
        self.link.send(bye.as_bytes())?;
        if let Some(caller) = self.callers.get_mut(number) {
            (caller.stage, caller.asked, caller.pause, caller.request) = (Stage::Leaving, now, T1, bye);
        }
        self.due.push(Reverse((now + T1, number)));
        Ok(())
    }

    fn hear(&mut self, text: &str, now: Instant) -> Result<()> {
        let Some(number) = call_of(text, self.order.seed) else {
            return Ok(());
        };
        let Some(stage) = self.callers.get(number).map(|caller| caller.stage) else {
            return Ok(());
        };
        let status: u16 = text
            .strip_prefix("SIP/2.0 ")
            .and_then(|rest| rest.get(..3)?.parse().ok())
            .unwrap_or(0);
        let invite = field(text, "CSeq").is_some_and(|cseq| cseq.ends_with("INVITE"));
        match (status, invite) {
            (0, _) => self.serve(number, stage, text),
            (100..200, true) => {
                if let Some(caller) = self.callers.get_mut(number).filter(|caller| caller.stage == Stage::Inviting) {
                    caller.stage = Stage::Proceeding;
                    self.due.push(Reverse((caller.asked + GIVE_UP, number)));
                }
                Ok(())
            }
            (200..300, true) => self.confirm(number, stage, text, now),
            (300.., true) => self.refused(number, stage, status, text),
            (200.., false) if stage == Stage::Leaving => {
                if status == 200 {
                    self.tally.completed += 1;
                } else {
                    *self.tally.refused.entry(status).or_default() += 1;
                }
                self.end(number);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A 200, the first or once more (RFC 3261 §13.2.2.4).
    fn confirm(&mut self, number: usize, stage: Stage, text: &str, now: Instant) -> Result<()> {
        let first = matches!(stage, Stage::Inviting | Stage::Proceeding);
        if first {
            self.tally.answered += 1;
            if let Some(caller) = self.callers.get_mut(number) {
                self.tally.setup.push(now - caller.began);
                caller.stage = Stage::Over;
            }
        }
        if self.order.ending == Ending::Unconfirmed {
            if first {
                self.end(number);
            }
            return Ok(());
        }
        if first {
            let tag = field(text, "To")
                .and_then(|to| to.split("tag=").nth(1))
                .unwrap_or_default()
                .to_owned();
            let ack = self.text("ACK", number, Some(&tag))?;
            if let Some(caller) = self.callers.get_mut(number) {
                (caller.stage, caller.ack, caller.tag) = (Stage::Talking, ack, tag);
            }
        }
        if let Some(caller) = self.callers.get(number) {
            self.link.send(caller.ack.as_bytes())?;
        }
        match self.order.ending {
            Ending::Bye(talk) if first && talk.is_zero() => self.leave(number, now),
            Ending::Bye(talk) if first => {
                if let Some(caller) = self.callers.get_mut(number) {
                    caller.leaves = Some(now + talk);
                }
                self.due.push(Reverse((now + talk, number)));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn refused(&mut self, number: usize, stage: Stage, status: u16, text: &str) -> Result<()> {
        if self.order.ending != Ending::Unconfirmed {
            let tag = field(text, "To").and_then(|to| to.split("tag=").nth(1)).map(str::to_owned);
            // RFC 3261 §17.1.1.3: on the branch of the INVITE.
            let ack = self.text("ACK", number, tag.as_deref())?.replacen("-a;", "-i;", 1);
            self.link.send(ack.as_bytes())?;
        }
        if matches!(stage, Stage::Inviting | Stage::Proceeding) {
            *self.tally.refused.entry(status).or_default() += 1;
            self.end(number);
        }
        Ok(())
    }

    /// A BYE of the server.
    fn serve(&mut self, number: usize, stage: Stage, text: &str) -> Result<()> {
        match self.order.ending {
            Ending::Unconfirmed => return Ok(()),
            Ending::Lost => self.link.send(answer(text, "481 Call Does Not Exist").as_bytes())?,
            Ending::Bye(_) => self.link.send(answer(text, "200 OK").as_bytes())?,
        }
        if stage == Stage::Talking && text.starts_with("BYE ") {
            // With a BYE of ours to come it is a failure: the server ended what was not over.
            if self.order.ending == Ending::Lost {
                self.tally.completed += 1;
            }
            self.end(number);
        }
        Ok(())
    }

    fn end(&mut self, number: usize) {
        if let Some(caller) = self.callers.get_mut(number) {
            caller.stage = Stage::Over;
            caller.request = String::new();
            self.open = self.open.saturating_sub(1);
        }
    }
}
