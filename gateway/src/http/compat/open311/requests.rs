//! How far reports have come.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::{Value, json};
use voxea_core::base::error::CoreError;
use voxea_core::base::time::{self, Millis, rfc3339};
use voxea_core::catalogue::Snapshot;
use voxea_core::request::{PublicFilter, PublicRequest};

use super::answer::{Answer, Failure, Format, suffixed};
use super::anybody::Anybody;
use super::services::public;
use super::standing::{standing, statuses};
use crate::http::api::Api;

/// What a list goes back that names no dates (GeoReport v2: "the default query limit is a span of 90 days").
const SPAN: Millis = 90 * 24 * 3600 * 1000;
/// References and codes that one call may name.
const MOST: usize = 100;

pub(super) async fn list(State(api): State<Api>, format: Format, asked: Anybody) -> Answer {
    listed(&api, &asked, format).await.unwrap_or_else(|failure| failure.answer(format))
}

async fn listed(api: &Api, asked: &Anybody, format: Format) -> Result<Answer, Failure> {
    let catalogue = api.core().catalogue.fresh().await?;
    let references = several(asked.get("service_request_id"))?;
    let codes = several(asked.get("service_code"))?;
    let wanted = several(asked.get("status"))?;
    if let Some(odd) = wanted.iter().find(|status| !matches!(status.as_str(), "open" | "closed")) {
        return Err(Failure::new(
            StatusCode::BAD_REQUEST,
            format!("status must be open or closed, not {odd}"),
        ));
    }
    let themes = public(&catalogue).map(|theme| theme.code.clone());
    let themes: Vec<String> = themes.filter(|code| codes.is_empty() || codes.contains(code)).collect();
    if themes.is_empty() && !codes.is_empty() {
        return Err(Failure::new(StatusCode::NOT_FOUND, "service_code provided was not found"));
    }
    let (from, until) = (date("start_date", asked)?, date("end_date", asked)?);
    let filter = if references.is_empty() {
        PublicFilter {
            themes,
            statuses: if wanted.is_empty() {
                statuses(None)
            } else {
                wanted.iter().flat_map(|status| statuses(Some(status))).collect()
            },
            from: from.or_else(|| Some(until.unwrap_or_else(time::now) - SPAN)),
            until,
            references,
        }
    } else {
        // "This overrides all other arguments" (GeoReport v2, GET Service Requests).
        all_public(&catalogue, references)
    };
    let found = api.core().desk.public(&filter).await?;
    let shown = found.iter().filter_map(|request| shown(&catalogue, request));
    Ok(Answer::list(format, "service_requests", "request", shown.collect()))
}

pub(super) async fn get(State(api): State<Api>, Path(id): Path<String>, _asked: Anybody) -> Answer {
    let (id, format) = match suffixed(&id) {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    let found = async {
        let (catalogue, request) = one(&api, id).await?;
        let items = shown(&catalogue, &request).into_iter().collect();
        Ok::<_, Failure>(Answer::list(format, "service_requests", "request", items))
    };
    found.await.unwrap_or_else(|failure| failure.answer(format))
}

/// The moves of a report, as FixMyStreet's extension has them.
pub(super) async fn updates(State(api): State<Api>, Path((id, updates)): Path<(String, String)>, _asked: Anybody) -> Answer {
    let (name, format) = match suffixed(&updates) {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    if name != "updates" {
        return Failure::new(StatusCode::NOT_FOUND, "there is nothing at this path").answer(format);
    }
    let found = async {
        let (_, request) = one(&api, &id).await?;
        let moves = api.core().desk.public_moves(&request.id).await?;
        let items = moves.iter().filter_map(|made| {
            let standing = standing(&made.to_status)?;
            Some(json!({
                "update_id": format!("{}-{}", request.reference, made.version),
                "service_request_id": request.reference,
                "status": standing.status,
                "updated_datetime": rfc3339(made.at),
                "description": standing.notes,
            }))
        });
        Ok::<_, Failure>(Answer::list(format, "service_request_updates", "request_update", items.collect()))
    };
    found.await.unwrap_or_else(|failure| failure.answer(format))
}

/// A report is a request at once, so that its number is its token too.
pub(super) async fn token(State(api): State<Api>, Path(token): Path<String>, _asked: Anybody) -> Answer {
    let (token, format) = match suffixed(&token) {
        Ok(found) => found,
        Err(answer) => return answer,
    };
    match one(&api, token).await {
        Ok((_, request)) => {
            let item = json!({"service_request_id": request.reference, "token": token});
            Answer::list(format, "service_requests", "request", vec![item])
        }
        Err(failure) => failure.answer(format),
    }
}

async fn one(api: &Api, reference: &str) -> Result<(std::sync::Arc<Snapshot>, PublicRequest), Failure> {
    let catalogue = api.core().catalogue.fresh().await?;
    // PostgreSQL takes no NUL in a text.
    let filter = all_public(&catalogue, vec![reference.replace('\0', "")]);
    let found = api
        .core()
        .desk
        .public(&filter)
        .await
        .map_err(|error: CoreError| Failure::from(error))?;
    let found = found.into_iter().next();
    let found = found.ok_or_else(|| Failure::new(StatusCode::NOT_FOUND, "service_request_id provided was not found"))?;
    Ok((catalogue, found))
}

/// The requests of these references, as far as anybody may see them.
fn all_public(catalogue: &Snapshot, references: Vec<String>) -> PublicFilter {
    PublicFilter {
        themes: public(catalogue).map(|theme| theme.code.clone()).collect(),
        statuses: statuses(None),
        references,
        ..PublicFilter::default()
    }
}

/// A request as anybody may see it.
fn shown(catalogue: &Snapshot, request: &PublicRequest) -> Option<Value> {
    let (standing, theme) = (standing(&request.status)?, catalogue.theme(&request.theme)?);
    let agency = catalogue.service(&theme.service).map_or("", |service| service.name.as_str());
    Some(json!({
        "service_request_id": request.reference,
        "status": standing.status,
        "status_notes": standing.notes,
        "service_name": theme.label,
        "service_code": theme.code,
        "agency_responsible": agency,
        "requested_datetime": rfc3339(request.received_at),
        "updated_datetime": rfc3339(request.updated_at),
    }))
}

/// A list with commas.
fn several(text: Option<&str>) -> Result<Vec<String>, Failure> {
    let all: Vec<String> = text
        .unwrap_or_default()
        .split(',')
        .map(|one| one.trim().replace('\0', ""))
        .filter(|one| !one.is_empty())
        .collect();
    if all.len() > MOST {
        return Err(Failure::new(
            StatusCode::BAD_REQUEST,
            format!("at most {MOST} may be named in one call"),
        ));
    }
    Ok(all)
}

fn date(name: &str, asked: &Anybody) -> Result<Option<Millis>, Failure> {
    let read = asked.get(name).map(|text| time::parse_rfc3339(text).ok_or(text));
    read.transpose().map_err(|_| {
        Failure::new(
            StatusCode::BAD_REQUEST,
            format!("{name} must be a time with its zone, such as 2026-11-24T08:00:00Z"),
        )
    })
}
