//! The server's side: whether a request knows the password of its trunk.

use std::fmt;
use std::net::IpAddr;
use std::time::Instant;

use super::nonce::{Nonces, Use};
use super::throttle::Throttle;
use super::{Algorithm, Fields, Realm, Terms, quote, same_resource};
use crate::wire::uri::Uri;

/// Credentials of other realms may stand beside ours (RFC 3261 §22.3); more than these are not looked at.
const MAX_CREDENTIALS: usize = 8;
/// The longest cnonce; RFC 7616 gives none.
const MAX_CNONCE: usize = 256;

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It knows the password.
    Passed,
    /// 401 with fresh challenges.
    Challenge {
        /// The password was right, but the nonce or its count was not: the peer need not ask anybody (RFC 7616 §3.3).
        stale: bool,
        /// It came with credentials, and they were wrong.
        wrong: bool,
    },
    /// 400: the digest was made for another resource (RFC 7616 §3.4.6).
    Misdirected,
    /// 403: this address guesses too often.
    Throttled,
}

/// The guard of all trunks. It remembers used nonces and who guesses, both within bounds, and nothing of who was merely
/// challenged.
pub struct Guard {
    nonces: Nonces,
    throttle: Throttle,
}

impl fmt::Debug for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Guard")
    }
}

/// The request that is judged.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// Its method.
    pub method: &'a str,
    /// Its Request-URI.
    pub uri: &'a Uri,
    /// The address that it came from.
    pub source: IpAddr,
}

impl Guard {
    /// `secret` is fresh for every start: nonces of before are stale.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self {
            nonces: Nonces::new(secret),
            throttle: Throttle::default(),
        }
    }

    /// Judges a request by its `Authorization` fields.
    pub fn check<'a>(&mut self, realm: &Realm, asked: Asked<'_>, authorizations: impl Iterator<Item = &'a str>, now: Instant) -> Verdict {
        let mut given = authorizations.take(MAX_CREDENTIALS).peekable();
        let unknown = Verdict::Challenge {
            stale: false,
            wrong: false,
        };
        if given.peek().is_none() {
            return unknown;
        }
        // Before any hash is made.
        if self.throttle.is_full(asked.source, now) {
            return Verdict::Throttled;
        }
        let ours = given
            .filter_map(Fields::parse)
            .find(|fields| fields.get("realm") == Some(realm.name.as_str()));
        let Some(ours) = ours else { return unknown };
        let verdict = self.judge(realm, asked, &ours, now);
        if matches!(verdict, Verdict::Challenge { wrong: true, .. }) {
            self.throttle.failed(asked.source, now);
        }
        verdict
    }

    fn judge(&mut self, realm: &Realm, asked: Asked<'_>, fields: &Fields, now: Instant) -> Verdict {
        let wrong = Verdict::Challenge { stale: false, wrong: true };
        let stale = Verdict::Challenge { stale: true, wrong: false };
        let Some(read) = Read::of(fields, realm) else { return wrong };
        let expected = Terms {
            algorithm: read.algorithm,
            credentials: &realm.credentials,
            realm: &realm.name,
            method: asked.method,
            uri: read.uri,
            nonce: read.nonce,
            counted: Some((read.count_text, read.cnonce)),
        }
        .response();
        // Both are always compared, so that an unknown name costs what a wrong password does.
        let known = self.nonces.same(&realm.credentials.user, read.user);
        let right = self.nonces.same(&expected, &read.response);
        if !(known & right) {
            return wrong;
        }
        if !Uri::parse(read.uri).is_some_and(|uri| same_resource(&uri, asked.uri)) {
            return Verdict::Misdirected;
        }
        match self.nonces.spend(read.nonce, &realm.name, read.count, now) {
            Use::Fresh => Verdict::Passed,
            Use::Stale => stale,
        }
    }

    /// The values of `WWW-Authenticate`, a field each, the strongest first (RFC 8760 §2.3).
    pub fn challenges(&mut self, realm: &Realm, stale: bool, now: Instant) -> Vec<String> {
        let nonce = self.nonces.make(&realm.name, now);
        let word = if stale { ", stale=true" } else { "" };
        let one = |algorithm: &Algorithm| {
            format!(
                "Digest realm={}, nonce=\"{nonce}\", opaque=\"{}\", algorithm={}, qop=\"auth\"{word}",
                quote(&realm.name),
                nonce.get(..8).unwrap_or_default(),
                algorithm.as_str()
            )
        };
        realm.allowed.algorithms().iter().map(one).collect()
    }
}

