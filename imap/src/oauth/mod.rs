//! Access tokens in the place of a password (RFC 6749): fetched, kept until shortly before they expire, never logged.
//!
//! Microsoft 365 gives them for client credentials (§4.4), Google for a refresh token (§6). Both IMAP and submission show the same
//! one, as XOAUTH2 or OAUTHBEARER (RFC 7628).

mod https;

use std::time::Duration;

use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use voxea_core::base::secret::Secret;

pub use https::Endpoint;

use crate::trouble::Trouble;

/// What a token lives when the server does not say (RFC 6749 §5.1 recommends that it does).
const LIFE: Duration = Duration::from_secs(3600);
/// A token is renewed so long before its end, or at half of a shorter life.
const MARGIN: Duration = Duration::from_secs(300);

/// What a token is asked for with.
#[derive(Debug, Clone)]
pub enum Grant {
    /// The client's own name and secret (RFC 6749 §4.4).
    ClientCredentials,
    /// A refresh token that the mailbox's owner once gave (RFC 6749 §6).
    RefreshToken(Secret),
}

/// How a token is shown to the IMAP server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mechanism {
    /// Google's and Microsoft's own.
    Xoauth2,
    /// RFC 7628.
    Oauthbearer,
}

/// Who asks which server, and how.
#[derive(Debug, Clone)]
pub struct Asking {
    /// The token server.
    pub endpoint: Endpoint,
    /// `client_id`.
    pub client_id: String,
    /// `client_secret`; a public client has none.
    pub client_secret: Option<Secret>,
    /// What the token is for; left out where it is empty.
    pub scope: String,
    /// With what.
    pub grant: Grant,
    /// How it is shown.
    pub mechanism: Mechanism,
}

#[derive(Debug)]
struct Held {
    token: Secret,
    renew_at: Instant,
}

/// The token of a mailbox, over all lives of its task.
#[derive(Debug)]
pub struct Tokens {
    asking: Asking,
    held: Mutex<Option<Held>>,
    /// The refresh token that the server gave in the place of the last one.
    refreshed: Mutex<Option<Secret>>,
}

/// A token, and whether it was fetched just now.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) token: Secret,
    pub(crate) fresh: bool,
    /// After so long it is renewed.
    pub(crate) left: Duration,
}

impl Tokens {
    /// Nothing was fetched yet.
    #[must_use]
    pub fn new(asking: Asking) -> Self {
        Self {
            asking,
            held: Mutex::default(),
            refreshed: Mutex::default(),
        }
    }

    /// How the token is shown.
    #[must_use]
    pub const fn mechanism(&self) -> Mechanism {
        self.asking.mechanism
    }

    /// The token, which lives for a while yet.
    ///
    /// # Errors
    /// [`Trouble::Denied`] when the token server refuses us, [`Trouble::Lost`] when it cannot be asked.
    pub(crate) async fn token(&self) -> Result<Shown, Trouble> {
        // Whoever else needs one waits for this one.
        let mut held = self.held.lock().await;
        if let Some(held) = held.as_ref().filter(|held| Instant::now() < held.renew_at) {
            return Ok(Shown {
                token: held.token.clone(),
                fresh: false,
                left: held.renew_at.saturating_duration_since(Instant::now()),
            });
        }
        *held = None;
        let given = self.ask().await?;
        let left = given.life.saturating_sub(MARGIN.min(given.life / 2));
        let token = given.token.clone();
        *held = Some(Held {
            token: given.token,
            renew_at: Instant::now() + left,
        });
        Ok(Shown { token, fresh: true, left })
    }

    /// A mail server does not take this token: the next one is fetched.
    pub(crate) async fn refused(&self, token: &Secret) {
        let mut held = self.held.lock().await;
        if held.as_ref().is_some_and(|held| held.token == *token) {
            *held = None;
        }
    }

    async fn ask(&self) -> Result<Given, Trouble> {
        let refreshed = self.refreshed.lock().await.clone();
        let form = self.asking.form(refreshed.as_ref());
        let (status, body) = self
            .asking
            .endpoint
            .post(form)
            .await
            .map_err(|words| Trouble::Lost(format!("the token server {}: {words}", self.asking.endpoint)))?;
        let given = read(status, &body).map_err(|refusal| self.refusal(&refusal))?;
        if let Some(newer) = &given.refresh {
            *self.refreshed.lock().await = Some(newer.clone());
        }
        Ok(given)
    }

    fn refusal(&self, refusal: &Refusal) -> Trouble {
        let server = &self.asking.endpoint;
        let what = match &refusal.error[..] {
            "invalid_client" | "unauthorized_client" => "client_id or client_secret_file is wrong, or may not do this",
            "invalid_grant" => "refresh_token_file is wrong, was withdrawn or has expired; let the mailbox's owner give a new one",
            "invalid_scope" => "scope is wrong",
            _ => "check token_url, client_id, scope and what the client may do",
        };
        if refusal.for_good {
            Trouble::Denied(format!("the token server {server} refuses ({}): {what}", refusal.error))
        } else {
            Trouble::Lost(format!("the token server {server} gives no token now ({})", refusal.error))
        }
    }
}

impl Asking {
    /// The form of a token request.
    fn form(&self, refreshed: Option<&Secret>) -> String {
        let mut fields = vec![("client_id", self.client_id.as_str())];
        if let Some(secret) = &self.client_secret {
            fields.push(("client_secret", secret.reveal()));
        }
        if !self.scope.is_empty() {
            fields.push(("scope", &self.scope));
        }
        match &self.grant {
            Grant::ClientCredentials => fields.push(("grant_type", "client_credentials")),
            Grant::RefreshToken(first) => {
                fields.push(("grant_type", "refresh_token"));
                fields.push(("refresh_token", refreshed.unwrap_or(first).reveal()));
            }
        }
        let written: Vec<String> = fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect();
        written.join("&")
    }
}

