//! `/v1/webhooks`: who is told of events by HTTP (Standard Webhooks 1.0). They are hints; the feed is the truth.

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use voxea_core::base::error::CoreError;
use voxea_core::base::expected::Expected;
use voxea_core::base::time::{self, Millis, rfc3339};
use voxea_core::feed::Filter;
use voxea_core::webhook::{self, NewWebhook, Patch, Scheme};

use super::consumers::{begin, known_themes};
use crate::http::api::Api;
use crate::http::auth::{Admin, Caller};
use crate::http::cursor;
use crate::http::etag::{self, Match};
use crate::http::extract::{Body, Id, present, tagged};
use crate::http::idempotency::{self, Call};
use crate::http::openapi::{Keyed, One, Problem as ProblemBody, Sent};
use crate::http::problem::Problem;
use crate::out::Target;

/// Milliseconds of an hour.
const HOUR: Millis = 3_600_000;
/// Hours for which two keys sign, when nobody says.
const OVERLAP: u32 = 24;
/// And at most.
const LONGEST_OVERLAP: u32 = 720;

/// How events are signed.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum SignatureScheme {
    /// `v1a`: the receiver holds a public key, which signs nothing.
    Ed25519,
    /// `v1`: HMAC-SHA256 with a shared secret, which is shown once.
    Hmac,
}

/// Whether events are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Switch {
    /// They are.
    Active,
    /// They are not, and it stands where it stood.
    Disabled,
}

/// A webhook to be made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookContent {
    /// Where events are sent: https, no password, a public address unless the operator excepts it.
    #[schema(example = "https://gru.example.fr/voxea")]
    url: String,
    /// For people.
    #[schema(example = "GRU of the agglomeration")]
    description: Option<String>,
    /// Types, `fr.voxea.request.created`, or beginnings of them, `fr.voxea.request.*`; all when left out.
    #[serde(default)]
    #[schema(example = json!(["fr.voxea.request.*"]))]
    types: Vec<String>,
    /// Codes of themes, `_none` for requests without one; a request that leaves for another theme is a tombstone. All when left out.
    #[serde(default)]
    #[schema(example = json!(["voirie"]))]
    themes: Vec<String>,
    /// `ed25519` when left out.
    scheme: Option<SignatureScheme>,
    /// `beginning`, `now` (when left out), or a cursor of `GET /v1/changes`.
    #[schema(example = "now")]
    from: Option<String>,
}

/// What a webhook becomes; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebhookPatch {
    /// Where events are sent.
    url: Option<String>,
    /// For people; null for none.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    description: Option<Option<String>>,
    /// Types; all when empty.
    types: Option<Vec<String>>,
    /// Themes; all when empty.
    themes: Option<Vec<String>>,
    /// One that is switched on goes on where it stood.
    state: Option<Switch>,
}

/// A key whose secret half only the daemon has.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PublicKey {
    /// What the receiver verifies with.
    #[schema(example = "whpk_11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")]
    key: String,
    /// Until when it signs beside its successor; null for the present one.
    until: Option<String>,
}

/// Who is told of events, and how that goes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Webhook {
    /// UUIDv7.
    id: String,
    /// Where events are sent.
    url: String,
    /// For people.
    description: Option<String>,
    /// Which types; all when empty.
    types: Vec<String>,
    /// Which themes; all when empty.
    themes: Vec<String>,
    /// How events are signed.
    scheme: SignatureScheme,
    /// The public keys that verify; none of a shared secret.
    public_keys: Vec<PublicKey>,
    /// The shared secret, `whsec_…`: in the answer that made it alone, null in every other.
    secret: Option<String>,
    /// Until when the secret before this one signs too; null when none does.
    old_secret_until: Option<String>,
    /// Whether events are sent.
    state: Switch,
    /// Why they are not.
    reason: Option<String>,
    /// Whether the last attempts failed.
    failing: bool,
    /// Rounds of attempts in a row of which all failed.
    failures: i64,
    /// Since when.
    failing_since: Option<String>,
    /// What went wrong last.
    last_error: Option<String>,
    /// When something was delivered last.
    last_success_at: Option<String>,
    /// Nothing is sent before; null when something may be at once.
    next_attempt: Option<String>,
    /// Every event up to here has a delivery, or is not for it: a cursor of `GET /v1/changes`.
    position: String,
    /// Rises with every change by hand; the ETag.
    version: i64,
    /// When it was made.
    created_at: String,
    /// When it was changed by hand, or disabled.
    updated_at: String,
    /// Where it is.
    links: WebhookLinks,
}

