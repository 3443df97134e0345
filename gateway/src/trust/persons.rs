//! Persons whom an identity provider knows: OpenID Connect, authorization code with PKCE.

use std::sync::Arc;

use axum::http::HeaderValue;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use ring::digest;
use serde::Deserialize;
use voxea_core::access::OidcLogin;
use voxea_core::base::percent;
use voxea_core::base::secret::Secret;

use super::issuer::{Doubt, Issuer};
use super::token::Claims;

/// By what an agent is found that is not entered with issuer and subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// By nothing else.
    Subject,
    /// By the address, if the provider has proved it.
    Email,
    /// By the login.
    Username,
}

/// The identity provider that agents log in with.
#[derive(Debug)]
pub(crate) struct Persons {
    /// The provider.
    pub(crate) issuer: Arc<Issuer>,
    /// Who we are there.
    pub(crate) client_id: String,
    /// What proves it; without it PKCE alone does.
    pub(crate) secret: Option<Secret>,
    /// Where it sends persons back: `…/v1/oidc/callback`.
    pub(crate) redirect_url: String,
    /// How agents are found.
    pub(crate) claim: Claim,
}

/// Somebody whom the provider knows.
#[derive(Debug)]
pub(crate) struct Person {
    /// `sub`.
    pub(crate) subject: String,
    /// What the configured claim says, in lower case.
    pub(crate) claimed: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    id_token: String,
}

impl Persons {
    /// Where a person is sent to log in.
    ///
    /// # Errors
    /// [`Doubt::Silent`] while the provider does not answer.
    pub(crate) async fn door(&self, login: &OidcLogin) -> Result<String, Doubt> {
        let held = self.issuer.hold(|held| held.authorization.is_some()).await;
        let door = held.authorization.as_ref().ok_or(Doubt::Silent)?;
        let challenge = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, login.verifier.as_bytes()));
        let scope = match self.claim {
            Claim::Subject => "openid",
            Claim::Email => "openid email",
            Claim::Username => "openid profile",
        };
        let query = form(&[
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", &self.redirect_url),
            ("scope", scope),
            ("state", &login.state),
            ("nonce", &login.nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ]);
        let joint = if door.contains('?') { '&' } else { '?' };
        Ok(format!("{door}{joint}{query}"))
    }

    /// Who came back with a code.
    ///
    /// # Errors
    /// The code or what came for it is wrong, or the provider does not answer.
    pub(crate) async fn who(&self, code: &str, nonce: &str, verifier: &str, now: i64) -> Result<Person, Doubt> {
        let held = self.issuer.hold(|held| held.token.is_some()).await;
        let door = held.token.as_ref().ok_or(Doubt::Silent)?;
        let mut fields = vec![
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", &self.redirect_url),
            ("code_verifier", verifier),
        ];
        // RFC 6749 §2.3.1: both are escaped before they are joined.
        let authorization = self.secret.as_ref().map(|secret| {
            let both = format!("{}:{}", percent::encode(&self.client_id), percent::encode(secret.reveal()));
            HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(both)))
        });
        let authorization = authorization
            .transpose()
            .map_err(|_| Doubt::Wrong("the client's secret cannot be sent"))?;
        if authorization.is_none() {
            fields.push(("client_id", &self.client_id));
        }
        let said = self
            .issuer
            .fetch()
            .post(door, authorization, form(&fields))
            .await
            .map_err(|error| {
                tracing::warn!(issuer = self.issuer.url, %error, "an identity provider gave no token for a code");
                Doubt::Wrong("the identity provider gave no token for the code")
            })?;
        let answer: Answer = serde_json::from_slice(&said).map_err(|_| Doubt::Wrong("the identity provider's answer has no id_token"))?;
        let claims = self.issuer.believe(&answer.id_token, &self.client_id, now).await?;
        self.person(claims, nonce)
    }

    fn person(&self, claims: Claims, nonce: &str) -> Result<Person, Doubt> {
        if claims.nonce.as_deref() != Some(nonce) {
            return Err(Doubt::Wrong("the token is of another login"));
        }
        if !claims.is_issued_to(&self.client_id) {
            return Err(Doubt::Wrong("the token was issued to another program"));
        }
        let claimed = match self.claim {
            Claim::Subject => None,
            Claim::Email => claims.proved_email(),
            Claim::Username => claims.preferred_username.as_deref(),
        };
        // PostgreSQL takes no NUL in a text.
        let clean = |text: &str| !text.contains('\0');
        Ok(Person {
            claimed: claimed.filter(|text| clean(text)).map(str::to_lowercase),
            subject: claims.sub.filter(|sub| clean(sub)).ok_or(Doubt::Wrong("the token names nobody"))?,
        })
    }
}

fn form(fields: &[(&str, &str)]) -> String {
    let fields: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", percent::encode(value)))
        .collect();
    fields.join("&")
}
