//! Requests as other systems know them: brought in, found and told of under the other system's own id.

use axum::extract::State;
use axum::http::header::{IF_MATCH, IF_NONE_MATCH, LOCATION};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;
use voxea_core::artefact::Blobs;
use voxea_core::base::account::Channel;
use voxea_core::base::actor::Actor;
use voxea_core::base::error::CoreError;
use voxea_core::base::failpoint;
use voxea_core::base::grant::Operation;
use voxea_core::base::percent;
use voxea_core::base::time;
use voxea_core::contact::{Dedup, Outcome};
use voxea_core::request::{ExternalId, NewExternal, Patch, RequestRow};

use super::intake::{self, By, Taken};
use super::requests::{Request, changed, channel_schema};
use crate::http::api::Api;
use crate::http::auth::{Caller, Intake, Read, Reply};
use crate::http::etag::{self, Match};
use crate::http::extract::{Body, Content, Ids, Rooted, tagged};
use crate::http::openapi::{Keyed, One, Problem as ProblemBody, Sent};
use crate::http::problem::{Kind, Problem};
use crate::http::reads::Named;
use crate::http::shape::shape;

/// A request as another system has it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Brought {
    /// By which the citizen came there; `teleservice` when left out.
    #[schema(schema_with = channel_schema)]
    channel: Option<Channel>,
    /// The citizen's number or address, if there is one.
    #[schema(example = "+33612345678")]
    from: Option<String>,
    /// The citizen's name.
    name: Option<String>,
    /// What it is about.
    subject: Option<String>,
    /// What the citizen said or wrote; needed where the request is new.
    text: Option<String>,
    /// When, RFC 3339; now when left out.
    #[schema(example = "2026-11-24T08:00:00Z")]
    occurred_at: Option<String>,
    /// The theme's code.
    theme: Option<String>,
    /// What the form asks beyond these, by the theme's JSON Schema.
    #[schema(value_type = Option<Object>)]
    fields: Option<Value>,
    /// Where it stands there, in the other system's own word.
    status: Option<String>,
}

/// Where a request stands in another system.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Telling {
    /// Its id there. It stays, once it was said.
    id: String,
    /// Where it stands there, in that system's own word; nothing when left out.
    status: Option<String>,
}

/// The request that another system knows by this id.
#[utoipa::path(get, path = "/v1/requests/by-external/{system}/{id}", tag = "external", security(("key" = ["read"])),
    params(("system" = String, Path, description = "The code of the system"), ("id" = String, Path, description = "The id there")),
    responses((status = 200, description = "The request", body = Request, headers(("ETag" = String, description = "Its version"))), Keyed, One))]
pub(super) async fn get(State(api): State<Api>, caller: Caller<Read>, Ids(system, id): Ids) -> Result<Response, Problem> {
    // What can be no id is nobody's.
    let name = ExternalId::new(&system, &id).map_err(|_| Problem::not_found("request"))?;
    let row = api.core().desk.by_external(&caller.actor, &name).await?;
    let (version, read) = (row.version, Named(format!("request/{}", row.id)));
    let mut response = tagged(shape(&caller.actor, Request::from(row)), version);
    response.extensions_mut().insert(read);
    Ok(response)
}