/// Where a webhook is, and what belongs to it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookLinks {
    /// The webhook.
    #[serde(rename = "self")]
    this: String,
    /// What was sent.
    deliveries: String,
}

/// The webhooks.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct WebhookList {
    /// In the order of their making.
    items: Vec<Webhook>,
}

/// A new key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotation {
    /// How it signs; as before when left out.
    scheme: Option<SignatureScheme>,
    /// For so many hours the present key signs beside it, 0 to 720; 24 when left out.
    #[schema(minimum = 0, maximum = 720)]
    overlap_hours: Option<u32>,
}

/// From where events are sent again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Replay {
    /// `beginning`, `now` (which skips what was not sent), or a cursor of `GET /v1/changes`.
    after: String,
}

impl From<SignatureScheme> for Scheme {
    fn from(scheme: SignatureScheme) -> Self {
        match scheme {
            SignatureScheme::Ed25519 => Self::Ed25519,
            SignatureScheme::Hmac => Self::Hmac,
        }
    }
}

/// `secret` tells whether this is the answer in which a shared one is shown.
fn shown(webhook: webhook::Webhook, epoch: &str, secret: bool) -> Webhook {
    let old = webhook.old_key.as_ref();
    let keys = [Some((&webhook.key, None)), old.map(|(key, until)| (key, Some(*until)))];
    let public = keys.into_iter().flatten().filter_map(|(key, until)| {
        Some(PublicKey {
            key: key.public()?,
            until: until.map(rfc3339),
        })
    });
    let this = format!("/v1/webhooks/{}", webhook.id);
    Webhook {
        public_keys: public.collect(),
        secret: if secret { webhook.key.shared().map(str::to_owned) } else { None },
        old_secret_until: old.filter(|(key, _)| key.shared().is_some()).map(|(_, until)| rfc3339(*until)),
        scheme: match webhook.key.scheme() {
            Scheme::Ed25519 => SignatureScheme::Ed25519,
            Scheme::Hmac => SignatureScheme::Hmac,
        },
        id: webhook.id,
        url: webhook.url,
        description: webhook.description,
        types: webhook.filter.types,
        themes: webhook.filter.themes,
        state: if webhook.active { Switch::Active } else { Switch::Disabled },
        reason: webhook.reason,
        failing: webhook.failures > 0,
        failures: webhook.failures,
        failing_since: webhook.failing_at.map(rfc3339),
        last_error: webhook.last_error,
        last_success_at: webhook.succeeded_at.map(rfc3339),
        next_attempt: (webhook.active && webhook.resume_at > time::now()).then(|| rfc3339(webhook.resume_at)),
        position: cursor::of_feed(epoch, webhook.position),
        version: webhook.version,
        created_at: rfc3339(webhook.created_at),
        updated_at: rfc3339(webhook.updated_at),
        links: WebhookLinks {
            deliveries: format!("{this}/deliveries"),
            this,
        },
    }
}

async fn epoch(api: &Api) -> Result<String, Problem> {
    Ok(api.core().feed.state().await?.epoch)
}

fn check(api: &Api, url: &str) -> Result<(), Problem> {
    match Target::of(url, &api.settings().guard) {
        Ok(_) => Ok(()),
        Err(message) => Err(Problem::invalid("/url", &message)),
    }
}

/// Makes a webhook. The answer holds what the receiver verifies with: a public key, or a secret that is shown here only.
#[utoipa::path(post, path = "/v1/webhooks", tag = "webhooks", security(("key" = ["admin"])), request_body = WebhookContent,
    params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body again: the same webhook")),
    responses((status = 201, description = "It was made", body = Webhook,
            headers(("Location" = String, description = "Where it is"), ("ETag" = String, description = "Its version"))),
        (status = 409, description = "A call with this key is at work, or there are too many, or the cursor lies ahead of the feed or is of another epoch", body = ProblemBody, content_type = "application/problem+json"),
        (status = 410, description = "Events from there on were removed, since their time was over; `beginning` is where the feed begins now",
            body = ProblemBody, content_type = "application/problem+json"),
        Keyed, Sent))]
