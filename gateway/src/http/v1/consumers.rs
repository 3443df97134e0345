//! `/v1/consumers`: for applications that cannot keep a cursor, batches under a lease and their acknowledgement.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use voxea_core::base::error::CoreError;
use voxea_core::base::grant::Operation;
use voxea_core::base::time::{self, rfc3339};
use voxea_core::consumer::{self, Acknowledged, Batch, Lag};
use voxea_core::feed::{Begin, Filter};

use crate::http::api::Api;
use crate::http::auth::{Caller, Read};
use crate::http::cursor::{self, Named};
use crate::http::extract::{Body, Id};
use crate::http::openapi::{Keyed, One, Problem as ProblemBody, Sent};
use crate::http::problem::{Kind, Problem};
use crate::http::stream::Event;

/// Milliseconds of a second.
const SECOND: i64 = 1000;
/// Seconds of a lease when nobody says.
const LEASE: u32 = 60;
/// And at most.
const LONGEST_LEASE: u32 = 3600;
/// Events of a batch when nobody says.
const BATCH: u16 = 100;
/// And at most.
const LARGEST_BATCH: u16 = 500;

/// Which events a consumer gets, and where it begins.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConsumerContent {
    /// Types, `fr.voxea.request.created`, or beginnings of them, `fr.voxea.request.*`; all when left out.
    #[serde(default)]
    #[schema(example = json!(["fr.voxea.request.*"]))]
    types: Vec<String>,
    /// Codes of themes, `_none` for requests without one; a request that leaves for another theme is a tombstone. All when left out.
    #[serde(default)]
    #[schema(example = json!(["voirie"]))]
    themes: Vec<String>,
    /// `beginning`, `now` (when left out), or a cursor of `GET /v1/changes`. Of a consumer that is there it changes nothing:
    /// that is `…/rewind`'s.
    #[schema(example = "now")]
    from: Option<String>,
    /// Who has it from now on, as `owner` shows it: an admin key hands it over to an application's new key.
    #[schema(example = "key:0123456789ab")]
    owner: Option<String>,
}

/// Where an application stands in the feed.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Consumer {
    /// Unique in the town.
    #[schema(example = "gru")]
    name: String,
    /// Who may use it.
    owner: String,
    /// Which types it gets; all when empty.
    types: Vec<String>,
    /// Which themes; all when empty.
    themes: Vec<String>,
    /// Everything up to here was acknowledged, or is not for it: a cursor of `GET /v1/changes`.
    position: String,
    /// How far it is behind.
    lag: ConsumerLag,
    /// When a batch went out last.
    last_batch_at: Option<String>,
    /// When one was acknowledged last.
    last_ack_at: Option<String>,
    /// The batch that is out.
    lease: Option<ConsumerLease>,
    /// When it was made.
    created_at: String,
}

/// How far a consumer is behind the feed. What is not for it counts until it asks for a batch.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConsumerLag {
    /// Events, at most.
    events: i64,
    /// The age of the first of them; 0 when there is none.
    seconds: f64,
}

/// A batch that is out.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConsumerLease {
    /// Until when nobody else gets one.
    until: String,
    /// How many events.
    events: i64,
}

/// The consumers of a client.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConsumerList {
    /// By name.
    items: Vec<Consumer>,
}

/// How much, and for how long.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BatchWanted {
    /// Events at most, 1 to 500; 100 when left out.
    #[schema(minimum = 1, maximum = 500)]
    limit: Option<u16>,
    /// Within this time it is to be acknowledged, 1 to 3600; 60 when left out.
    #[schema(minimum = 1, maximum = 3600)]
    lease_seconds: Option<u32>,
}

/// Events for one worker.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ConsumerBatch {
    /// In commit order; empty when there is nothing for it.
    items: Vec<Event>,
    /// What acknowledges exactly these; null when there are none.
    lease: Option<String>,
    /// Until when nobody else gets a batch.
    lease_until: Option<String>,
    /// Where the consumer will stand then.
    next: String,
    /// Whether more was there: ask again once these are acknowledged.
    has_more: bool,
}

/// What was worked through.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Ack {
    /// Of the batch.
    lease: String,
}

/// Where a consumer stands now.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Acked {
    /// A cursor of `GET /v1/changes`.
    position: String,
}

