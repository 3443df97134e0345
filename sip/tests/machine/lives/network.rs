//! A bad network between the callers and the endpoint, and a ledger of what it carried.
//!
//! Datagrams are lost, doubled, delayed and so reordered; a stream keeps its order and loses nothing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::time::Duration;

use super::caller::{field, method_of};
use super::chance::Chance;

/// How long an answer is remembered at least (RFC 3261 §17.2: timers H, J and L).
const REMEMBERED: Duration = Duration::from_secs(32);

/// How often an answer goes out in this time when nobody confirms it: after 0, 0.5, 1.5, 3.5, 7.5 s, then every 4 s.
const REPEATED: u32 = 11;

/// How bad it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// Of a hundred datagrams.
    pub(crate) loss: u64,
    pub(crate) doubled: u64,
    /// Milliseconds at most; one in ten takes ten times as long.
    pub(crate) delay: u64,
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum To {
    Endpoint { caller: usize },
    Caller { caller: usize },
}

pub(crate) struct Network {
    weather: Weather,
    chance: Chance,
    under_way: BinaryHeap<Reverse<(Duration, u64, To)>>,
    messages: HashMap<u64, String>,
    number: u64,
    /// When the last octet of each stream arrives.
    streams: BTreeMap<To, Duration>,
}

impl Network {
    pub(crate) fn new(weather: Weather, chance: Chance) -> Self {
        Self {
            weather,
            chance,
            under_way: BinaryHeap::new(),
            messages: HashMap::new(),
            number: 0,
            streams: BTreeMap::new(),
        }
    }

    pub(crate) fn send(&mut self, to: To, stream: bool, text: &str, now: Duration) {
        if stream {
            let last = self.streams.get(&to).copied().unwrap_or_default();
            let at = (now + self.chance.millis(self.weather.delay)).max(last);
            self.streams.insert(to, at);
            return self.carry(to, text, at);
        }
        for copy in 0..2 {
            if copy == 1 && !self.chance.percent(self.weather.doubled) || self.chance.percent(self.weather.loss) {
                continue;
            }
            let worst = if self.chance.percent(10) {
                self.weather.delay * 10
            } else {
                self.weather.delay
            };
            let at = now + self.chance.millis(worst);
            self.carry(to, text, at);
        }
    }

    fn carry(&mut self, to: To, text: &str, at: Duration) {
        self.number += 1;
        self.messages.insert(self.number, text.to_owned());
        self.under_way.push(Reverse((at, self.number, to)));
    }

    pub(crate) fn next(&self) -> Option<Duration> {
        self.under_way.peek().map(|Reverse((at, _, _))| *at)
    }

    pub(crate) fn arrived(&mut self, now: Duration) -> Option<(To, String)> {
        if self.next()? > now {
            return None;
        }
        let Reverse((_, number, to)) = self.under_way.pop()?;
        Some((to, self.messages.remove(&number)?))
    }
}

/// A final answer.
struct Answer {
    at: Duration,
    text: String,
    /// How often it was sent.
    times: u32,
}

/// What the endpoint was asked, and what it answered: never nothing, and never two things.
#[derive(Default)]
pub(crate) struct Ledger {
    requests: HashMap<(String, String), Option<Answer>>,
    /// Branches of ACKs.
    confirmed: HashSet<String>,
    /// CSeq and branch of our own requests by Call-ID and From: numbers only rise.
    numbers: HashMap<(String, String), Vec<(u32, String)>>,
}

impl Ledger {
    pub(crate) fn asked(&mut self, text: &str) {
        let method = method_of(text);
        if text.starts_with("ACK") {
            self.confirmed.insert(branch(text));
        } else if !text.starts_with("SIP/2.0") {
            self.requests.entry((branch(text), method)).or_default();
        }
    }

    /// What the endpoint sends.
    pub(crate) fn said(&mut self, text: &str, now: Duration) -> Result<(), String> {
        let Some(line) = text.strip_prefix("SIP/2.0 ") else {
            return self.asks(text);
        };
        let key = (branch(text), method_of(text));
        let Some(answered) = self.requests.get_mut(&key) else {
            return Err(format!("an answer to nothing:\n{text}"));
        };
        // From no state a 503 is given before any work: what comes after it is another story.
        let stateless = answered.as_ref().is_some_and(|first| first.text.starts_with("SIP/2.0 503 "));
        match answered {
            // RFC 3261 §17.2.1.
            Some(_) if line.starts_with('1') && !stateless => Err(format!("a provisional answer after the final one:\n{text}")),
            _ if line.starts_with('1') => Ok(()),
            Some(first) if now < first.at + REMEMBERED && first.text != text && !stateless => {
                Err(format!("two final answers:\n{}\n{text}", first.text))
            }
            Some(first) => {
                first.times += 1;
                Ok(())
            }
            None => {
                *answered = Some(Answer {
                    at: now,
                    text: text.to_owned(),
                    times: 1,
                });
                Ok(())
            }
        }
    }

    /// A call was given up for want of an ACK: its 2xx was out for 32 s, and was sent as often as RFC 3261 §13.3.1.4 says.
    pub(crate) fn given_up(&self, caller: usize, now: Duration) -> Result<(), String> {
        let of_call = |answer: &&Answer| field(&answer.text, "Call-ID") == format!("life-{caller}");
        let mut sent = self.requests.values().flatten().filter(of_call);
        match sent.any(|answer| answer.text.starts_with("SIP/2.0 200 ") && answer.at + REMEMBERED == now && answer.times == REPEATED) {
            true => Ok(()),
            false => Err(format!(
                "the call of caller {caller} was given up too early, too late, or without repetition"
            )),
        }
    }

    /// Refusals of INVITEs that no ACK confirmed, and that were not repeated as RFC 3261 §17.2.1 says.
    pub(crate) fn too_quiet(&self) -> Vec<&str> {
        let refusal = |text: &str| {
            text.contains("/UDP ")
                && text.contains(" INVITE\r\n")
                && !["200", "503"].iter().any(|ok| text.starts_with(&format!("SIP/2.0 {ok} ")))
        };
        let quiet = self.requests.iter().filter_map(|((branch, _), answer)| {
            let answer = answer.as_ref()?;
            (refusal(&answer.text) && !self.confirmed.contains(branch) && answer.times < REPEATED).then_some(answer.text.as_str())
        });
        quiet.collect()
    }

    fn asks(&mut self, text: &str) -> Result<(), String> {
        if text.starts_with("ACK") {
            return Ok(());
        }
        let (number, branch) = (cseq(text), branch(text));
        let key = (field(text, "Call-ID").to_owned(), field(text, "From").to_owned());
        let seen = self.numbers.entry(key).or_default();
        // A repetition of its own transaction may come after a later request.
        if seen.iter().any(|(_, known)| *known == branch) {
            return Ok(());
        }
        let rises = seen.last().is_none_or(|(last, _)| number > *last);
        seen.push((number, branch));
        if rises {
            Ok(())
        } else {
            Err(format!("a CSeq that does not rise:\n{text}"))
        }
    }

    /// Requests that arrived and were never answered.
    pub(crate) fn unanswered(&self) -> Vec<&(String, String)> {
        self.requests
            .iter()
            .filter(|(_, answer)| answer.is_none())
            .map(|(key, _)| key)
            .collect()
    }
}

pub(crate) fn branch(text: &str) -> String {
    let via = field(text, "Via");
    via.split("branch=")
        .nth(1)
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default()
        .to_owned()
}

pub(crate) fn cseq(text: &str) -> u32 {
    field(text, "CSeq")
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}