pub(super) async fn post(
    State(api): State<Api>,
    caller: Caller<Admin>,
    headers: HeaderMap,
    body: Body<WebhookContent>,
) -> Result<Response, Problem> {
    let key = idempotency::key(&headers)?;
    let call = Call {
        api: &api,
        client: &caller.id,
        key: key.as_deref(),
        route: "webhooks",
        body: &body.bytes,
    };
    let (api, actor, content) = (api.clone(), caller.actor.clone(), body.value);
    let work = async move {
        check(&api, &content.url)?;
        let filter = Filter {
            types: content.types,
            themes: content.themes,
        };
        known_themes(&api, &filter).await?;
        let new = NewWebhook {
            url: content.url,
            description: content.description,
            filter,
            scheme: content.scheme.map_or(Scheme::Ed25519, Scheme::from),
            from: begin(&api, "/from", content.from.as_deref().unwrap_or("now")).await?,
        };
        let made = api.core().webhooks.create(&actor, &new).await?;
        told(&api, StatusCode::CREATED, made).await
    };
    idempotency::once(call, idempotency::answer, work).await
}

/// What is answered to who made it or gave it another key.
async fn told(api: &Api, status: StatusCode, webhook: webhook::Webhook) -> Result<(StatusCode, String), Problem> {
    let shown = shown(webhook, &epoch(api).await?, true);
    let text = serde_json::to_string(&shown).map_err(|error| CoreError::Store(error.to_string()))?;
    Ok((status, text))
}

/// Every webhook, and how it goes.
#[utoipa::path(get, path = "/v1/webhooks", tag = "webhooks", security(("key" = ["admin"])),
    responses((status = 200, description = "The webhooks", body = WebhookList), Keyed))]
pub(super) async fn list(State(api): State<Api>, _caller: Caller<Admin>) -> Result<Json<WebhookList>, Problem> {
    let (found, epoch) = (api.core().webhooks.list().await?, epoch(&api).await?);
    Ok(Json(WebhookList {
        items: found.into_iter().map(|webhook| shown(webhook, &epoch, false)).collect(),
    }))
}

/// One webhook, with its ETag.
#[utoipa::path(get, path = "/v1/webhooks/{id}", tag = "webhooks", security(("key" = ["admin"])), params(("id" = String, Path)),
    responses((status = 200, description = "The webhook", body = Webhook, headers(("ETag" = String, description = "Its version"))), Keyed, One))]
pub(super) async fn get(State(api): State<Api>, _caller: Caller<Admin>, Id(id): Id) -> Result<Response, Problem> {
    let webhook = api.core().webhooks.get(&id).await?;
    let version = webhook.version;
    Ok(tagged(Json(shown(webhook, &epoch(&api).await?, false)), version))
}