/// Where it shall stand.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Rewind {
    /// `beginning`, `now`, or a cursor of `GET /v1/changes`.
    #[schema(example = "beginning")]
    to: String,
}

/// Reads where in the feed to stand.
///
/// # Errors
/// 422 with a pointer for what is neither a word nor a cursor of ours; 409 for a cursor of another epoch.
pub(super) async fn begin(api: &Api, pointer: &str, text: &str) -> Result<Begin, Problem> {
    match text {
        "beginning" => Ok(Begin::Beginning),
        "now" => Ok(Begin::Now),
        cursor => {
            let unreadable = |_| {
                Problem::invalid(
                    pointer,
                    "must be `beginning`, `now`, or a cursor as GET /v1/changes gave it in `next`",
                )
            };
            let named = Named::read(cursor).map_err(unreadable)?;
            let (position, _) = named.within(&api.core().feed.state().await?)?;
            Ok(Begin::Position(position))
        }
    }
}

/// Refuses a theme that there is not: nothing would ever come of it.
///
/// # Errors
/// 422 with a pointer.
pub(super) async fn known_themes(api: &Api, filter: &Filter) -> Result<(), Problem> {
    if filter.codes().next().is_none() {
        return Ok(());
    }
    let catalogue = api.core().catalogue.fresh().await?;
    match filter.codes().find(|(_, code)| catalogue.theme(code).is_none()) {
        Some((at, _)) => Err(Problem::invalid(
            &format!("/themes/{at}"),
            "must be the code of a theme; `GET /v1/themes` lists them, and `_none` stands for requests without one",
        )),
        None => Ok(()),
    }
}

fn shown(consumer: consumer::Consumer, lag: Lag, epoch: &str) -> Consumer {
    let leased = consumer.is_leased(time::now());
    Consumer {
        lease: leased.then(|| ConsumerLease {
            until: rfc3339(consumer.lease_until),
            events: consumer.lease_events,
        }),
        name: consumer.name,
        owner: consumer.owner,
        types: consumer.filter.types,
        themes: consumer.filter.themes,
        position: cursor::of_feed(epoch, consumer.position),
        lag: ConsumerLag {
            events: lag.events,
            #[expect(clippy::cast_precision_loss, reason = "a lag of more than 2^52 ms is none")]
            seconds: lag.age as f64 / 1000.0,
        },
        last_batch_at: consumer.batch_at.map(rfc3339),
        last_ack_at: consumer.ack_at.map(rfc3339),
        created_at: rfc3339(consumer.created_at),
    }
}

async fn with_lag(api: &Api, consumer: consumer::Consumer) -> Result<Consumer, Problem> {
    let lag = api.core().consumers.lag(&consumer, time::now()).await?;
    let state = api.core().feed.state().await?;
    Ok(shown(consumer, lag, &state.epoch))
}

/// The caller's consumers; of an admin key, all.
#[utoipa::path(get, path = "/v1/consumers", tag = "changes", security(("key" = ["read"])),
    responses((status = 200, description = "The consumers", body = ConsumerList), Keyed))]
pub(super) async fn list(State(api): State<Api>, caller: Caller<Read>) -> Result<Json<ConsumerList>, Problem> {
    let mut items = Vec::new();
    for consumer in api.core().consumers.list(&caller.actor).await? {
        items.push(with_lag(&api, consumer).await?);
    }
    Ok(Json(ConsumerList { items }))
}

/// One consumer.
#[utoipa::path(get, path = "/v1/consumers/{name}", tag = "changes", security(("key" = ["read"])), params(("name" = String, Path)),
    responses((status = 200, description = "The consumer", body = Consumer), Keyed, One))]
pub(super) async fn get(State(api): State<Api>, caller: Caller<Read>, Id(name): Id) -> Result<Json<Consumer>, Problem> {
    let consumer = api.core().consumers.get(&caller.actor, &name).await?;
    with_lag(&api, consumer).await.map(Json)
}

/// Makes a consumer, or gives the one that is there another filter, from its position on; a batch that is out comes again
/// then. The same content changes nothing, so that an application may say it at every start.
#[utoipa::path(put, path = "/v1/consumers/{name}", tag = "changes", security(("key" = ["read"])), request_body = ConsumerContent,
    params(("name" = String, Path)),
    responses((status = 200, description = "The consumer as it is now", body = Consumer), (status = 201, description = "It was made", body = Consumer),
        (status = 409, description = "The name is another client's, there are too many, or the cursor lies ahead of the feed or is of another epoch", body = ProblemBody, content_type = "application/problem+json"),
        (status = 410, description = "Events from there on were removed, since their time was over; `beginning` is where the feed begins now",
            body = ProblemBody, content_type = "application/problem+json"),
        Keyed, One, Sent))]
