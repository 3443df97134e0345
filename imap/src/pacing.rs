//! How fast mails go to the domains of recipients, each for itself: a provider that is slow, or asks to be left alone, holds up
//! no mail to another.
//!
//! No clock: `now` is an argument.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use voxea_rules::mail_domain;

/// The window in which mails are counted.
const MINUTE: Duration = Duration::from_secs(60);
/// How long a domain is left alone after it said "later", doubled each time up to the longest.
const PAUSE: Duration = Duration::from_secs(30);
const LONGEST_PAUSE: Duration = Duration::from_secs(30 * 60);
/// Domains that are remembered; beyond that, those of which nothing is going on are forgotten.
const DOMAINS: usize = 10_000;
/// Turns that are given away in advance for one domain.
const PROMISES: usize = 10_000;

/// What a domain is spared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Mails at the same time.
    pub at_once: usize,
    /// Mails within any minute.
    pub per_minute: usize,
}

/// Whether a mail may go to a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It is on its way, and [`Pacing::done`] is owed.
    Go,
    /// When one of those that are under way is done.
    Busy,
    /// After so long.
    Wait(Duration),
}

/// What became of a mail, for its domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It was taken, or refused for itself: the domain works.
    Heard,
    /// The domain is to be left alone.
    Later,
    /// It never got there.
    Nothing,
}

/// The domains.
#[derive(Debug)]
pub struct Pacing {
    limits: Limits,
    domains: HashMap<String, Domain>,
}

#[derive(Debug, Default)]
struct Domain {
    under_way: usize,
    /// When mails went, those of the last minute.
    gone: VecDeque<Instant>,
    /// When mails that were told to wait come again.
    promised: VecDeque<Instant>,
    alone_until: Option<Instant>,
    refusals: u32,
}

impl Pacing {
    /// None is known yet.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            domains: HashMap::new(),
        }
    }

    /// Asks for a mail's turn. Who is told to wait and comes then finds its turn, unless others came before it.
    pub fn admit(&mut self, domain: &str, now: Instant) -> Admission {
        if self.domains.len() >= DOMAINS && !self.domains.contains_key(domain) {
            self.domains.retain(|_, domain| domain.is_busy(now));
        }
        let limits = self.limits;
        let domain = self.domains.entry(domain.to_owned()).or_default();
        domain.forget(now);
        if let Some(free) = domain.wait(limits, now) {
            if domain.promised.len() < PROMISES {
                domain.promised.push_back(free);
            }
            return Admission::Wait(free - now);
        }
        if domain.under_way >= limits.at_once {
            return Admission::Busy;
        }
        domain.under_way += 1;
        domain.gone.push_back(now);
        Admission::Go
    }

    /// Hears of a mail that was let go.
    pub fn done(&mut self, domain: &str, done: Done, now: Instant) {
        let Some(domain) = self.domains.get_mut(domain) else { return };
        domain.under_way = domain.under_way.saturating_sub(1);
        match done {
            Done::Heard => {
                domain.refusals = 0;
                domain.alone_until = None;
            }
            Done::Later => {
                // Those that were under way when the first was refused say no more than that one.
                if domain.alone_until.is_none_or(|until| until <= now) {
                    let pause = PAUSE.saturating_mul(1 << domain.refusals.min(10)).min(LONGEST_PAUSE);
                    domain.refusals += 1;
                    domain.alone_until = Some(now + pause);
                    domain.promised.clear();
                }
            }
            Done::Nothing => (),
        }
    }

    /// How many domains are left alone now.
    #[must_use]
    pub fn alone(&self, now: Instant) -> usize {
        let alone = |domain: &&Domain| domain.alone_until.is_some_and(|until| until > now);
        self.domains.values().filter(alone).count()
    }
}

impl Domain {
    fn forget(&mut self, now: Instant) {
        while self.gone.front().is_some_and(|at| now.saturating_duration_since(*at) >= MINUTE) {
            self.gone.pop_front();
        }
        while self.promised.front().is_some_and(|at| *at <= now) {
            self.promised.pop_front();
        }
    }

    /// Until when a mail must wait, behind those that were promised their turns; `None` when it need not.
    fn wait(&self, limits: Limits, now: Instant) -> Option<Instant> {
        let per_minute = limits.per_minute.max(1);
        let alone = self.alone_until.filter(|until| *until > now);
        if alone.is_none() && self.gone.len() < per_minute {
            return None;
        }
        // The turn that is a minute after the one as many places before it.
        let turn = |place: usize| self.gone.get(place).or_else(|| self.promised.get(place - self.gone.len()));
        let turn = (self.gone.len() + self.promised.len()).checked_sub(per_minute).and_then(turn);
        turn.map(|at| *at + MINUTE).max(alone)
    }

