//! What is particular to mails: their HTML, and what the town's server found out about their senders.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use voxea_core::base::error::CoreError;
use voxea_core::contact::RawRow;
use voxea_imap::mime;

use crate::http::api::Api;
use crate::http::auth::{Caller, Read};
use crate::http::extract::Id;
use crate::http::files;
use crate::http::openapi::{Keyed, One};
use crate::http::problem::Problem;
use crate::http::shape::may_see;

/// The artefact of which HTML is made.
const MAIL: &str = "message/rfc822";

/// What a trusted mail server found out about a mail's sender (RFC 8601). It says nothing about who wrote it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = MailAuthenticity)]
pub(super) struct Authenticity {
    /// The server.
    by: String,
    /// Whether the envelope's domain lets the sending server send (RFC 7208).
    spf: Option<AuthenticityResult>,
    /// Each signature (RFC 6376).
    dkim: Vec<AuthenticityResult>,
    /// Whether the domain in `From` stands by the mail (RFC 7489).
    dmarc: Option<AuthenticityResult>,
}

/// One method's result.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct AuthenticityResult {
    /// `pass`, `fail`, `softfail`, `neutral`, `none`, `policy`, `temperror`, `permerror`.
    #[schema(example = "pass")]
    result: String,
    /// The domain that it speaks of.
    domain: Option<String>,
}

/// The HTML of a mail, fit to be shown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct MailHtml {
    /// The interaction.
    id: String,
    /// A fragment without scripts, forms, frames and anything that would be fetched from elsewhere. An image that came with the
    /// mail is `cid:` and the `content_id` of one of its attachments.
    html: String,
    /// How many images and the like were to be fetched from elsewhere, and are not in it.
    blocked: usize,
}

/// The HTML of a mail, made anew of the artefact at each call: without scripts, forms, and anything that would be fetched
/// from elsewhere. Show it apart all the same, in a frame with `sandbox`.
#[utoipa::path(get, path = "/v1/interactions/{id}/html", tag = "interactions", security(("key" = ["read"])), params(("id" = String, Path)),
    responses((status = 200, description = "Of a mail that has HTML", body = MailHtml), Keyed, One))]
pub(super) async fn html(State(api): State<Api>, caller: Caller<Read>, Id(id): Id) -> Result<Json<MailHtml>, Problem> {
    const WHAT: &str = "HTML of that interaction";
    may_see(&caller.actor, "text", WHAT)?;
    let missing = || Problem::not_found(WHAT);
    let raw = match api.core().interactions.raw(&caller.actor, &id, &api.core().blobs).await {
        Err(CoreError::NotFound { .. }) => return Err(missing()),
        found => found?,
    };
    let raw = match raw {
        RawRow::Inline { media_type, bytes } if media_type == MAIL => bytes,
        RawRow::File { media_type, content } if media_type == MAIL => files::whole(content).await?.ok_or_else(missing)?,
        _ => return Err(missing()),
    };
    // A moment of a core: not on the threads that answer everybody.
    let safe = tokio::task::spawn_blocking(move || mime::safe_html(&raw)).await;
    let safe = safe.ok().flatten().ok_or_else(missing)?;
    Ok(Json(MailHtml {
        id,
        html: safe.html,
        blocked: safe.blocked,
    }))
}
