//! `/v1/requests`: what citizens ask for.

use std::sync::atomic::{AtomicI64, Ordering};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};
use utoipa::{IntoParams, ToSchema};
use voxea_core::base::account::Channel;
use voxea_core::base::actor::Actor;
use voxea_core::base::grant::Operation;
use voxea_core::base::mutant;
use voxea_core::base::time::rfc3339;
use voxea_core::contact::Flag;
use voxea_core::feed;
use voxea_core::request::{Filter, Listed, Patch, RequestLink, RequestRow, Status};

use super::references::External;
use crate::http::api::Api;
use crate::http::auth::{Caller, Read, Reply};
use crate::http::cursor::Named;
use crate::http::extract::{Body, Id, Params, limit, present, tagged};
use crate::http::openapi::{Keyed, One, Problem as ProblemBody, Sent};
use crate::http::problem::{Kind, Problem};
use crate::http::shape::{self, Shaped, shape};
use crate::http::{cursor, etag, reads, stream};

/// Which requests, and how many.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// Only those that came by this channel.
    #[param(schema_with = channel_schema)]
    channel: Option<String>,
    /// Only those in this state.
    #[param(schema_with = status_schema)]
    status: Option<String>,
    /// `quarantined`: only those with a contact that could not be processed and was kept as it came.
    #[param(schema_with = flag_schema)]
    flag: Option<String>,
    /// Only those of these themes: codes with commas between, `_none` for requests without a theme.
    theme: Option<String>,
    /// `true`: the beginning of a copy of everything. `changes` is then the cursor of /v1/changes from which the copy is kept up to
    /// date once all pages are read: whatever changed since it was begun comes after it.
    #[param(value_type = Option<bool>)]
    snapshot: Option<String>,
    /// `next` of an earlier page.
    after: Option<String>,
    /// 1 to 500, 100 when left out.
    #[param(value_type = Option<u16>, minimum = 1, maximum = 500)]
    limit: Option<String>,
}

/// A page of requests.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Requests {
    /// In commit order.
    items: Vec<Request>,
    /// Where to continue; null at the end.
    next: Option<String>,
    /// Of a snapshot: where /v1/changes goes on, the same on all of its pages.
    #[serde(skip_serializing_if = "Option::is_none")]
    changes: Option<String>,
}

/// What a citizen asks for.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Request {
    /// UUIDv7.
    id: String,
    /// For people, with a check digit.
    #[schema(example = "2026-0001234-7")]
    r#ref: String,
    /// Of its first contact.
    #[schema(example = "voicemail")]
    channel: String,
    /// Where it stands.
    #[schema(example = "received")]
    status: String,
    /// What it is about.
    subject: Option<String>,
    /// As the citizen is known: a number, an address.
    from: String,
    /// The name that came with it: of a mail, a call, a form.
    from_name: Option<String>,
    /// When its first contact came.
    received_at: String,
    /// When it changed last.
    updated_at: String,
    /// The theme's code.
    theme: Option<String>,
    /// What a form asked by the schema of the theme that it came with; null where it asked nothing.
    #[schema(value_type = Option<Object>)]
    fields: Option<Value>,
    /// Who works on it.
    assignee: Option<String>,
    /// The id of the citizen whose it is; null while that is not known.
    citizen: Option<String>,
    /// By what other systems know it, in the order of their codes.
    external: Vec<External>,
    /// Rises with every change; the ETag.
    pub(super) version: i64,
    /// Where to go from here.
    links: Links,
}

/// Paths of this API.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Links {
    /// The request itself.
    #[serde(rename = "self")]
    this: String,
    /// Its contacts, in and out.
    interactions: String,
    /// Where answers are posted.
    replies: String,
    /// Requests that belong to it without being it, as far as the caller reaches them.
    related: Vec<Related>,
}

/// Another request that belongs to one.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Related {
    /// `continues`: the later one is what its citizen wrote after the earlier one was over. `mentions`: the later one named the
    /// reference of the earlier one, and nothing shows that its sender has to do with that.
    #[schema(example = "continues")]
    kind: String,
    /// The path of the other request.
    request: String,
    /// Whether the other one is the earlier of the two.
    earlier: bool,
}

impl From<RequestLink> for Related {
    fn from(link: RequestLink) -> Self {
        Self {
            kind: link.kind,
            request: format!("/v1/requests/{}", link.request_id),
            earlier: link.earlier,
        }
    }
}

