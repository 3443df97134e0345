//! `/v1/services` and `/v1/catalogue`: who answers, and everything in one piece.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use voxea_core::catalogue::{self, Kind as Entry, Snapshot};

use super::themes::Theme;
use crate::http::api::Api;
use crate::http::auth::{Admin, Caller, Read};
use crate::http::etag;
use crate::http::extract::{Body, Id, made_or_there, tagged};
use crate::http::openapi::{Keyed, One, Problem as ProblemBody, Sent};
use crate::http::problem::Problem;

/// A service without its code, which the path says.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Office {
    /// For people.
    #[schema(example = "Services techniques")]
    name: String,
    /// A domain's code.
    #[schema(example = "environnement")]
    domain: String,
    /// The code of the service that it is part of.
    parent: Option<String>,
    /// Lines separated by LF.
    postal_address: Option<String>,
    /// As it is shown to citizens.
    phone: Option<String>,
    /// As it is shown to citizens.
    email: Option<String>,
    /// When it is open; without them, the organisation's hours.
    #[schema(example = "mo-fr 09:00-12:00 13:30-17:30; sa 09:00-12:00")]
    hours: Option<String>,
    /// Days on which it is closed besides public holidays.
    #[serde(default)]
    closures: Vec<ClosedDays>,
}

/// Days on which a service is closed.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ClosedDays {
    /// The first of them.
    #[schema(format = Date, example = "2026-08-03")]
    first: String,
    /// The last of them; the first when left out.
    #[schema(format = Date)]
    last: Option<String>,
    /// Why, for people.
    label: Option<String>,
}

impl From<&catalogue::ClosedDays> for ClosedDays {
    fn from(days: &catalogue::ClosedDays) -> Self {
        Self {
            first: days.first.clone(),
            last: days.last.clone(),
            label: days.label.clone(),
        }
    }
}

impl From<ClosedDays> for catalogue::ClosedDays {
    fn from(days: ClosedDays) -> Self {
        Self {
            first: days.first,
            last: days.last,
            label: days.label,
        }
    }
}

/// Who answers.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Service {
    /// What `service` of a theme says.
    #[schema(example = "service-technique")]
    code: String,
    #[serde(flatten)]
    office: Office,
    /// Of the catalogue at its last change; the ETag.
    version: i64,
}

/// The services.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Services {
    /// In the catalogue's order.
    items: Vec<Service>,
}

/// Everything, in the order in which it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Whole {
    /// Rises with every change.
    version: i64,
    /// The fields of public action.
    domains: Vec<DomainOf>,
}

/// A field of public action, and who answers in it.
#[derive(Debug, Serialize, ToSchema)]
struct DomainOf {
    /// What `domain` of a service says.
    #[schema(example = "environnement")]
    code: String,
    /// For people.
    label: String,
    /// Who answers.
    services: Vec<ServiceOf>,
}

/// A service and its themes.
#[derive(Debug, Serialize, ToSchema)]
struct ServiceOf {
    #[serde(flatten)]
    service: Service,
    /// What citizens write about.
    themes: Vec<Theme>,
}

impl Service {
    fn of(service: &catalogue::Service, catalogue: &Snapshot) -> Self {
        Self {
            code: service.code.clone(),
            office: Office {
                name: service.name.clone(),
                domain: service.domain.clone(),
                parent: service.parent.clone(),
                postal_address: service.postal_address.clone(),
                phone: service.phone.clone(),
                email: service.email.clone(),
                hours: service.hours.clone(),
                closures: service.closures.iter().map(ClosedDays::from).collect(),
            },
            version: catalogue.version_of(Entry::Service, &service.code).unwrap_or_default(),
        }
    }
}

impl Whole {
    fn of(catalogue: &Snapshot) -> Self {
        let all = &catalogue.document;
        let themes = |code: &str| {
            let of_service = all.themes.iter().filter(|theme| theme.service == code);
            of_service.map(|theme| Theme::of(theme, catalogue)).collect()
        };
        let services = |code: &str| {
            let of_domain = all.services.iter().filter(|service| service.domain == code);
            let with_themes = |service: &catalogue::Service| ServiceOf {
                service: Service::of(service, catalogue),
                themes: themes(&service.code),
            };
            of_domain.map(with_themes).collect()
        };
        let domains = all.domains.iter().map(|domain| DomainOf {
            code: domain.code.clone(),
            label: domain.label.clone(),
            services: services(&domain.code),
        });
        Self {
            version: catalogue.version,
            domains: domains.collect(),
        }
    }
}

