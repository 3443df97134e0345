//! Whose token it is: a key's, a session's, or one of an identity provider.

use voxea_core::base::actor::Actor;
use voxea_core::base::time;

use super::api::Api;
use super::problem::{Kind, Problem};
use crate::trust::is_token;

/// Who holds a token; `None` when nobody does.
///
/// # Errors
/// The doors', and that an identity provider does not answer.
pub(crate) async fn identify(api: &Api, token: &str) -> Result<Option<Actor>, Problem> {
    let (core, now) = (api.core(), time::now());
    if token.starts_with("vs_") {
        return Ok(core.people.sessions.verify(token, now).await?);
    }
    if !is_token(token) {
        return Ok(core.keys.verify(token).await?);
    }
    let Some(program) = api.trust().program(token, now / 1000).await.map_err(|_| silent())? else {
        return Ok(None);
    };
    for subject in &program.subjects {
        if let Some(actor) = core.people.clients.find(&program.issuer, subject, now).await? {
            return Ok(Some(actor));
        }
    }
    Ok(None)
}

/// An identity provider does not answer.
pub(crate) fn silent() -> Problem {
    Problem::new(
        Kind::UNAVAILABLE,
        "the identity provider does not answer; the daemon's log says more",
    )
    .retry_after(60)
}