/// Credentials that may be checked.
struct Read<'a> {
    algorithm: Algorithm,
    user: &'a str,
    nonce: &'a str,
    uri: &'a str,
    cnonce: &'a str,
    count_text: &'a str,
    count: u32,
    /// In lower case.
    response: String,
}

impl<'a> Read<'a> {
    /// `None` when something is missing or not as it was asked for: another algorithm or a `-sess` one, `auth-int` or
    /// no `qop`, a hashed name, a count that is not of eight digits.
    fn of(fields: &'a Fields, realm: &Realm) -> Option<Self> {
        let algorithm = Algorithm::parse(fields.get("algorithm").unwrap_or("MD5"))?;
        let hashed = fields.get("userhash").is_some_and(|value| value.eq_ignore_ascii_case("true"));
        let auth = fields.get("qop").is_some_and(|value| value.eq_ignore_ascii_case("auth"));
        if !realm.allowed.algorithms().contains(&algorithm) || hashed || !auth {
            return None;
        }
        let count_text = fields.get("nc")?;
        let cnonce = fields.get("cnonce")?;
        let nonce = fields.get("nonce")?;
        // Some forget it; another one than ours is not of our challenge.
        let opaque = fields.get("opaque").is_none_or(|opaque| nonce.get(..8) == Some(opaque));
        let digits = count_text.len() == 8 && count_text.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !digits || cnonce.is_empty() || cnonce.len() > MAX_CNONCE || !opaque {
            return None;
        }
        Some(Self {
            algorithm,
            user: fields.get("username")?,
            nonce,
            uri: fields.get("uri")?,
            cnonce,
            count_text,
            count: u32::from_str_radix(count_text, 16).ok()?,
            response: fields.get("response")?.to_ascii_lowercase(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::auth::{Allowed, Credentials};

    const RIGHT: Verdict = Verdict::Passed;
    const WRONG: Verdict = Verdict::Challenge { stale: false, wrong: true };
    const STALE: Verdict = Verdict::Challenge { stale: true, wrong: false };
    const FIRST: Verdict = Verdict::Challenge {
        stale: false,
        wrong: false,
    };

    fn realm(allowed: Allowed) -> Realm {
        Realm {
            name: "pbx \"1\"".to_owned(),
            credentials: Credentials::new("voix", "s3cret"),
            allowed,
        }
    }

    struct Peer {
        guard: Guard,
        realm: Realm,
        nonce: String,
        now: Instant,
    }

    impl Peer {
        fn new(allowed: Allowed) -> Self {
            let (mut guard, realm, now) = (Guard::new(&[7; 32]), realm(allowed), Instant::now());
            let challenge = guard.challenges(&realm, false, now).remove(0);
            let nonce = Fields::parse(&challenge).unwrap().get("nonce").unwrap().to_owned();
            Self { guard, realm, nonce, now }
        }

        /// Credentials as an honest peer writes them.
        fn credentials(&self, algorithm: Algorithm, password: &str, count: &str) -> String {
            let credentials = Credentials::new("voix", password);
            let response = Terms {
                algorithm,
                credentials: &credentials,
                realm: "pbx \"1\"",
                method: "INVITE",
                uri: "sip:3000@h",
                nonce: &self.nonce,
                counted: Some((count, "c")),
            }
            .response();
            format!(
                "Digest username=\"voix\", realm=\"pbx \\\"1\\\"\", nonce=\"{}\", uri=\"sip:3000@h\", response=\"{response}\", \
                 algorithm={}, cnonce=\"c\", qop=auth, nc={count}, opaque=\"{}\"",
                self.nonce,
                algorithm.as_str(),
                &self.nonce[..8]
            )
        }

        fn check(&mut self, given: &[&str]) -> Verdict {
            self.check_at("sip:3000@h:5060;transport=tcp", given)
        }

        fn check_at(&mut self, uri: &str, given: &[&str]) -> Verdict {
            let uri = Uri::parse(uri).unwrap();
            let asked = Asked {
                method: "INVITE",
                uri: &uri,
                source: [192, 0, 2, 1].into(),
            };
            self.guard.check(&self.realm, asked, given.iter().copied(), self.now)
        }
    }

    #[test]
    fn what_is_offered_and_in_which_order() {
        for (allowed, expected) in [
            (Allowed::Sha, &["SHA-512-256", "SHA-256"][..]),
            (Allowed::Any, &["SHA-512-256", "SHA-256", "MD5"]),
            (Allowed::Md5, &["MD5"]),
        ] {
            let mut guard = Guard::new(&[7; 32]);
            let found = guard.challenges(&realm(allowed), true, Instant::now());
            let fields: Vec<Fields> = found.iter().map(|text| Fields::parse(text).unwrap()).collect();
            let offered: Vec<&str> = fields.iter().filter_map(|fields| fields.get("algorithm")).collect();
            assert_eq!(offered, expected);
            for fields in &fields {
                assert_eq!(
                    (fields.get("qop"), fields.get("stale"), fields.get("realm")),
                    (Some("auth"), Some("true"), Some("pbx \"1\""))
                );
            }
        }
    }

    #[test]
    fn the_password_opens_once_for_each_count() {
        let mut peer = Peer::new(Allowed::Sha);
        let right = peer.credentials(Algorithm::Sha512256, "s3cret", "00000001");
        assert_eq!(peer.check(&[]), FIRST);
        assert_eq!(peer.check(&[&right]), RIGHT);
        assert_eq!(peer.check(&[&right]), STALE, "a replay");
        let other = peer.credentials(Algorithm::Sha256, "s3cret", "0000000a");
        let elsewhere = other.replace("pbx", "elsewhere");
        assert_eq!(
            peer.check(&["Basic YTpi", &elsewhere, &other]),
            RIGHT,
            "ours is found beside others"
        );
        assert_eq!(peer.check(&[&elsewhere]), FIRST, "those of another realm are none");
        let lower = peer.credentials(Algorithm::Sha256, "s3cret", "00000009");
        assert_eq!(peer.check(&[&lower]), STALE, "a count that falls");
        peer.now += Duration::from_secs(301);
        let late = peer.credentials(Algorithm::Sha256, "s3cret", "0000000b");
        assert_eq!(peer.check(&[&late]), STALE);
    }

    #[test]
    fn everything_else_is_wrong() {
        let mut peer = Peer::new(Allowed::Sha);
        let right = peer.credentials(Algorithm::Sha256, "s3cret", "00000001");
        let md5 = peer.credentials(Algorithm::Md5, "s3cret", "00000001");
        let short = peer.credentials(Algorithm::Sha256, "s3cret", "1");
        let guess = peer.credentials(Algorithm::Sha256, "S3cret", "00000001");
        for text in [
            md5.clone(),
            md5.replace("algorithm=MD5, ", ""),
            short,
            guess,
            right.replace("nc=00000001", "nc=+0000001"),
            right.replace("username=\"voix\"", "username=\"voi\""),
            right.replace("algorithm=SHA-256", "algorithm=SHA-256-sess"),
            right.replace("qop=auth", "qop=auth-int"),
            right.replace("qop=auth, ", ""),
            right.replace("cnonce=\"c\"", "cnonce=\"\""),
            right.replace("opaque=\"", "opaque=\"x"),
            format!("{right}, userhash=true"),
        ] {
            peer.now += Duration::from_secs(3);
            assert_eq!(peer.check(&[&text]), WRONG, "{text}");
        }
        assert_eq!(peer.check_at("sip:4000@h", &[&right]), Verdict::Misdirected);
        assert_eq!(peer.check(&[&right]), RIGHT, "what was refused used nothing up");
        let mut old = Peer::new(Allowed::Any);
        let md5 = old.credentials(Algorithm::Md5, "s3cret", "00000001").replace("algorithm=MD5, ", "");
        assert_eq!(old.check(&[&md5]), RIGHT);
    }

    #[test]
    fn who_guesses_waits_even_with_the_right_word() {
        let mut peer = Peer::new(Allowed::Sha);
        let guess = peer.credentials(Algorithm::Sha256, "guess", "00000001");
        let right = peer.credentials(Algorithm::Sha256, "s3cret", "00000001");
        for _ in 0..20 {
            assert_eq!(peer.check(&[&guess]), WRONG);
        }
        assert_eq!(peer.check(&[&right]), Verdict::Throttled);
        assert_eq!(peer.check(&[]), FIRST, "asking is not guessing");
        peer.now += Duration::from_secs(3);
        assert_eq!(peer.check(&[&right]), RIGHT);
    }
}