    fn is_busy(&self, now: Instant) -> bool {
        let alone = self.alone_until.is_some_and(|until| until > now);
        self.under_way > 0 || alone || self.gone.back().is_some_and(|at| now.saturating_duration_since(*at) < MINUTE)
    }
}

/// The domain of an address, in lower case; all addresses without one are of one domain.
#[must_use]
pub fn domain(address: &str) -> String {
    mail_domain::ascii(address)
        .rsplit_once('@')
        .map(|(_, domain)| domain.trim_end_matches('.').to_lowercase())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn pacing(at_once: usize, per_minute: usize) -> (Pacing, Instant) {
        (Pacing::new(Limits { at_once, per_minute }), Instant::now())
    }

    #[test]
    fn no_minute_holds_more_than_it_may() {
        let (mut pacing, start) = pacing(100, 5);
        // Forty mails, each of which comes again when it was told to, and a new one every ten seconds.
        let mut waiting: Vec<Instant> = vec![start; 40];
        let (mut gone, mut asked) = (Vec::new(), 0);
        let mut now = start;
        while now < start + 20 * MINUTE {
            if (now - start).as_secs().is_multiple_of(10) && now < start + 5 * MINUTE {
                waiting.push(now);
            }
            for due in &mut waiting {
                if *due > now {
                    continue;
                }
                asked += 1;
                match pacing.admit("example.fr", now) {
                    Admission::Go => {
                        gone.push(now);
                        pacing.done("example.fr", Done::Heard, now);
                        *due = now + 1000 * MINUTE;
                    }
                    Admission::Wait(pause) => *due = now + pause,
                    Admission::Busy => panic!("nothing is under way"),
                }
            }
            now += SECOND;
        }
        assert_eq!(gone.len(), 70, "none waits for ever");
        for window in gone.windows(6) {
            assert!(window[5] - window[0] >= MINUTE, "{:?}", window[5] - window[0]);
        }
        assert!(asked < 4 * gone.len(), "{asked} questions for {} mails", gone.len());
    }

    #[test]
    fn so_many_at_once_and_no_more() {
        let (mut pacing, now) = pacing(2, 100);
        assert_eq!(pacing.admit("a.fr", now), Admission::Go);
        assert_eq!(pacing.admit("a.fr", now), Admission::Go);
        assert_eq!(pacing.admit("a.fr", now), Admission::Busy);
        assert_eq!(pacing.admit("b.fr", now), Admission::Go, "another domain goes on");
        pacing.done("a.fr", Done::Nothing, now);
        assert_eq!(pacing.admit("a.fr", now), Admission::Go);
    }

    #[test]
    fn who_says_later_is_left_alone_for_longer_each_time() {
        let (mut pacing, mut now) = pacing(2, 100);
        for pause in [30, 60, 120, 240, 480, 960, 1800, 1800] {
            assert_eq!(pacing.admit("a.fr", now), Admission::Go);
            assert_eq!(pacing.admit("a.fr", now), Admission::Go);
            pacing.done("a.fr", Done::Later, now);
            pacing.done("a.fr", Done::Later, now);
            let pause = pause * SECOND;
            assert_eq!(pacing.admit("a.fr", now + SECOND), Admission::Wait(pause - SECOND));
            assert_eq!((pacing.admit("b.fr", now), pacing.alone(now)), (Admission::Go, 1));
            pacing.done("b.fr", Done::Heard, now);
            now += pause;
        }
        assert_eq!(pacing.admit("a.fr", now), Admission::Go);
        pacing.done("a.fr", Done::Heard, now);
        assert_eq!(pacing.admit("a.fr", now), Admission::Go);
        pacing.done("a.fr", Done::Later, now);
        assert_eq!(
            pacing.admit("a.fr", now),
            Admission::Wait(30 * SECOND),
            "one that was taken begins anew"
        );
    }

    #[test]
    fn domains_that_are_done_are_forgotten() {
        let (mut pacing, now) = pacing(2, 100);
        for n in 0..DOMAINS + 10 {
            assert_eq!(pacing.admit(&format!("{n}.fr"), now), Admission::Go);
            pacing.done(&format!("{n}.fr"), Done::Heard, now);
        }
        assert_eq!(pacing.admit("a.fr", now + MINUTE), Admission::Go);
        assert_eq!(pacing.domains.len(), 1);
        assert_eq!((domain("A@Example.FR."), domain("x")), ("example.fr".to_owned(), String::new()));
        assert_eq!(domain("a@Été.example"), domain("b@xn--t-9fab.example"));
    }
}