pub(super) async fn put(
    State(api): State<Api>,
    caller: Caller<Read>,
    Id(name): Id,
    body: Body<ConsumerContent>,
) -> Result<Response, Problem> {
    let content = body.value;
    // Where one that is there began is long past: it is not judged again. Should it be removed at this very moment, the new one
    // begins at the beginning, which repeats and loses nothing.
    let from = match api.core().consumers.get(&caller.actor, &name).await {
        Ok(_) => Begin::Beginning,
        Err(CoreError::NotFound { .. }) => begin(&api, "/from", content.from.as_deref().unwrap_or("now")).await?,
        Err(error) => return Err(error.into()),
    };
    let filter = Filter {
        types: content.types,
        themes: content.themes,
    };
    known_themes(&api, &filter).await?;
    // Who may not hand it over is refused for that, and is not told which clients there are.
    if let Some(owner) = content.owner.as_deref().filter(|_| caller.actor.may(Operation::Admin)) {
        known_owner(&api, owner).await?;
    }
    let put = api
        .core()
        .consumers
        .put(&caller.actor, &name, &filter, from, content.owner.as_deref());
    let made = put.await.map_err(|error| match error {
        // The name is the path's.
        CoreError::Invalid { pointer, message } if pointer == "/name" => Problem::invalid_parameter("name", &message),
        other => other.into(),
    })?;
    let status = if made.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(with_lag(&api, made.consumer).await?)).into_response())
}

/// Refuses an owner that is nobody: its reader would stop without being told why.
async fn known_owner(api: &Api, owner: &str) -> Result<(), Problem> {
    let core = api.core();
    let known = match owner.split_once(':') {
        Some(("key", id)) => core.keys.list().await?.iter().any(|key| key.id == id && key.revoked_at.is_none()),
        Some(("oauth", name)) => {
            let clients = core.people.clients.list().await?;
            clients
                .iter()
                .any(|client| client.revoked_at.is_none() && name == format!("{}/{}", client.issuer, client.subject))
        }
        Some(("agent", id)) => match core.people.agents.by_id(id).await {
            Err(CoreError::NotFound { .. }) => false,
            found => found.map(|_agent| true)?,
        },
        _ => false,
    };
    if known {
        return Ok(());
    }
    let detail = "is no client that there is: `key:` and the public part of a key that was not taken back, as `voxea key list` shows it";
    Err(Problem::invalid("/owner", detail))
}

/// Removes a consumer, and with it where it stood.
#[utoipa::path(delete, path = "/v1/consumers/{name}", tag = "changes", security(("key" = ["read"])), params(("name" = String, Path)),
    responses((status = 204, description = "It is gone"), Keyed, One))]
pub(super) async fn delete(State(api): State<Api>, caller: Caller<Read>, Id(name): Id) -> Result<StatusCode, Problem> {
    api.core().consumers.remove(&caller.actor, &name).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Gives the next events to one worker. While its lease runs nobody else gets any (409); once it is over without an
/// acknowledgement, the same events come again.
#[utoipa::path(post, path = "/v1/consumers/{name}/batch", tag = "changes", security(("key" = ["read"])), request_body = BatchWanted,
    params(("name" = String, Path)),
    responses((status = 200, description = "The events, perhaps none", body = ConsumerBatch),
        (status = 409, description = "A batch is out; `lease_until` and Retry-After say until when", body = ProblemBody, content_type = "application/problem+json"),
        (status = 410, description = "Events from there on were removed, since their time was over; `beginning` is where the feed begins now",
            body = ProblemBody, content_type = "application/problem+json"),
        Keyed, One, Sent))]