/// Brings a request in that another system knows, once however often it is sent, or tells of it again. What was sent before
/// changes nothing. `status` is the other system's to say, and is taken as it comes; `subject` and `theme` are agents' too, so
/// that changing them needs the scope `reply` and If-Match; the rest is what the citizen said, and stays: who neither brought it in
/// nor may read it leaves it out. What is left out stays as it is. `If-None-Match: *` brings a new one in or nothing.
#[utoipa::path(put, path = "/v1/requests/by-external/{system}/{id}", tag = "external", security(("key" = ["intake"])), request_body = Brought,
    params(("system" = String, Path, description = "The code of the system: lower-case letters, digits and hyphens"), ("id" = String, Path, description = "The id there: 1 to 200 visible characters"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that was read, or `*`; needed to change subject or theme"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there is none yet")),
    responses((status = 201, description = "It was brought in", body = Request, headers(("Location" = String), ("ETag" = String))),
        (status = 200, description = "It is there; for who may not read it, no more than its id, reference and version", body = Request, headers(("ETag" = String, description = "Its version"))),
        Keyed, One, Sent,
        (status = 409, description = "It is being brought in at this moment", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "If-None-Match was sent and it is there, or If-Match and it was changed or is not there", body = ProblemBody, content_type = "application/problem+json"),
        (status = 428, description = "Subject or theme would change, and If-Match is missing", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn put(
    State(api): State<Api>,
    caller: Caller<Intake>,
    Ids(system, id): Ids,
    headers: HeaderMap,
    Content(body): Content<Brought>,
) -> Result<Response, Problem> {
    let name = named(&system, &id)?;
    let (unless, wanted) = conditions(&headers)?;
    let told = NewExternal::new(name.clone(), body.value.status.clone())?;
    let there = match api.core().desk.by_external(&Actor::System, &name).await {
        Err(CoreError::NotFound { .. }) => match bring(&api, &caller, told.clone(), wanted.as_ref(), &body).await? {
            Ok(response) => return Ok(response),
            Err(there) => there,
        },
        found => found?,
    };
    let reach = |operation| {
        let reach = api.core().catalogue.reach(&caller.actor, operation);
        reach.covers(&there.channel, there.theme.as_deref())
    };
    if !reach(Operation::Intake) && !reach(Operation::Reply) {
        return Err(Problem::not_found("request"));
    }
    let reads = reach(Operation::Read);
    if unless {
        return Err(Problem::new(Kind::STALE, "If-None-Match: * was sent, and the request is there").with("current", there.version.into()));
    }
    update(&api, &caller, (there, reads), &told, wanted, body).await
}

fn named(system: &str, id: &str) -> Result<ExternalId, Problem> {
    ExternalId::new(system, id).map_err(|error| match error {
        CoreError::Invalid { pointer, message } => Problem::invalid_parameter(pointer.trim_start_matches('/'), &message),
        other => other.into(),
    })
}

/// `If-None-Match: *`, and what If-Match accepts; neither is needed.
fn conditions(headers: &HeaderMap) -> Result<(bool, Option<Match>), Problem> {
    if headers.contains_key(IF_NONE_MATCH) {
        return etag::expected(headers).map(|_absent| (true, None));
    }
    let wanted = headers.contains_key(IF_MATCH).then(|| etag::if_match(headers)).transpose()?;
    Ok((false, wanted))
}

/// Brings it in, unless somebody did at the same moment: then what is there.
async fn bring(
    api: &Api,
    caller: &Caller<Intake>,
    told: NewExternal,
    wanted: Option<&Match>,
    body: &Body<Brought>,
) -> Result<Result<Response, RequestRow>, Problem> {
    if wanted.is_some() {
        return Err(Problem::new(
            Kind::STALE,
            "If-Match was sent, and no request has this id; leave it out to bring one in",
        ));
    }
    let channel = body.value.channel.unwrap_or(Channel::Teleservice);
    let taken = body.value.taken()?;
    intake::acceptable(api, &caller.actor, channel, &taken).await?;
    let name = told.name.clone();
    let by = By {
        actor: caller.actor.clone(),
        epoch: api.epoch(),
        dedup: Dedup::Key(name.dedup_key()),
    };
    let mut contact = taken.contact(channel, by, intake::raw(body), time::now())?;
    contact.native_id = Some(name.id().to_owned());
    contact.external = Some(told);
    let (accepted, request) = intake::accept(api, contact).await?;
    failpoint::hit("http.external.before_answer");
    if accepted.outcome == Outcome::Fresh {
        let headers = [(LOCATION, location(&name))];
        let version = request.version;
        return Ok(Ok(
            (StatusCode::CREATED, headers, tagged(shape(&caller.actor, request), version)).into_response()
        ));
    }
    match api.core().desk.by_external(&Actor::System, &name).await {
        Err(CoreError::NotFound { .. }) => {
            Err(Problem::new(Kind::CONFLICT, "a request is being given this id at this moment; try again").retry_after(1))
        }
        found => Ok(Err(found?)),
    }
}

/// Tells of a request that is there, and that the caller may read or not.
async fn update(
    api: &Api,
    caller: &Caller<Intake>,
    (there, reads): (RequestRow, bool),
    told: &NewExternal,
    wanted: Option<Match>,
    body: Body<Brought>,
) -> Result<Response, Problem> {
    let (desk, actor) = (&api.core().desk, &caller.actor);
    if let Some(Match::Versions(versions)) = &wanted
        && !versions.contains(&there.version)
    {
        return Err(CoreError::Stale {
            expected: versions.first().copied().unwrap_or(-1),
            current: there.version,
        }
        .into());
    }
    let patch = change(api, actor, (&there, reads), &body, wanted.is_some()).await?;
    if patch.subject.is_some() || patch.theme.is_some() {
        if !actor.may(Operation::Reply) {
            return Err(Problem::new(
                Kind::FORBIDDEN,
                "changing subject or theme of a request needs a key with the scope `reply` too",
            )
            .with("scope", "reply".into()));
        }
        let Some(wanted) = &wanted else {
            return Err(Problem::new(
                Kind::PRECONDITION,
                "subject or theme would change, and somebody here may have changed them: send If-Match with the ETag of the version that \
                 you read, or * to change whatever is there",
            ));
        };
        let current = || async { Ok(desk.get(&Actor::System, &there.id).await?.version) };
        etag::changing(wanted, current, |version| desk.patch(actor, &there.id, version, &patch)).await?;
    }
    if told.status.is_some() {
        // The intake's own word of it, whether or not the caller may answer citizens.
        desk.said_external(actor, &there.id, told).await?;
    }
    let row = desk.get(&Actor::System, &there.id).await?;
    let unchanged = row.version == there.version;
    Ok(changed(api, actor, row, unchanged))
}

/// Whether it was the caller who brought the request in.
async fn brought_by(api: &Api, actor: &Actor, request_id: &str) -> Result<bool, Problem> {
    let history = api.core().desk.history(&Actor::System, request_id).await?;
    Ok(history.first().is_some_and(|entry| entry.actor == actor.to_string()))
}

/// What a body changes of a request that the caller may not read. It is compared with what the caller itself brought, and with
/// nothing else: an answer that told what is there and what is not would let it guess what the citizen said or an agent decided.
fn unseen(actor: &Actor, brought: &Brought, is_theirs: bool, expects: bool) -> Result<Patch, Problem> {
    let said = [
        ("/text", brought.text.is_some()),
        ("/name", brought.name.is_some()),
        ("/from", brought.from.is_some()),
        ("/channel", brought.channel.is_some()),
        ("/occurred_at", brought.occurred_at.is_some()),
        ("/fields", brought.fields.is_some()),
    ];
    if let Some((pointer, _)) = said.iter().find(|(_, said)| *said && !is_theirs) {
        let detail = "is what the citizen said, and only who brought the request in or may read it sends it again; leave it out";
        return Err(Problem::invalid(pointer, detail));
    }
    if is_theirs && !expects && !actor.may(Operation::Reply) {
        // All of it is sent again, with another status perhaps: what agents have made of the rest stays.
        return Ok(Patch::default());
    }
    Ok(Patch {
        subject: brought.subject.clone().map(Some),
        theme: brought.theme.clone().map(Some),
        ..Patch::default()
    })
}

/// What a body changes of a request; nothing when it is what brought the request in, to the byte. `expects` says that it names the
/// version that it is to change.
async fn change(
    api: &Api,
    actor: &Actor,
    (there, reads): (&RequestRow, bool),
    body: &Body<Brought>,
    expects: bool,
) -> Result<Patch, Problem> {
    let brought = &body.value;
    if !reads && !brought_by(api, actor, &there.id).await? {
        return unseen(actor, brought, false, expects);
    }
    let contacts = api.core().interactions.of_request(&Actor::System, &there.id).await?;
    let hash = Blobs::hash(&body.bytes);
    if contacts.iter().any(|contact| contact.row.raw_sha256.as_ref() == Some(&hash)) {
        return Ok(Patch::default());
    }
    let first = contacts
        .iter()
        .find(|contact| contact.row.direction == "in")
        .map(|contact| &contact.row);
    let stays = |pointer: &str, same: bool| {
        if same {
            return Ok(());
        }
        let detail = "is what the citizen said, and stays as it came; leave it out, and send what they said since by POST /v1/intake/…";
        Err(Problem::invalid(pointer, detail))
    };
    let unless = |said: &Option<String>, has: Option<&String>| said.is_none() || said.as_ref() == has;
    stays("/text", unless(&brought.text, first.and_then(|first| first.text.as_ref())))?;
    stays("/name", unless(&brought.name, there.from_name.as_ref()))?;
    let from = brought.from.as_deref().map(intake::address);
    stays("/from", unless(&from, Some(&there.from_address)))?;
    stays("/channel", brought.channel.is_none_or(|channel| channel.as_str() == there.channel))?;
    let at = brought.occurred_at.as_deref().map(time::parse_rfc3339);
    stays("/occurred_at", at.is_none_or(|at| at == first.map(|first| first.occurred_at)))?;
    let fields = there.fields.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok());
    stays("/fields", brought.fields.is_none() || brought.fields == fields)?;
    if !reads {
        return unseen(actor, brought, true, expects);
    }
    let differs = |said: &Option<String>, has: &Option<String>| (said.is_some() && said != has).then(|| said.clone());
    Ok(Patch {
        subject: differs(&brought.subject, &there.subject),
        theme: differs(&brought.theme, &there.theme),
        ..Patch::default()
    })
}

impl Rooted for Brought {
    const ROOT: &str = "brought";
}

impl Brought {
    /// What a form would have sent.
    fn taken(&self) -> Result<Taken, Problem> {
        let text = self.text.clone().ok_or_else(|| {
            Problem::invalid(
                "/text",
                "is missing: no request has this id yet, and a new one needs what the citizen said or wrote",
            )
        })?;
        Ok(Taken {
            from: self.from.clone(),
            name: self.name.clone(),
            subject: self.subject.clone(),
            text,
            occurred_at: self.occurred_at.clone(),
            theme: self.theme.clone(),
            fields: self.fields.clone(),
        })
    }
}

/// Tells by what another system knows a request, and where it stands there. That is the other system's own word, so that no
/// If-Match is needed; one that is sent counts. A request has one id in a system, and an id one request.
#[utoipa::path(put, path = "/v1/requests/{id}/external/{system}", tag = "external", security(("key" = ["reply"])), request_body = Telling,
    params(("id" = String, Path), ("system" = String, Path, description = "The code of the system: lower-case letters, digits and hyphens"),
        ("If-Match" = Option<String>, Header, description = "The ETag of the version that was read")),
    responses((status = 201, description = "It is known by this id from now on", body = Request,
            headers(("Location" = String, description = "Where it is found by the id"), ("ETag" = String, description = "Its new version"))),
        (status = 200, description = "It was known by it", body = Request, headers(("ETag" = String, description = "Its version"))),
        Keyed, One, Sent,
        (status = 409, description = "The id is another request's, or the request has another id there", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "If-Match was sent, and the request was changed", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn tell(
    State(api): State<Api>,
    caller: Caller<Reply>,
    Ids(id, system): Ids,
    headers: HeaderMap,
    body: Body<Telling>,
) -> Result<Response, Problem> {
    let name = match ExternalId::new(&system, &body.value.id) {
        Err(CoreError::Invalid { pointer, message }) if pointer == "/system" => return Err(Problem::invalid_parameter("system", &message)),
        name => name?,
    };
    let told = NewExternal::new(name, body.value.status)?;
    let expected = match headers.contains_key(IF_MATCH).then(|| etag::if_match(&headers)).transpose()? {
        Some(Match::Versions(versions)) => Some(versions),
        Some(Match::Any) | None => None,
    };
    let desk = &api.core().desk;
    let done = desk
        .tell_external(&caller.actor, &id, &crate::http::account(), &told, expected.as_deref())
        .await?;
    let answer = changed(&api, &caller.actor, done.request, false);
    Ok(if done.made {
        (StatusCode::CREATED, [(LOCATION, location(&told.name))], answer).into_response()
    } else {
        answer
    })
}

fn location(name: &ExternalId) -> HeaderValue {
    let path = format!("/v1/requests/by-external/{}/{}", name.system(), percent::encode(name.id()));
    HeaderValue::from_str(&path).unwrap_or(HeaderValue::from_static(""))
}