/// `application/x-www-form-urlencoded`.
fn escaped(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len() * 3), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// What the server gave.
#[derive(Debug)]
struct Given {
    token: Secret,
    life: Duration,
    refresh: Option<Secret>,
}

/// What it answered instead.
#[derive(Debug, PartialEq, Eq)]
struct Refusal {
    /// RFC 6749 §5.2, or the status.
    error: String,
    for_good: bool,
}

/// Reads the answer (RFC 6749 §5).
fn read(status: u16, body: &[u8]) -> Result<Given, Refusal> {
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| answer.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    if status == 200 {
        let Some(token) = text("access_token").filter(|token| token.bytes().all(|byte| byte.is_ascii_graphic())) else {
            return Err(Refusal {
                error: "its answer holds no token".to_owned(),
                for_good: false,
            });
        };
        // Some write the seconds as text.
        let seconds = answer.get("expires_in").and_then(|seconds| match seconds {
            Value::String(text) => text.parse().ok(),
            other => other.as_u64(),
        });
        return Ok(Given {
            token: Secret::new(token),
            life: seconds.map_or(LIFE, Duration::from_secs),
            refresh: text("refresh_token").map(Secret::new),
        });
    }
    // The code is a word of the standard; the description may say more than a log should hold.
    let error: String = text("error")
        .unwrap_or_default()
        .chars()
        .filter(|c| c.is_ascii_alphanumeric() || *c == '_')
        .take(64)
        .collect();
    let passes = status >= 500 || status == 429 || error == "temporarily_unavailable" || error == "server_error";
    Err(Refusal {
        error: if error.is_empty() { format!("status {status}") } else { error },
        for_good: !passes,
    })
}

/// The first words of the client (RFC 7628 §3.1, and Google's XOAUTH2), before base64.
pub(crate) fn first_words(mechanism: Mechanism, user: &str, (host, port): (&str, u16), token: &Secret) -> String {
    let token = token.reveal();
    match mechanism {
        Mechanism::Xoauth2 => format!("user={user}\x01auth=Bearer {token}\x01\x01"),
        Mechanism::Oauthbearer => {
            // RFC 5801 §4: a saslname.
            let user = user.replace('=', "=3D").replace(',', "=2C");
            format!("n,a={user},\x01host={host}\x01port={port}\x01auth=Bearer {token}\x01\x01")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(grant: Grant) -> Asking {
        Asking {
            endpoint: Endpoint::new("http://127.0.0.1:1/token", None).unwrap(),
            client_id: "voxea".to_owned(),
            client_secret: Some(Secret::new("s&c=ret +")),
            scope: "https://outlook.office365.com/.default".to_owned(),
            grant,
            mechanism: Mechanism::Xoauth2,
        }
    }

    #[test]
    fn a_form_is_escaped() {
        assert_eq!(
            asking(Grant::ClientCredentials).form(None),
            "client_id=voxea&client_secret=s%26c%3Dret%20%2B&scope=https%3A%2F%2Foutlook.office365.com%2F.default&grant_type=client_credentials"
        );
        let refresh = asking(Grant::RefreshToken(Secret::new("first")));
        assert!(refresh.form(None).ends_with("grant_type=refresh_token&refresh_token=first"));
        assert!(refresh.form(Some(&Secret::new("second"))).ends_with("&refresh_token=second"));
    }

    #[test]
    fn answers_are_read() {
        let given = read(200, br#"{"access_token":"a.b","expires_in":"600","refresh_token":"r"}"#).unwrap();
        assert_eq!((given.token.reveal(), given.life.as_secs()), ("a.b", 600));
        assert_eq!(given.refresh.map(|token| token.reveal().to_owned()), Some("r".to_owned()));
        assert_eq!(read(200, br#"{"access_token":"a"}"#).unwrap().life, LIFE);
        assert!(read(200, b"<html>").is_err_and(|refusal| !refusal.for_good));
        assert!(read(200, b"{\"access_token\":\"a\\u0001b\"}").is_err());
        for (status, body, error, for_good) in [
            (
                401,
                r#"{"error":"invalid_client","error_description":"secret s3"}"#,
                "invalid_client",
                true,
            ),
            (400, r#"{"error":"invalid_grant"}"#, "invalid_grant", true),
            (503, "", "status 503", false),
            (429, r#"{"error":"slow"}"#, "slow", false),
            (400, r#"{"error":"temporarily_unavailable"}"#, "temporarily_unavailable", false),
        ] {
            let refusal = read(status, body.as_bytes()).unwrap_err();
            assert_eq!((refusal.error.as_str(), refusal.for_good), (error, for_good));
        }
    }

    #[test]
    fn the_first_words_are_those_of_the_standard() {
        let token = Secret::new("vF9dft4qmT");
        assert_eq!(
            first_words(Mechanism::Oauthbearer, "user@example.com", ("server.example.com", 143), &token),
            "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01auth=Bearer vF9dft4qmT\x01\x01"
        );
        assert_eq!(
            first_words(Mechanism::Xoauth2, "u@x", ("h", 1), &token),
            "user=u@x\x01auth=Bearer vF9dft4qmT\x01\x01"
        );
    }

    #[test]
    fn nothing_is_printed() {
        let tokens = Tokens::new(asking(Grant::RefreshToken(Secret::new("first"))));
        let shown = format!("{tokens:?}");
        assert!(!shown.contains("first") && !shown.contains("ret +"), "{shown}");
    }
}