pub(super) async fn batch(
    State(api): State<Api>,
    caller: Caller<Read>,
    Id(name): Id,
    body: Body<BatchWanted>,
) -> Result<Json<ConsumerBatch>, Problem> {
    let limit = body.value.limit.unwrap_or(BATCH);
    let seconds = body.value.lease_seconds.unwrap_or(LEASE);
    if !(1..=LARGEST_BATCH).contains(&limit) {
        return Err(Problem::invalid("/limit", &format!("must be a number from 1 to {LARGEST_BATCH}")));
    }
    if !(1..=LONGEST_LEASE).contains(&seconds) {
        return Err(Problem::invalid(
            "/lease_seconds",
            &format!("must be a number from 1 to {LONGEST_LEASE}"),
        ));
    }
    let (reach, now) = (api.core().catalogue.reach(&caller.actor, Operation::Read), time::now());
    let lease = i64::from(seconds) * SECOND;
    let given = api
        .core()
        .consumers
        .batch(&caller.actor, &reach, &name, usize::from(limit), lease, now)
        .await?;
    let epoch = api.core().feed.state().await?.epoch;
    Ok(Json(match given {
        Batch::Busy { until } => {
            let left = (until - now).max(0).unsigned_abs().div_ceil(SECOND.unsigned_abs());
            return Err(Problem::new(
                Kind::CONFLICT,
                "a batch of this consumer is out; acknowledge it, or ask again when its lease is over",
            )
            .with("lease_until", rfc3339(until).into())
            .retry_after(left.max(1)));
        }
        Batch::Empty { next, has_more } => ConsumerBatch {
            items: Vec::new(),
            lease: None,
            lease_until: None,
            next: cursor::of_feed(&epoch, next),
            has_more,
        },
        Batch::Out {
            events,
            lease,
            until,
            next,
            has_more,
        } => ConsumerBatch {
            items: events.into_iter().map(Event::from).collect(),
            lease: Some(lease),
            lease_until: Some(rfc3339(until)),
            next: cursor::of_feed(&epoch, next),
            has_more,
        },
    }))
}

/// Says that a batch was worked through: the consumer moves on to behind it, and never back. The same may be said twice. A
/// lease that was lost, because others got the events or the consumer was changed, is refused and changes nothing.
#[utoipa::path(post, path = "/v1/consumers/{name}/ack", tag = "changes", security(("key" = ["read"])), request_body = Ack,
    params(("name" = String, Path)),
    responses((status = 200, description = "It was taken", body = Acked),
        (status = 409, description = "The lease is lost; what it held comes, or came, again", body = ProblemBody, content_type = "application/problem+json"),
        Keyed, One, Sent))]
pub(super) async fn ack(State(api): State<Api>, caller: Caller<Read>, Id(name): Id, body: Body<Ack>) -> Result<Json<Acked>, Problem> {
    if body.value.lease.contains('\0') {
        return Err(Problem::invalid("/lease", "must be the `lease` of a batch, as it came"));
    }
    let said = api
        .core()
        .consumers
        .acknowledge(&caller.actor, &name, &body.value.lease, time::now());
    match said.await? {
        Acknowledged::At(position) => {
            let epoch = api.core().feed.state().await?.epoch;
            Ok(Json(Acked {
                position: cursor::of_feed(&epoch, position),
            }))
        }
        Acknowledged::Lost => Err(Problem::new(
            Kind::CONFLICT,
            "the lease is lost: its events were given out again, or the consumer was changed; nothing was moved. Ask for a batch",
        )),
    }
}

/// Stands a consumer elsewhere in the feed, back or further on. A batch that is out loses its lease.
#[utoipa::path(post, path = "/v1/consumers/{name}/rewind", tag = "changes", security(("key" = ["read"])), request_body = Rewind,
    params(("name" = String, Path)),
    responses((status = 200, description = "The consumer as it is now", body = Consumer),
        (status = 409, description = "The cursor lies ahead of the feed, or is of another epoch", body = ProblemBody, content_type = "application/problem+json"),
        (status = 410, description = "Events from there on were removed, since their time was over; `beginning` is where the feed begins now",
            body = ProblemBody, content_type = "application/problem+json"),
        Keyed, One, Sent))]
pub(super) async fn rewind(
    State(api): State<Api>,
    caller: Caller<Read>,
    Id(name): Id,
    body: Body<Rewind>,
) -> Result<Json<Consumer>, Problem> {
    let to = begin(&api, "/to", &body.value.to).await?;
    let consumer = api.core().consumers.rewind(&caller.actor, &name, to).await?;
    with_lag(&api, consumer).await.map(Json)
}