/// Changes a webhook. Another filter counts from its position on; another address, and switching it on, end the pause after
/// failures.
#[utoipa::path(patch, path = "/v1/webhooks/{id}", tag = "webhooks", security(("key" = ["admin"])),
    request_body(content = WebhookPatch, content_type = "application/merge-patch+json", description = "RFC 7396; `application/json` is taken for the same"),
    params(("id" = String, Path), ("If-Match" = String, Header, description = "The ETag of the version that was read")),
    responses((status = 200, description = "The webhook as it is now", body = Webhook, headers(("ETag" = String, description = "Its new version"))),
        Keyed, One, Sent,
        (status = 412, description = "Somebody else was faster: read it again", body = ProblemBody, content_type = "application/problem+json"),
        (status = 428, description = "If-Match is missing", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn patch(
    State(api): State<Api>,
    caller: Caller<Admin>,
    Id(id): Id,
    headers: HeaderMap,
    body: Body<WebhookPatch>,
) -> Result<Response, Problem> {
    let expected = match etag::if_match(&headers)? {
        Match::Any => Expected::Any,
        Match::Versions(versions) => Expected::Versions(versions),
    };
    let content = body.value;
    if let Some(url) = &content.url {
        check(&api, url)?;
    }
    let named = Filter {
        types: Vec::new(),
        themes: content.themes.clone().unwrap_or_default(),
    };
    known_themes(&api, &named).await?;
    let patch = Patch {
        url: content.url,
        description: content.description,
        types: content.types,
        themes: content.themes,
        active: content.state.map(|state| state == Switch::Active),
    };
    let webhook = api.core().webhooks.patch(&caller.actor, &id, &expected, &patch).await?;
    let version = webhook.version;
    Ok(tagged(Json(shown(webhook, &epoch(&api).await?, false)), version))
}

/// Removes a webhook and its deliveries.
#[utoipa::path(delete, path = "/v1/webhooks/{id}", tag = "webhooks", security(("key" = ["admin"])), params(("id" = String, Path)),
    responses((status = 204, description = "It is gone"), Keyed, One))]
pub(super) async fn delete(State(api): State<Api>, caller: Caller<Admin>, Id(id): Id) -> Result<StatusCode, Problem> {
    api.core().webhooks.remove(&caller.actor, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives a webhook another key. For a time both sign, so that the receiver takes the new one over without missing anything.
#[utoipa::path(post, path = "/v1/webhooks/{id}/rotate", tag = "webhooks", security(("key" = ["admin"])), request_body = Rotation,
    params(("id" = String, Path), ("Idempotency-Key" = Option<String>, Header, description = "The same key and body again: the same answer")),
    responses((status = 200, description = "The webhook with its new key", body = Webhook, headers(("ETag" = String, description = "Its new version"))),
        Keyed, One, Sent,
        (status = 409, description = "A call with this key is at work", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn rotate(
    State(api): State<Api>,
    caller: Caller<Admin>,
    Id(id): Id,
    headers: HeaderMap,
    body: Body<Rotation>,
) -> Result<Response, Problem> {
    let (key, route) = (idempotency::key(&headers)?, format!("webhooks/{id}/rotate"));
    let call = Call {
        api: &api,
        client: &caller.id,
        key: key.as_deref(),
        route: &route,
        body: &body.bytes,
    };
    let (api, actor, rotation) = (api.clone(), caller.actor.clone(), body.value);
    let work = async move {
        let hours = rotation.overlap_hours.unwrap_or(OVERLAP);
        if hours > LONGEST_OVERLAP {
            let message = format!("must be a number from 0 to {LONGEST_OVERLAP}");
            return Err(Problem::invalid("/overlap_hours", &message));
        }
        let scheme = rotation.scheme.map(Scheme::from);
        let turned = api.core().webhooks.rotate(&actor, &id, scheme, i64::from(hours) * HOUR).await?;
        told(&api, StatusCode::OK, turned).await
    };
    idempotency::once(call, idempotency::placeless, work).await
}

/// Stands a webhook elsewhere in the feed: what lies behind is sent, under the ids that it had before.
#[utoipa::path(post, path = "/v1/webhooks/{id}/replay", tag = "webhooks", security(("key" = ["admin"])), request_body = Replay,
    params(("id" = String, Path)),
    responses((status = 202, description = "The webhook as it stands now", body = Webhook),
        (status = 409, description = "The cursor lies ahead of the feed, or is of another epoch", body = ProblemBody, content_type = "application/problem+json"),
        (status = 410, description = "Events from there on were removed, since their time was over; `beginning` is where the feed begins now",
            body = ProblemBody, content_type = "application/problem+json"),
        Keyed, One, Sent))]
pub(super) async fn replay(State(api): State<Api>, caller: Caller<Admin>, Id(id): Id, body: Body<Replay>) -> Result<Response, Problem> {
    let from = begin(&api, "/after", &body.value.after).await?;
    let webhook = api.core().webhooks.replay(&caller.actor, &id, from).await?;
    Ok((StatusCode::ACCEPTED, Json(shown(webhook, &epoch(&api).await?, false))).into_response())
}
