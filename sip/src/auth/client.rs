//! The client's side: what a challenge is answered with (RFC 3261 §22.2, §22.3).

use super::{Algorithm, Allowed, Credentials, Fields, Terms, quote};
use crate::wire::Response;

/// Challenges of one answer that are looked at.
const MAX_CHALLENGES: usize = 8;

/// Why a challenge cannot be answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// There is no challenge that we understand.
    #[error("asks for a proof that is not understood; digest with qop auth is")]
    Unknown,
    /// There is one, but it is weaker than we allow.
    #[error("knows no digest but MD5; where the way to it is safe enough for that: md5 = true")]
    Weak,
}

/// One challenge.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Challenge {
    /// The field that its answer stands in.
    field: &'static str,
    algorithm: Algorithm,
    /// Whether it named its algorithm; an answer repeats what was said.
    named: bool,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    /// Whether `auth` is among its `qop`; without any it is one of RFC 2069.
    counts: bool,
    stale: bool,
}

/// Our account at a peer, with the challenge that it gave last: later requests answer it at once.
#[derive(Debug, Clone)]
pub struct Login {
    credentials: Credentials,
    allowed: Allowed,
    challenge: Option<Challenge>,
    count: u32,
}

impl Login {
    /// An account that was not challenged yet.
    #[must_use]
    pub const fn new(credentials: Credentials, allowed: Allowed) -> Self {
        Self {
            credentials,
            allowed,
            challenge: None,
            count: 0,
        }
    }

    /// The name of the account.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.credentials.user
    }

    /// Takes the strongest challenge of a 401 or 407. Says whether it means that the credentials were right and only the
    /// nonce was old.
    ///
    /// # Errors
    /// [`LoginError`] when no challenge can be answered.
    pub fn challenged(&mut self, response: &Response) -> Result<bool, LoginError> {
        let (asks, answers) = if response.status == 407 {
            ("Proxy-Authenticate", "Proxy-Authorization")
        } else {
            ("WWW-Authenticate", "Authorization")
        };
        let all = response.headers.all(asks).take(MAX_CHALLENGES).filter_map(Fields::parse);
        let all: Vec<Challenge> = all.filter_map(|fields| read(&fields, answers)).collect();
        let allowed = all
            .iter()
            .filter(|challenge| challenge.algorithm != Algorithm::Md5 || self.allowed != Allowed::Sha);
        let Some(best) = allowed.max_by_key(|challenge| challenge.algorithm).cloned() else {
            return Err(if all.is_empty() { LoginError::Unknown } else { LoginError::Weak });
        };
        // The same nonce goes on counting, whatever the peer thinks of the last answer.
        if self.challenge.as_ref().is_none_or(|before| before.nonce != best.nonce) {
            self.count = 0;
        }
        let stale = best.stale;
        self.challenge = Some(best);
        Ok(stale)
    }

    /// The header field that answers the last challenge for a request; `None` when there was none yet. `cnonce` is
    /// random, and a token.
    pub fn authorization(&mut self, method: &str, uri: &str, cnonce: &str) -> Option<(&'static str, String)> {
        let challenge = self.challenge.as_ref()?;
        self.count = self.count.wrapping_add(1).max(1);
        let count = format!("{:08x}", self.count);
        let response = Terms {
            algorithm: challenge.algorithm,
            credentials: &self.credentials,
            realm: &challenge.realm,
            method,
            uri,
            nonce: &challenge.nonce,
            counted: challenge.counts.then_some((&count, cnonce)),
        }
        .response();
        let mut text = format!(
            "Digest username={}, realm={}, nonce={}, uri={}, response=\"{response}\"",
            quote(&self.credentials.user),
            quote(&challenge.realm),
            quote(&challenge.nonce),
            quote(uri)
        );
        if challenge.named {
            text += &format!(", algorithm={}", challenge.algorithm.as_str());
        }
        if challenge.counts {
            text += &format!(", cnonce=\"{cnonce}\", qop=auth, nc={count}");
        }
        if let Some(opaque) = &challenge.opaque {
            text += &format!(", opaque={}", quote(opaque));
        }
        Some((challenge.field, text))
    }

    /// Forgets the challenge: the peer is another one now.
    pub fn forget(&mut self) {
        self.challenge = None;
    }
}

