//! From leased replies to their settlement.
//!
//! A reply becomes one PDU or several. Of the texts to one number only one is in flight, so that a refusal that will pass
//! does not let a later one overtake; the segments of one text go together. What cannot go at once waits here, but no
//! longer than a lease lasts, and is handed back.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use voxea_core::base::time::{self, Millis};
use voxea_core::outbox::{Ask, Joined, Outbound, PartEnd, Settlement};
use voxea_rules::sms::{Letters, Policy};

use super::asking::Asking;
use crate::config::Config;
use crate::content::DefaultAlphabet;
use crate::held::{Question, Told};
use crate::outgoing::{Joining, Text, replacement, submissions};
use crate::pdu::{self, Address};
use crate::sending::Sending;
use crate::session::{Handle, Session, SubmitError};
use crate::status::{self, Meaning};
use crate::submit::Submission;
use crate::validity;

/// What was leased and could not be sent for so long is handed back; well below what a lease lasts.
const WAIT: Duration = Duration::from_secs(15);
/// Before the second try of a text that an SMSC in trouble refused; twice as long before each further one, up to the last.
const AGAIN: (Millis, Millis) = (2_000, 300_000);

/// Of so many whose response did not come in time a late one is heard.
const LATE: usize = 1024;

/// The replies in hand, by the order of their leases.
type Key = u64;

/// What becomes one PDU.
enum Unsent {
    /// A text for the SMSC to take.
    Text(Submission),
    /// One in the place of a text that it has.
    InPlace(Question),
}

/// PDUs in their order; with the number of the segment when there are several.
type Unsents = VecDeque<(Option<u8>, Unsent)>;

/// A reply in hand.
struct Job {
    reply: Outbound,
    unsent: Unsents,
    in_flight: usize,
    since: Instant,
    /// How it is to be settled when nothing of it is in flight any more; nothing more of it is sent then.
    end: Option<Settlement>,
}

/// Texts of ours on one link.
pub(super) struct Outgoing {
    number: Address,
    alphabet: DefaultAlphabet,
    sending: Sending,
    jobs: BTreeMap<Key, Job>,
    next: Key,
    /// Those with something unsent, in order.
    waiting: VecDeque<Key>,
    /// Whose text is in flight, by number.
    busy: HashMap<String, Key>,
    under_way: HashMap<Handle, (Key, Option<u8>)>,
    /// Given up on this link: reply, and of several segments which.
    late: BTreeMap<Handle, (String, Option<u8>)>,
    asking: Asking,
    settlements: Vec<(String, Settlement)>,
}

