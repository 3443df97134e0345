//! Digest authentication, both sides (RFC 3261 §22 with RFC 7616 and RFC 8760), as pure functions and tables.
//!
//! `qop` is `auth` alone: `auth-int` would want bodies read before anybody is known, and the `-sess` algorithms are for
//! third parties that must not learn the password. A peer that offers nothing else is told apart as such.

mod client;
mod fields;
mod guard;
mod nonce;
mod throttle;

pub use self::client::{Login, LoginError};
pub use self::fields::Fields;
pub use self::guard::{Asked, Guard, Verdict};

use std::fmt;

use md5::Digest as _;
use ring::digest;

use crate::wire::uri::{Kind, Uri};

/// A hash that digests are made with (RFC 7616 §6.1), the weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Algorithm {
    /// For peers that know nothing else.
    Md5,
    /// SHA-256.
    Sha256,
    /// SHA-512/256 of FIPS 180-4, which is not SHA-512 cut in half.
    Sha512256,
}

impl Algorithm {
    /// As `algorithm` writes it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
            Self::Sha512256 => "SHA-512-256",
        }
    }

    /// Reads a name; `None` for what is not supported, the `-sess` ones among it.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Md5, Self::Sha256, Self::Sha512256]
            .into_iter()
            .find(|known| known.as_str().eq_ignore_ascii_case(name))
    }

    /// The hash in lower-case hexadecimal digits.
    fn hash(self, parts: &[&str]) -> String {
        let text = parts.join(":");
        match self {
            Self::Md5 => hex(&md5::Md5::digest(text.as_bytes())),
            Self::Sha256 => hex(digest::digest(&digest::SHA256, text.as_bytes()).as_ref()),
            Self::Sha512256 => hex(digest::digest(&digest::SHA512_256, text.as_bytes()).as_ref()),
        }
    }
}

/// Which algorithms a peer may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Allowed {
    /// SHA-512-256 and SHA-256.
    #[default]
    Sha,
    /// MD5 as well.
    Any,
    /// Nothing but MD5, for peers that read only the first challenge of an answer.
    Md5,
}

impl Allowed {
    /// The strongest first (RFC 8760 §2.3, §2.4).
    #[must_use]
    pub const fn algorithms(self) -> &'static [Algorithm] {
        match self {
            Self::Sha => &[Algorithm::Sha512256, Algorithm::Sha256],
            Self::Any => &[Algorithm::Sha512256, Algorithm::Sha256, Algorithm::Md5],
            Self::Md5 => &[Algorithm::Md5],
        }
    }
}

/// A name and its password, which `Debug` does not show.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name that goes over the wire.
    pub user: String,
    password: String,
}

impl Credentials {
    /// A name with its password.
    #[must_use]
    pub fn new(user: &str, password: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// What requests of a trunk must know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realm {
    /// Told to whoever asks: it names neither product nor machine.
    pub name: String,
    /// The one account.
    pub credentials: Credentials,
    /// What is offered and taken.
    pub allowed: Allowed,
}

/// What a digest is made of (RFC 7616 §3.4.1).
struct Terms<'a> {
    algorithm: Algorithm,
    credentials: &'a Credentials,
    realm: &'a str,
    method: &'a str,
    uri: &'a str,
    nonce: &'a str,
    /// Nonce count and cnonce; without them it is a digest of RFC 2069.
    counted: Option<(&'a str, &'a str)>,
}

impl Terms<'_> {
    fn response(&self) -> String {
        let of = |parts: &[&str]| self.algorithm.hash(parts);
        let who = of(&[&self.credentials.user, self.realm, &self.credentials.password]);
        let what = of(&[self.method, self.uri]);
        match self.counted {
            Some((count, cnonce)) => of(&[&who, self.nonce, count, cnonce, "auth", &what]),
            None => of(&[&who, self.nonce, &what]),
        }
    }
}

/// Whether two URIs name the same resource (RFC 7616 §3.4.6). Parameters and headers are left out: proxies between a
/// peer and us add and drop them.
fn same_resource(one: &Uri, other: &Uri) -> bool {
    match (&one.kind, &other.kind) {
        (Kind::Sip(a), Kind::Sip(b)) => {
            let port = |sip: &crate::wire::uri::Sip| sip.port.unwrap_or(if sip.secure { 5061 } else { 5060 });
            a.secure == b.secure && a.user == b.user && a.host.eq_ignore_ascii_case(&b.host) && port(a) == port(b)
        }
        (Kind::Tel(_), Kind::Tel(_)) => one.user() == other.user(),
        _ => one.as_str() == other.as_str(),
    }
}

fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A quoted-string of RFC 3261 §25.1.
fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_rfc_7616() {
        let mufasa = Credentials::new("Mufasa", "Circle of Life");
        let response = |algorithm| {
            Terms {
                algorithm,
                credentials: &mufasa,
                realm: "http-auth@example.org",
                method: "GET",
                uri: "/dir/index.html",
                nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
                counted: Some(("00000001", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")),
            }
            .response()
        };
        assert_eq!(response(Algorithm::Md5), "8ca523f5e9506fed4657c9700eebdbec");
        assert_eq!(
            response(Algorithm::Sha256),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
    }

    #[test]
    fn sha_512_256_is_no_cut_sha_512() {
        // RFC 7616 §3.9.2 as erratum 4897 corrects it.
        assert_eq!(
            Algorithm::Sha512256.hash(&["Jäsøn Doe", "api@example.org"]),
            "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
        );
        let terms = Terms {
            algorithm: Algorithm::Sha512256,
            credentials: &Credentials::new("Jäsøn Doe", "Secret, or not?"),
            realm: "api@example.org",
            method: "GET",
            uri: "/doe.json",
            nonce: "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
            counted: Some(("00000001", "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v")),
        };
        assert_eq!(terms.response(), "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5");
    }

    #[test]
    fn a_digest_of_rfc_2069_has_no_count() {
        let terms = Terms {
            algorithm: Algorithm::Md5,
            credentials: &Credentials::new("bob", "zanzibar"),
            realm: "biloxi.com",
            method: "INVITE",
            uri: "sip:bob@biloxi.com",
            nonce: "dcd98b7102dd2f0e8b11d0f600bfb0c093",
            counted: None,
        };
        // The worked example without qop that goes with RFC 3261 §22.4.
        assert_eq!(terms.response(), "bf57e4e0d0bffc0fbaedce64d59add5e");
    }

    #[test]
    fn resources_are_compared_by_what_they_name() {
        let same = |a, b| same_resource(&Uri::parse(a).unwrap(), &Uri::parse(b).unwrap());
        assert!(same("sip:3000@PBX.example:5060;transport=tcp", "sip:%33000@pbx.example"));
        assert!(same("sips:3000@h", "sips:3000@h:5061") && same("tel:+33-1", "tel:+331;x=y"));
        for (a, b) in [
            ("sip:3000@h", "sip:3001@h"),
            ("sip:3000@h", "sip:h"),
            ("sip:3000@h", "sips:3000@h"),
            ("sip:3000@h:5061", "sip:3000@h"),
            ("sip:3000@h", "tel:3000"),
            ("sip:a@h", "sip:A@h"),
        ] {
            assert!(!same(a, b), "{a} {b}");
        }
    }

    #[test]
    fn a_password_is_never_printed() {
        assert!(!format!("{:?}", Credentials::new("u", "hunter2")).contains("hunter"));
    }
}