impl From<RequestRow> for Request {
    fn from(row: RequestRow) -> Self {
        let path = format!("/v1/requests/{}", row.id);
        Self {
            r#ref: row.reference,
            channel: row.channel,
            status: row.status,
            subject: row.subject,
            from: row.from_address,
            from_name: row.from_name,
            received_at: rfc3339(row.received_at),
            updated_at: rfc3339(row.updated_at),
            theme: row.theme,
            // What a broken seal leaves of it is no JSON; the log says which.
            fields: row.fields.and_then(|text| serde_json::from_str(&text).ok()),
            assignee: row.assignee,
            citizen: row.citizen_id,
            external: row.external.into_iter().map(External::from).collect(),
            version: row.version,
            links: Links {
                interactions: format!("{path}/interactions"),
                replies: format!("{path}/replies"),
                related: row.links.into_iter().map(Related::from).collect(),
                this: path,
            },
            id: row.id,
        }
    }
}

/// A merge patch (RFC 7396): members left out stay, `null` empties.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// The new state; moves follow one table, others are refused with 409.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>, example = "in_progress")]
    status: Option<Option<String>>,
    /// What it is about.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    subject: Option<Option<String>>,
    /// The theme's code.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    theme: Option<Option<String>>,
    /// Who works on it.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    assignee: Option<Option<String>>,
    /// The id of the citizen whose it is. What is said here is never changed by a rule, null included.
    #[serde(default, deserialize_with = "present")]
    #[schema(value_type = Option<String>)]
    citizen: Option<Option<String>>,
}

impl From<Listed> for Requests {
    fn from(listed: Listed) -> Self {
        Self {
            items: listed.items.into_iter().map(Request::from).collect(),
            next: listed.next.map(cursor::write),
            changes: None,
        }
    }
}

impl Change {
    fn patch(self) -> Result<Patch, Problem> {
        let status = match self.status {
            None => None,
            Some(None) => return Err(Problem::invalid("/status", "a request always has a status; it cannot be null")),
            Some(Some(text)) => Some(status(&text).ok_or_else(|| Problem::invalid("/status", &format!("must be one of {}", names())))?),
        };
        Ok(Patch {
            status,
            subject: self.subject,
            theme: self.theme,
            assignee: self.assignee,
            citizen: self.citizen,
        })
    }
}

/// Where a list goes on, and where the feed was when the snapshot was begun that it is a page of.
fn place(asked: &Asked, state: &feed::State) -> Result<(i64, Option<i64>), Problem> {
    let snapshot = match asked.snapshot.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::new(Kind::BAD_REQUEST, "`snapshot` must be true or false")),
    };
    match asked.after.as_deref().map(Named::read).transpose()? {
        None => Ok((0, snapshot.then_some(state.head))),
        // The fault that the story of snapshots must see: what changed while the pages were read would be told to nobody.
        Some(cursor) if mutant::active("snapshot_ends_late") => Ok((cursor.within(state)?.0, Some(state.head))),
        Some(cursor) => match cursor.within(state)? {
            (_, None) if snapshot => Err(Problem::new(
                Kind::BAD_REQUEST,
                "`after` is no page of a snapshot; begin one with snapshot=true and without `after`",
            )),
            found => Ok(found),
        },
    }
}

fn status(text: &str) -> Option<Status> {
    text.parse().ok()
}

fn names() -> String {
    statuses().join(", ")
}

fn statuses() -> Vec<&'static str> {
    Status::ALL.iter().map(|status| status.as_str()).collect()
}

fn channels() -> Vec<&'static str> {
    Channel::ALL.iter().map(|channel| channel.as_str()).collect()
}

pub(super) fn channel_schema() -> Object {
    one_of(channels())
}

fn flag_schema() -> Object {
    one_of(vec![Flag::Quarantined.as_str()])
}

fn status_schema() -> Object {
    one_of(statuses())
}

fn one_of(names: Vec<&'static str>) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(names)).build()
}