fn read(fields: &Fields, field: &'static str) -> Option<Challenge> {
    let named = fields.get("algorithm");
    let qop = fields.get("qop");
    let counts = qop.is_some_and(|all| all.split(',').any(|one| one.trim().eq_ignore_ascii_case("auth")));
    if qop.is_some() && !counts {
        return None;
    }
    Some(Challenge {
        field,
        algorithm: Algorithm::parse(named.unwrap_or("MD5"))?,
        named: named.is_some(),
        realm: fields.get("realm")?.to_owned(),
        nonce: fields.get("nonce")?.to_owned(),
        opaque: fields.get("opaque").map(str::to_owned),
        counts,
        stale: fields.get("stale").is_some_and(|value| value.eq_ignore_ascii_case("true")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{self, Message};

    fn response(status: u16, lines: &str) -> Response {
        let text = format!(
            "SIP/2.0 {status} No\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:a@h>;tag=2\r\n\
             Call-ID: 1\r\nCSeq: 1 REGISTER\r\n{lines}\r\n"
        );
        match wire::parse(&text.into()) {
            Ok(Message::Response(response)) => *response,
            other => panic!("{other:?}"),
        }
    }

    fn login(allowed: Allowed) -> Login {
        Login::new(Credentials::new("voix", "s3cret"), allowed)
    }

    #[test]
    fn the_strongest_that_is_allowed_is_answered() {
        let all = "WWW-Authenticate: Digest realm=\"a\", nonce=\"m\"\r\nWWW-Authenticate: Digest realm=\"a\", nonce=\"s\", qop=\"auth-int, auth\", algorithm=SHA-256\r\n\
                   WWW-Authenticate: Digest realm=\"a\", nonce=\"x\", algorithm=SHA-512-256-sess\r\nWWW-Authenticate: Basic realm=\"a\"\r\n";
        let mut strong = login(Allowed::Any);
        assert_eq!(strong.authorization("REGISTER", "sip:h", "c"), None);
        assert_eq!(strong.challenged(&response(401, all)), Ok(false));
        let (field, text) = strong.authorization("REGISTER", "sip:h", "c").unwrap();
        assert_eq!(field, "Authorization");
        assert!(
            text.contains("nonce=\"s\"") && text.contains("algorithm=SHA-256") && text.contains("nc=00000001"),
            "{text}"
        );
        assert_eq!(strong.challenged(&response(401, all)), Ok(false));
        assert!(
            strong.authorization("REGISTER", "sip:h", "c").unwrap().1.contains("nc=00000002"),
            "the same nonce"
        );

        let weak = "Proxy-Authenticate: Digest realm=\"a\\\"b\", nonce=\"m\", opaque=\"o\", stale=TRUE\r\n";
        assert_eq!(login(Allowed::Sha).challenged(&response(407, weak)), Err(LoginError::Weak));
        let mut old = login(Allowed::Any);
        assert_eq!(old.challenged(&response(407, weak)), Ok(true));
        let (field, text) = old.authorization("REGISTER", "sip:h", "c").unwrap();
        assert_eq!(field, "Proxy-Authorization");
        assert!(
            text.contains("realm=\"a\\\"b\"") && text.ends_with("opaque=\"o\"") && !text.contains("nc="),
            "{text}"
        );
    }

    #[test]
    fn what_cannot_be_answered_is_said() {
        for lines in [
            "",
            "Proxy-Authenticate: Digest realm=\"a\", nonce=\"m\"\r\n",
            "WWW-Authenticate: Digest realm=\"a\", nonce=\"m\", qop=\"auth-int\"\r\n",
            "WWW-Authenticate: Digest realm=\"a\", nonce=\"m\", algorithm=SHA-256-sess\r\n",
        ] {
            assert_eq!(
                login(Allowed::Any).challenged(&response(401, lines)),
                Err(LoginError::Unknown),
                "{lines}"
            );
        }
    }
}
