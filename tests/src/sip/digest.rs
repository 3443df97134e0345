//! Digest credentials as a peer computes them (RFC 7616 §3.4), with SHA-256 and SHA-512-256.

use ring::digest::{self, SHA256, SHA512_256};

/// A caller's account, and how it counts.
#[derive(Debug, Clone)]
pub struct Account {
    /// The name.
    pub user: String,
    /// Its password.
    pub password: String,
    /// What `algorithm` says.
    pub algorithm: &'static str,
}

impl Account {
    /// One that proves itself with SHA-256.
    #[must_use]
    pub fn new(user: &str, password: &str) -> Self {
        Self {
            user: user.to_owned(),
            password: password.to_owned(),
            algorithm: "SHA-256",
        }
    }

    /// The value of `Authorization` that answers the value of a `WWW-Authenticate`, with a nonce count as it is written.
    #[must_use]
    pub fn answer(&self, challenge: &str, method: &str, uri: &str, count: &str) -> String {
        let field = |name: &str| field(challenge, name).unwrap_or_default();
        let (realm, nonce, opaque) = (field("realm"), field("nonce"), field("opaque"));
        let response = self.response(&realm, &nonce, method, uri, count, "0a4f113b");
        format!(
            "Digest username=\"{}\",realm=\"{realm}\",nonce=\"{nonce}\",uri=\"{uri}\",response=\"{response}\",\
             cnonce=\"0a4f113b\",nc={count},qop=auth,algorithm={},opaque=\"{opaque}\"",
            self.user, self.algorithm
        )
    }

    /// Whether credentials are right for a request, whatever their nonce.
    #[must_use]
    pub fn opens(&self, credentials: &str, method: &str) -> bool {
        let get = |name: &str| field(credentials, name).unwrap_or_default();
        let (uri, count) = (get("uri"), get("nc"));
        let expected = self.response(&get("realm"), &get("nonce"), method, &uri, &count, &get("cnonce"));
        get("username") == self.user && get("algorithm") == self.algorithm && get("response") == expected
    }

    fn response(&self, realm: &str, nonce: &str, method: &str, uri: &str, count: &str, cnonce: &str) -> String {
        let hash = |text: String| {
            let algorithm = if self.algorithm == "SHA-512-256" { &SHA512_256 } else { &SHA256 };
            let hashed = digest::digest(algorithm, text.as_bytes());
            hashed.as_ref().iter().map(|byte| format!("{byte:02x}")).collect::<String>()
        };
        let who = hash(format!("{}:{realm}:{}", self.user, self.password));
        let what = hash(format!("{method}:{uri}"));
        hash(format!("{who}:{nonce}:{count}:{cnonce}:auth:{what}"))
    }
}

/// A parameter of a challenge or of credentials, quotes taken off; quoted commas are nobody's here.
#[must_use]
pub fn field(text: &str, name: &str) -> Option<String> {
    let (_, parameters) = text.split_once(' ')?;
    parameters.split(',').find_map(|one| {
        let (found, value) = one.trim().split_once('=')?;
        (found == name).then(|| value.trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_rfc_7616() {
        let mufasa = Account::new("Mufasa", "Circle of Life");
        let (nonce, cnonce) = (
            "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        );
        assert_eq!(
            mufasa.response("http-auth@example.org", nonce, "GET", "/dir/index.html", "00000001", cnonce),
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
    }

    #[test]
    fn what_it_answers_it_takes() {
        let account = Account::new("a", "b");
        let answer = account.answer("Digest realm=\"r\", nonce=\"n\"", "REGISTER", "sip:h", "00000001");
        assert!(account.opens(&answer, "REGISTER") && !account.opens(&answer, "INVITE"));
        assert!(!Account::new("a", "c").opens(&answer, "REGISTER"));
    }
}
