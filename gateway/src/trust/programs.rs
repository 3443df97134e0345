//! Programs with a token of an identity provider (OAuth 2 client credentials, RFC 9068).

use std::sync::Arc;

use super::issuer::{Doubt, Issuer};
use super::token::{Claims, Token};

/// An identity provider whose programs may call.
#[derive(Debug, Clone)]
pub(crate) struct Programs {
    /// As registrations name it.
    pub(crate) name: String,
    /// What its tokens for us have as audience.
    pub(crate) audience: String,
    /// The provider.
    pub(crate) issuer: Arc<Issuer>,
}

/// A token that is right: whose it is.
#[derive(Debug)]
pub(crate) struct Program {
    /// The name of the issuer.
    pub(crate) issuer: String,
    /// `sub`, then `client_id`: as which it may be registered.
    pub(crate) subjects: Vec<String>,
}

impl Program {
    fn new(issuer: String, claims: Claims) -> Self {
        let mut subjects: Vec<String> = [claims.sub, claims.client_id].into_iter().flatten().collect();
        subjects.dedup();
        Self { issuer, subjects }
    }
}

/// Whose token it is; `None` when no configured issuer has made it, or it is wrong.
///
/// # Errors
/// [`Doubt::Silent`] when nobody can say.
pub(super) async fn program(all: &[Programs], token: &str, now: i64) -> Result<Option<Program>, Doubt> {
    let Some(read) = Token::read(token) else { return Ok(None) };
    for one in all.iter().filter(|one| one.issuer.url == read.issuer()) {
        match one.issuer.believe(token, &one.audience, now).await {
            Ok(claims) => return Ok(Some(Program::new(one.name.clone(), claims))),
            Err(Doubt::Wrong(why)) => tracing::debug!(issuer = one.name, why, "a token was refused"),
            Err(Doubt::Silent) => return Err(Doubt::Silent),
        }
    }
    Ok(None)
}