/// Domains, their services and their themes.
#[utoipa::path(get, path = "/v1/catalogue", tag = "catalogue", security(("key" = ["read"])),
    params(("If-None-Match" = Option<String>, Header, description = "The ETag of what is at hand")),
    responses((status = 200, description = "All of it", body = Whole, headers(("ETag" = String, description = "Its version"))),
        (status = 304, description = "Nothing has changed"), Keyed))]
pub(super) async fn whole(State(api): State<Api>, _caller: Caller<Read>, headers: HeaderMap) -> Result<Response, Problem> {
    let catalogue = api.core().catalogue.fresh().await?;
    Ok(etag::unless_known(&headers, &format!("\"{}\"", catalogue.version), || {
        Whole::of(&catalogue)
    }))
}

/// The services, with the ETag of the catalogue.
#[utoipa::path(get, path = "/v1/services", tag = "catalogue", security(("key" = ["read"])),
    params(("If-None-Match" = Option<String>, Header, description = "The ETag of what is at hand")),
    responses((status = 200, description = "The services", body = Services, headers(("ETag" = String, description = "Of the list"))),
        (status = 304, description = "Nothing has changed"), Keyed))]
pub(super) async fn list(State(api): State<Api>, _caller: Caller<Read>, headers: HeaderMap) -> Result<Response, Problem> {
    let catalogue = api.core().catalogue.fresh().await?;
    let items = catalogue.document.services.iter().map(|service| Service::of(service, &catalogue));
    Ok(etag::unless_known(&headers, &format!("\"{}\"", catalogue.version), || Services {
        items: items.collect(),
    }))
}

/// One service, with its ETag.
#[utoipa::path(get, path = "/v1/services/{code}", tag = "catalogue", security(("key" = ["read"])), params(("code" = String, Path)),
    responses((status = 200, description = "The service", body = Service, headers(("ETag" = String, description = "Its version"))), Keyed, One))]
pub(super) async fn get(State(api): State<Api>, _caller: Caller<Read>, Id(code): Id) -> Result<Response, Problem> {
    let catalogue = api.core().catalogue.fresh().await?;
    let service = catalogue.service(&code).ok_or_else(|| Problem::not_found("service"))?;
    let shown = Service::of(service, &catalogue);
    let version = shown.version;
    Ok(tagged(Json(shown), version))
}

/// Makes a service (`If-None-Match: *`) or replaces the version that was read (`If-Match`).
#[utoipa::path(put, path = "/v1/services/{code}", tag = "catalogue", security(("key" = ["admin"])), request_body = Office,
    params(("code" = String, Path), ("If-Match" = Option<String>, Header, description = "The ETag of the version that was read"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there is none yet")),
    responses((status = 200, description = "The service as it is now", body = Service, headers(("ETag" = String, description = "Its new version"))),
        (status = 201, description = "The service was made", body = Service, headers(("ETag" = String, description = "Its version"))), Keyed, One, Sent,
        (status = 409, description = "There is one of this code", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "Somebody else was faster: read it again", body = ProblemBody, content_type = "application/problem+json"),
        (status = 428, description = "If-Match or If-None-Match is missing", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn put(
    State(api): State<Api>,
    caller: Caller<Admin>,
    Id(code): Id,
    headers: HeaderMap,
    body: Body<Office>,
) -> Result<Response, Problem> {
    let expected = etag::expected(&headers)?;
    let made = expected == catalogue::Expected::Absent;
    let office = body.value;
    let service = catalogue::Service {
        code: code.clone(),
        name: office.name,
        domain: office.domain,
        parent: office.parent,
        postal_address: office.postal_address,
        phone: office.phone,
        email: office.email,
        hours: office.hours,
        closures: office.closures.into_iter().map(Into::into).collect(),
    };
    let catalogue = api.core().catalogue.put_service(&caller.actor, &expected, service).await?;
    let service = catalogue.service(&code).ok_or_else(|| Problem::not_found("service"))?;
    let shown = Service::of(service, &catalogue);
    let version = shown.version;
    Ok(made_or_there(made, Json(shown), version))
}
