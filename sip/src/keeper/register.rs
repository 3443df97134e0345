//! What a registrar answers (RFC 3261 §10.2.4, §10.2.8).

use std::time::{Duration, Instant};

use super::Keeper;
use super::errand::Task;
use super::status::{State, Status};
use crate::auth::LoginError;
use crate::wire::Response;
use crate::wire::addr::NameAddr;
use crate::wire::list;

/// Who was refused asks again this slowly: somebody must change something first.
const SLOW: Duration = Duration::from_secs(300);
/// First pause after a failure, doubled with each further one, up to the longest.
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(120);
/// The longest pause that a peer may ask for.
const RETRY_AFTER: Duration = Duration::from_secs(3_600);
/// The longest registration that a peer may ask for, in seconds.
pub(super) const MAX_EXPIRES: u32 = 86_400;

impl Keeper {
    pub(super) fn register_answered(&mut self, response: &Response, now: Instant) {
        match response.status {
            200..=299 => self.registered(response, now),
            401 | 407 => match self.proves(Task::Register, response) {
                Ok(true) => self.send(Task::Register, now),
                Ok(false) => self.refused(format!("refuses our user or password ({})", response.status), now),
                Err(error) => self.refused(format!("{error} ({})", response.status), now),
            },
            423 => {
                let least = number(response.headers.get("Min-Expires"));
                match least.filter(|least| *least > self.expires && *least <= MAX_EXPIRES) {
                    Some(least) if !self.register.raised => {
                        self.expires = least;
                        self.register.raised = true;
                        self.send(Task::Register, now);
                    }
                    _ => self.refused("finds register_seconds too short (423)".to_owned(), now),
                }
            }
            status @ (408 | 480 | 500..=599) => {
                let after = number(response.headers.get("Retry-After")).map(|seconds| Duration::from_secs(seconds.into()));
                let words = format!("answers REGISTER with {status}");
                if matches!(status, 408 | 503) {
                    return self.failed(Task::Register, words, after.map(|after| after.min(RETRY_AFTER)), now);
                }
                if !self.status.is_registered(now) {
                    self.there = State::Retrying;
                }
                self.heard(now);
                self.status.last_error = Some(words);
                let pause = after.map_or_else(|| self.backed_off(), |after| after.min(RETRY_AFTER));
                self.later(pause, now);
            }
            status => self.refused(format!("refuses to register us ({status})"), now),
        }
    }

    /// A 2xx: for how long is the registrar's to say.
    fn registered(&mut self, response: &Response, now: Instant) {
        if self.closing {
            return self.register.rest(None);
        }
        let Some(flow) = self.flow else { return };
        let contacts: Vec<NameAddr> = response.headers.elements("Contact").filter_map(NameAddr::parse).collect();
        let ours = contacts.iter().find(|contact| self.is_ours(contact, flow));
        let said = ours.and_then(|contact| number(list::param(&contact.params, "expires")));
        let expires = said.or_else(|| number(response.headers.get("Expires"))).unwrap_or(self.expires);
        // A registrar that lists nobody at all is believed; one that lists others keeps no binding of ours.
        if expires == 0 || (ours.is_none() && !contacts.is_empty()) {
            return self.refused("says 200 and keeps no registration of ours".to_owned(), now);
        }
        let life = Duration::from_secs(expires.min(MAX_EXPIRES).into());
        self.refused = 0;
        self.there = State::Up;
        self.heard(now);
        self.status.registered_until = Some(now + life);
        // 70 to 90 %: an answer that is lost leaves time for another.
        let pause = self.about(life * 4 / 5, 12);
        self.register.rest(Some(now + pause));
    }

    /// Somebody must change something before it can work: visible, and slowly tried again.
    fn refused(&mut self, words: String, now: Instant) {
        self.there = State::Halted;
        self.heard(now);
        self.status.last_error = Some(words);
        self.status.registered_until = None;
        self.later(SLOW, now);
    }

    fn later(&mut self, pause: Duration, now: Instant) {
        let pause = self.about(pause, 10);
        self.register.rest((!self.closing).then(|| now + pause));
    }

    /// The pause after one more failure.
    pub(super) fn backed_off(&mut self) -> Duration {
        let pause = FIRST * 2_u32.saturating_pow(self.refused.min(10));
        self.refused += 1;
        pause.min(LONGEST)
    }

    /// Whether a challenge can be answered in this attempt: once, and once more when only the nonce was old.
    pub(super) fn proves(&mut self, task: Task, response: &Response) -> Result<bool, LoginError> {
        let Some(login) = self.settings.login.as_mut() else {
            return Err(LoginError::Unknown);
        };
        let stale = login.challenged(response)?;
        let errand = self.errand_mut(task);
        let may = errand.proofs == 0 || (stale && errand.proofs == 1);
        errand.proofs += 1;
        Ok(may)
    }
}

impl Status {
    /// Whether we are registered at this moment.
    #[must_use]
    pub fn is_registered(&self, now: Instant) -> bool {
        self.registered_until.is_some_and(|until| until > now)
    }
}

/// A number of seconds, as `Expires: 300` and `Retry-After: 5 (busy);duration=60` write it. More than fits is the most.
fn number(value: Option<&str>) -> Option<u32> {
    let digits = value?.trim().split(|c: char| !c.is_ascii_digit()).next()?;
    (!digits.is_empty()).then(|| digits.parse().unwrap_or(u32::MAX))
}