/// Requests in commit order: continuing from `next` skips none.
#[utoipa::path(get, path = "/v1/requests", tag = "requests", security(("key" = ["read"])), params(Asked),
    responses((status = 200, description = "A page", body = Requests), Keyed,
        (status = 409, description = "The cursor is of another epoch, since a backup was restored: begin again", body = ProblemBody,
            content_type = "application/problem+json"),
        (status = 422, description = "No such channel, status, flag or theme", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn list(State(api): State<Api>, caller: Caller<Read>, Params(asked): Params<Asked>) -> Result<Shaped<Requests>, Problem> {
    let channel = match asked.channel.as_deref() {
        Some(text) => Some(
            text.parse::<Channel>()
                .map_err(|_| Problem::invalid_parameter("channel", &format!("must be one of {}", channels().join(", "))))?,
        ),
        None => None,
    };
    let status = match asked.status.as_deref() {
        Some(text) => Some(status(text).ok_or_else(|| Problem::invalid_parameter("status", &format!("must be one of {}", names())))?),
        None => None,
    };
    let quarantined = match asked.flag.as_deref() {
        Some(flag) if flag == Flag::Quarantined.as_str() => true,
        Some(_) => return Err(Problem::invalid_parameter("flag", "must be quarantined")),
        None => false,
    };
    let limit = limit(asked.limit.as_deref())?;
    // Before the list: what changes from now on is told after this.
    let state = api.core().feed.state().await?;
    let (after, begun) = place(&asked, &state)?;
    let named: Vec<&str> = asked.theme.iter().flat_map(|list| list.split(',')).collect();
    let filter = Filter {
        channel,
        status,
        themes: stream::themes(&api, &named).await?,
        quarantined,
        after,
        // What comes later is told by the feed.
        until: begun,
        ..Filter::default()
    };
    let listed = api.core().desk.list(&caller.actor, filter, limit).await?;
    let next = |position| match begun {
        Some(begun) => cursor::of_snapshot(&state.epoch, position, begun),
        None => cursor::of_feed(&state.epoch, position),
    };
    let page = Requests {
        next: listed.next.map(next),
        items: listed.items.into_iter().map(Request::from).collect(),
        changes: begun.map(|begun| cursor::of_feed(&state.epoch, begun)),
    };
    Ok(shape(&caller.actor, page))
}

/// One request, with its ETag.
#[utoipa::path(get, path = "/v1/requests/{id}", tag = "requests", security(("key" = ["read"])), params(("id" = String, Path)),
    responses((status = 200, description = "The request", body = Request, headers(("ETag" = String, description = "Its version"))), Keyed, One))]
pub(super) async fn get(State(api): State<Api>, caller: Caller<Read>, Id(id): Id) -> Result<Response, Problem> {
    let row = api.core().desk.get(&caller.actor, &id).await?;
    let version = row.version;
    Ok(tagged(shape(&caller.actor, Request::from(row)), version))
}

/// Changes status, subject, theme, assignee or citizen of the version that was read.
#[utoipa::path(patch, path = "/v1/requests/{id}", tag = "requests", security(("key" = ["reply"])),
    params(("id" = String, Path), ("If-Match" = String, Header, description = "The ETag of the version that was read")),
    request_body(content = Change, content_type = "application/merge-patch+json", description = "RFC 7396; `application/json` is taken for the same"),
    responses((status = 200, description = "The request as it is now", body = Request, headers(("ETag" = String, description = "Its new version"))),
        Keyed, One, Sent,
        (status = 409, description = "The table of moves does not have this one", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "Somebody else was faster: read it again", body = ProblemBody, content_type = "application/problem+json"),
        (status = 428, description = "If-Match is missing", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn patch(
    State(api): State<Api>,
    caller: Caller<Reply>,
    Id(id): Id,
    headers: HeaderMap,
    change: Body<Change>,
) -> Result<Response, Problem> {
    let wanted = etag::if_match(&headers)?;
    let patch = change.value.patch()?;
    let (desk, actor) = (&api.core().desk, &caller.actor);
    // Who may change it need not read it; whom it is kept from, the change itself refuses.
    let current = || async { Ok(desk.get(&Actor::System, &id).await?.version) };
    let found = AtomicI64::new(-1);
    let changing = |version| {
        found.store(version, Ordering::Relaxed);
        desk.patch(actor, &id, version, &patch)
    };
    let row = etag::changing(&wanted, current, changing).await?;
    let unchanged = found.into_inner() == row.version;
    Ok(changed(&api, actor, row, unchanged))
}

/// A request as it is answered to who changed it, or would have: all of it to who may read it, and else no more than that it is
/// there, and its version. What shows it and changed nothing is a read.
pub(super) fn changed(api: &Api, actor: &Actor, mut row: RequestRow, unchanged: bool) -> Response {
    let (version, object) = (row.version, format!("request/{}", row.id));
    let reach = api.core().catalogue.reach(actor, Operation::Read);
    if !reach.covers(&row.channel, row.theme.as_deref()) {
        // Other requests are for who reads them.
        row.links.clear();
        return tagged(shape::bare(Request::from(row)), version);
    }
    let mut response = tagged(shape(actor, Request::from(row)), version);
    if unchanged {
        response.extensions_mut().insert(reads::Named(object));
    }
    response
}