impl Outgoing {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            number: config.number.clone(),
            alphabet: config.default_alphabet,
            sending: config.sending.clone(),
            jobs: BTreeMap::new(),
            next: 0,
            waiting: VecDeque::new(),
            busy: HashMap::new(),
            under_way: HashMap::new(),
            late: BTreeMap::new(),
            asking: Asking::new(config.number.clone()),
            settlements: Vec::new(),
        }
    }

    /// When something can be sent, or is to be handed back, that waits now.
    pub(super) fn wakes_at(&self, now: Instant) -> Option<Instant> {
        let tired = self.waiting.front().and_then(|key| self.jobs.get(key)).map(|job| job.since + WAIT);
        [self.sending.ready_at(now), tired.filter(|at| *at > now)]
            .into_iter()
            .flatten()
            .min()
    }

    /// How many more replies may be leased.
    pub(super) fn room(&self, session: &Session, now: Instant) -> usize {
        let unsent: usize = self
            .waiting
            .iter()
            .filter_map(|key| self.jobs.get(key))
            .map(|job| job.unsent.len())
            .sum();
        self.sending.pace().allowed(session.room().saturating_sub(unsent), now)
    }

    /// What is to be settled; what fails to be is given back by [`Outgoing::unsettled`].
    pub(super) fn settlements(&mut self) -> Vec<(String, Settlement)> {
        std::mem::take(&mut self.settlements)
    }

    pub(super) fn has_settlements(&self) -> bool {
        !self.settlements.is_empty()
    }

    pub(super) fn unsettled(&mut self, mut settlements: Vec<(String, Settlement)>) {
        settlements.append(&mut self.settlements);
        self.settlements = settlements;
    }

    /// Hands replies back as they were leased.
    pub(super) fn give_back(&mut self, leased: Vec<Outbound>) {
        self.settlements
            .extend(leased.into_iter().map(|reply| (reply.reply_id, Settlement::Return)));
    }

    /// Takes a leased reply in hand. [`Outgoing::pump`] sends it.
    pub(super) fn send(&mut self, reply: Outbound, now: Instant) {
        let Some(reply) = self.asking.take(reply) else { return };
        match self.unsents(&reply) {
            Ok(unsent) => {
                let key = self.next;
                self.next += 1;
                self.waiting.push_back(key);
                let job = Job {
                    reply,
                    unsent,
                    in_flight: 0,
                    since: now,
                    end: None,
                };
                self.jobs.insert(key, job);
            }
            Err(reason) => {
                let reason = reason.to_owned();
                self.settlements.push((reply.reply_id, Settlement::Rejected { reason }));
            }
        }
    }

    /// Sends what may go now.
    pub(super) fn pump(&mut self, session: &mut Session, now: Instant) {
        self.asking.pump(session, now, &mut self.settlements);
        for _ in 0..self.waiting.len() {
            let Some(key) = self.waiting.pop_front() else { return };
            self.push(key, session, now);
        }
    }

    /// Hands back whatever has not been sent: no more is sent on this link.
    pub(super) fn give_up(&mut self) {
        self.asking.give_up();
        for key in std::mem::take(&mut self.waiting) {
            self.stop(key, Settlement::Return);
        }
    }

    fn push(&mut self, key: Key, session: &mut Session, now: Instant) {
        if self.sending.pace().paused_until(now).is_some() {
            return self.stop(key, Settlement::Return);
        }
        loop {
            let Some(job) = self.jobs.get_mut(&key) else { return };
            if job.end.is_some() || job.unsent.is_empty() {
                return self.close(key);
            }
            let others = self.busy.get(&job.reply.to).is_some_and(|holder| *holder != key);
            // One look at the pace, so that two binds do not take the same token.
            let mut pace = self.sending.pace();
            let may = !others && session.room() > 0 && pace.allowed(1, now) == 1;
            if !may {
                drop(pace);
                return match now.saturating_duration_since(job.since) < WAIT {
                    true => self.waiting.push_back(key),
                    false => self.stop(key, Settlement::Return),
                };
            }
            let Some((number, unsent)) = job.unsent.pop_front() else {
                return;
            };
            let sent = match &unsent {
                Unsent::Text(submission) => session.submit(submission, now),
                Unsent::InPlace(question) => session.ask(question, now),
            };
            match sent {
                Ok(handle) => {
                    pace.take(now);
                    job.in_flight += 1;
                    self.busy.insert(job.reply.to.clone(), key);
                    self.under_way.insert(handle, (key, number));
                }
                Err(SubmitError::NotBound | SubmitError::WindowFull) => {
                    drop(pace);
                    return self.stop(key, Settlement::Return);
                }
                Err(SubmitError::Unwritable(error)) => {
                    drop(pace);
                    let reason = error.to_string();
                    return self.stop(key, Settlement::Rejected { reason });
                }
            }
        }
    }

    /// The SMSC answered.
    pub(super) fn answered(&mut self, handle: Handle, code: u32, message_id: Option<String>, now: Instant) -> &'static str {
        let Some((key, number)) = self.under_way.remove(&handle) else {
            if let Some(late) = self.late.remove(&handle) {
                return self.answered_late(late, code, message_id);
            }
            let asked = self.asking.answered(handle, code, &mut self.settlements);
            return asked.unwrap_or("responses_odd");
        };
        let Some(job) = self.jobs.get_mut(&key) else {
            return "responses_odd";
        };
        job.in_flight -= 1;
        if code == pdu::status::OK {
            self.sending.pace().eased();
            // What is replaced keeps its id.
            let (native_id, event) = match &job.reply.ask {
                Ask::Replace { native_id, .. } => (Some(native_id.clone()), "texts_replaced"),
                _ => (message_id, "texts_out"),
            };
            let settlement = match number {
                None => Settlement::Submitted {
                    native_id,
                    last_word: false,
                },
                Some(number) => Settlement::Part {
                    number,
                    end: PartEnd::Submitted { native_id },
                },
            };
            self.settlements.push((job.reply.reply_id.clone(), settlement));
            self.close(key);
            return event;
        }
        let reason = status::name(code);
        let (settlement, event) = match self.sending.meaning(code) {
            Meaning::Throttled => {
                let until = self.sending.pace().throttled(now);
                let at = time::now() + i64::try_from((until - now).as_millis()).unwrap_or(0);
                (Settlement::Retry { at, reason }, "texts_throttled")
            }
            Meaning::Passing => {
                let at = time::now() + again(job.reply.attempts);
                (Settlement::Retry { at, reason }, "texts_put_off")
            }
            Meaning::Final => {
                let reason = match job.reply.ask {
                    Ask::Replace { .. } => format!("the earlier text was not replaced: {reason}"),
                    _ => reason,
                };
                (Settlement::Rejected { reason }, "texts_rejected")
            }
        };
        self.stop(key, settlement);
        event
    }

    /// The SMSC answered what was given up: what it took has an id after all, and what it refused was not sent.
    fn answered_late(&mut self, (reply_id, number): (String, Option<u8>), code: u32, native_id: Option<String>) -> &'static str {
        let reason = format!("{}, which came late", status::name(code));
        let settlement = match (number, code == pdu::status::OK) {
            (None, true) => Settlement::Submitted {
                native_id,
                last_word: false,
            },
            (None, false) => Settlement::Rejected { reason },
            (Some(number), true) => Settlement::Part {
                number,
                end: PartEnd::Submitted { native_id },
            },
            (Some(number), false) => Settlement::Part {
                number,
                end: PartEnd::Rejected { reason },
            },
        };
        self.settlements.push((reply_id, settlement));
        "responses_late"
    }

    /// The SMSC said what became of a text.
    pub(super) fn told(&mut self, handle: Handle, told: Told) -> &'static str {
        if let Some(event) = self.asking.told(handle, told, &mut self.settlements) {
            return event;
        }
        // An answer to another question is none.
        self.unanswered(handle);
        "responses_odd"
    }

    /// Nobody knows what became of it.
    pub(super) fn unanswered(&mut self, handle: Handle) {
        let Some((key, number)) = self.under_way.remove(&handle) else {
            return self.asking.unanswered(handle, &mut self.settlements);
        };
        let Some(job) = self.jobs.get_mut(&key) else { return };
        job.in_flight -= 1;
        let reason = match job.reply.ask {
            Ask::Replace { .. } => "the SMSC did not answer; nobody knows whether this text or the one it was to replace is read",
            _ => "the SMSC did not answer; it may have been sent",
        }
        .to_owned();
        let settlement = match number {
            None => Settlement::Unknown { reason },
            Some(number) => Settlement::Part {
                number,
                end: PartEnd::Unknown { reason },
            },
        };
        if matches!(job.reply.ask, Ask::Send) {
            self.late.insert(handle, (job.reply.reply_id.clone(), number));
            // The oldest is the least likely to be heard of, and the session has forgotten it too.
            if self.late.len() > LATE {
                self.late.pop_first();
            }
        }
        self.settlements.push((job.reply.reply_id.clone(), settlement));
        self.close(key);
    }

    /// Nothing more of it is sent; `end` settles it once nothing is in flight. A refusal for good outweighs what was
    /// decided before.
    fn stop(&mut self, key: Key, end: Settlement) {
        let Some(job) = self.jobs.get_mut(&key) else { return };
        job.unsent.clear();
        let is_final = matches!(end, Settlement::Rejected { .. });
        if job.end.is_none() || is_final && !matches!(job.end, Some(Settlement::Rejected { .. })) {
            job.end = Some(end);
        }
        self.close(key);
    }

    /// Lets a reply go of which nothing is unsent and nothing in flight.
    fn close(&mut self, key: Key) {
        let over = self.jobs.get(&key).is_some_and(|job| job.unsent.is_empty() && job.in_flight == 0);
        if !over {
            return;
        }
        let Some(job) = self.jobs.remove(&key) else { return };
        if self.busy.get(&job.reply.to) == Some(&key) {
            self.busy.remove(&job.reply.to);
        }
        // Those behind it must not go before it comes again.
        if matches!(job.end, Some(Settlement::Retry { .. } | Settlement::Return)) {
            self.hold_behind(&job.reply.to);
        }
        if let Some(end) = job.end {
            self.settlements.push((job.reply.reply_id, end));
        }
    }

    fn hold_behind(&mut self, to: &str) {
        let jobs = &self.jobs;
        let behind = |key: &Key| jobs.get(key).is_some_and(|job| job.reply.to == to);
        let behind: Vec<Key> = self.waiting.iter().copied().filter(behind).collect();
        self.waiting.retain(|key| !behind.contains(key));
        for key in behind {
            if let Some(job) = self.jobs.remove(&key) {
                self.settlements.push((job.reply.reply_id, Settlement::Return));
            }
        }
    }

    fn unsents(&self, reply: &Outbound) -> Result<Unsents, &'static str> {
        let now = time::now();
        let validity = self.sending.validity.map(|form| validity::period(form, reply.expires_at, now));
        let text = |policy, joined, reference| Text {
            source: &self.number,
            to: &reply.to,
            text: &reply.text,
            policy,
            joining: if joined == Joined::Sar {
                Joining::Parameters
            } else {
                Joining::Header
            },
            reference,
            alphabet: self.alphabet,
            priority: reply.priority,
            validity: validity.as_deref().unwrap_or_default(),
        };
        let Some(split) = &reply.split else {
            let texting = &self.sending.texting;
            let whole = text(texting.policy(false), texting.joined, 0);
            if let Ask::Replace { native_id, text } = &reply.ask {
                let question = Question::Replace(replacement(&whole, native_id, text)?);
                return Ok([(None, Unsent::InPlace(question))].into());
            }
            let whole = submissions(&whole)?;
            return Ok(whole.into_iter().map(|submission| (None, Unsent::Text(submission))).collect());
        };
        // It was made ready when it was queued, whatever the configuration says by now.
        let policy = Policy {
            letters: Letters::Keep,
            most_segments: split.total,
            width: split.joined.width(),
            ..Policy::default()
        };
        let all = submissions(&text(policy, split.joined, split.reference))?;
        if all.len() != usize::from(split.total) {
            return Err("what is stored of it does not make its segments");
        }
        let numbered = (1..=split.total).zip(all).filter(|(number, _)| split.left.contains(number));
        Ok(numbered
            .map(|(number, submission)| (Some(number), Unsent::Text(submission)))
            .collect())
    }
}

/// How long a text waits that was tried so often.
fn again(attempts: i64) -> Millis {
    let doublings = u32::try_from(attempts - 1).unwrap_or(0).min(20);
    AGAIN.0.saturating_mul(1 << doublings).min(AGAIN.1)
}

#[cfg(test)]
#[path = "outbound_tests.rs"]
mod tests;
