//! `/v1/themes`: what citizens write about. A web site's form keeps in step by ETag.

use axum::Json;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use voxea_core::catalogue::{self, Kind as Entry, Snapshot};

use crate::http::api::Api;
use crate::http::auth::{Admin, Caller, Read, ReadOrIntake};
use crate::http::etag;
use crate::http::extract::{Body, Id, Params, made_or_there, tagged};
use crate::http::openapi::{Keyed, One, Problem as ProblemBody, Sent};
use crate::http::problem::Problem;

/// What silence means.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Regime {
    /// Nothing.
    #[default]
    None,
    /// After the delay, silence accepts.
    Acceptance,
    /// After the delay, silence refuses.
    Rejection,
}

/// What silence means, and after how long.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Decision {
    /// What it means.
    regime: Regime,
    /// After how many months; with acceptance and rejection only.
    #[schema(minimum = 1, maximum = 60)]
    months: Option<u32>,
}

/// Who may see the requests of a theme.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum Confidentiality {
    /// Whoever may see requests.
    #[default]
    Normal,
    /// Whoever was given the theme or its service.
    Restricted,
    /// As restricted, and nothing of it in lists for others.
    Secret,
}

const fn yes() -> bool {
    true
}

/// A theme without its code, which the path says.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Content {
    /// For people.
    #[schema(example = "Voirie")]
    label: String,
    /// A service's code.
    #[schema(example = "service-technique")]
    service: String,
    /// First words of a text that choose it.
    #[serde(default)]
    keywords: Vec<String>,
    /// The key that chooses it in a call's menu: `0` to `8`, since `9` refuses the recording.
    digit: Option<String>,
    /// Addresses of mails that choose it.
    #[serde(default)]
    aliases: Vec<String>,
    /// Offered on the town's web site.
    #[serde(default = "yes")]
    public: bool,
    /// What silence means.
    #[serde(default)]
    decision: Decision,
    /// Working time within which it should be answered.
    sla_minutes: Option<u32>,
    /// How long its requests are kept after their end.
    retention_months: Option<u32>,
    /// Who may see its requests.
    #[serde(default)]
    confidentiality: Confidentiality,
    /// JSON Schema (2020-12) of the fields that a form adds: `type` is `object`; what is understood is `type`, `enum`, `const`,
    /// `properties`, `required`, `additionalProperties`, `items`, the limits of lengths, counts and numbers, and what is for
    /// people, `format` included; everything else is refused.
    #[schema(value_type = Option<Object>)]
    fields: Option<Value>,
    /// Whether new requests may have it.
    #[serde(default = "yes")]
    enabled: bool,
}

/// What citizens write about.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Theme {
    /// What `theme` of a request says.
    #[schema(example = "voirie")]
    pub(super) code: String,
    #[serde(flatten)]
    body: Content,
    /// The domain of its service.
    #[schema(example = "environnement")]
    domain: String,
    /// Of the catalogue at its last change; the ETag.
    version: i64,
}

/// Which themes.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Asked {
    /// `true`: only those that are offered on the town's web site. A key without `read` sees no others.
    #[param(value_type = Option<bool>)]
    public: Option<String>,
}

/// The themes.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Themes {
    /// In the catalogue's order.
    items: Vec<Theme>,
}

impl Theme {
    /// As the API shows it.
    pub(super) fn of(theme: &catalogue::Theme, catalogue: &Snapshot) -> Self {
        let domain = catalogue.service(&theme.service).map(|service| service.domain.clone());
        Self {
            code: theme.code.clone(),
            body: Content::from(theme),
            domain: domain.unwrap_or_default(),
            version: catalogue.version_of(Entry::Theme, &theme.code).unwrap_or_default(),
        }
    }
}

impl From<&catalogue::Theme> for Content {
    fn from(theme: &catalogue::Theme) -> Self {
        Self {
            label: theme.label.clone(),
            service: theme.service.clone(),
            keywords: theme.keywords.clone(),
            digit: theme.digit.clone(),
            aliases: theme.aliases.clone(),
            public: theme.public,
            decision: Decision {
                regime: match theme.decision.regime {
                    catalogue::Regime::None => Regime::None,
                    catalogue::Regime::Acceptance => Regime::Acceptance,
                    catalogue::Regime::Rejection => Regime::Rejection,
                },
                months: theme.decision.months,
            },
            sla_minutes: theme.sla_minutes,
            retention_months: theme.retention_months,
            confidentiality: match theme.confidentiality {
                catalogue::Confidentiality::Normal => Confidentiality::Normal,
                catalogue::Confidentiality::Restricted => Confidentiality::Restricted,
                catalogue::Confidentiality::Secret => Confidentiality::Secret,
            },
            fields: theme.fields.clone(),
            enabled: theme.enabled,
        }
    }
}

impl Content {
    fn theme(self, code: String) -> catalogue::Theme {
        catalogue::Theme {
            code,
            label: self.label,
            service: self.service,
            keywords: self.keywords,
            digit: self.digit,
            aliases: self.aliases,
            public: self.public,
            decision: catalogue::Decision {
                regime: match self.decision.regime {
                    Regime::None => catalogue::Regime::None,
                    Regime::Acceptance => catalogue::Regime::Acceptance,
                    Regime::Rejection => catalogue::Regime::Rejection,
                },
                months: self.decision.months,
            },
            sla_minutes: self.sla_minutes,
            retention_months: self.retention_months,
            confidentiality: match self.confidentiality {
                Confidentiality::Normal => catalogue::Confidentiality::Normal,
                Confidentiality::Restricted => catalogue::Confidentiality::Restricted,
                Confidentiality::Secret => catalogue::Confidentiality::Secret,
            },
            fields: self.fields,
            enabled: self.enabled,
        }
    }
}

/// The themes, with the ETag of the catalogue: 304 while nothing has changed.
#[utoipa::path(get, path = "/v1/themes", tag = "catalogue", security(("key" = ["read"]), ("key" = ["intake"])),
    params(Asked, ("If-None-Match" = Option<String>, Header, description = "The ETag of the list that is at hand")),
    responses((status = 200, description = "The themes", body = Themes, headers(("ETag" = String, description = "Of the list"))),
        (status = 304, description = "Nothing has changed"), Keyed))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller<ReadOrIntake>,
    Params(asked): Params<Asked>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let asked = match asked.public.as_deref() {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Problem::new(crate::http::problem::Kind::BAD_REQUEST, "`public` is true or false")),
    };
    let public = asked || !caller.may_read();
    let catalogue = api.core().catalogue.fresh().await?;
    let tag = format!("\"{}{}\"", catalogue.version, if public { "-public" } else { "" });
    let themes = catalogue.document.themes.iter();
    let items = themes
        .filter(|theme| !public || theme.public && theme.enabled)
        .map(|theme| Theme::of(theme, &catalogue));
    Ok(etag::unless_known(&headers, &tag, || Themes { items: items.collect() }))
}

/// One theme, with its ETag.
#[utoipa::path(get, path = "/v1/themes/{code}", tag = "catalogue", security(("key" = ["read"])), params(("code" = String, Path)),
    responses((status = 200, description = "The theme", body = Theme, headers(("ETag" = String, description = "Its version"))), Keyed, One))]
pub(super) async fn get(State(api): State<Api>, _caller: Caller<Read>, Id(code): Id) -> Result<Response, Problem> {
    let catalogue = api.core().catalogue.fresh().await?;
    let theme = catalogue.theme(&code).ok_or_else(|| Problem::not_found("theme"))?;
    let shown = Theme::of(theme, &catalogue);
    let version = shown.version;
    Ok(tagged(Json(shown), version))
}

/// Makes a theme (`If-None-Match: *`) or replaces the version that was read (`If-Match`). One that requests may have is
/// not taken away but switched off by `"enabled": false`.
#[utoipa::path(put, path = "/v1/themes/{code}", tag = "catalogue", security(("key" = ["admin"])), request_body = Content,
    params(("code" = String, Path), ("If-Match" = Option<String>, Header, description = "The ETag of the version that was read"),
        ("If-None-Match" = Option<String>, Header, description = "`*`: there is none yet")),
    responses((status = 200, description = "The theme as it is now", body = Theme, headers(("ETag" = String, description = "Its new version"))),
        (status = 201, description = "The theme was made", body = Theme, headers(("ETag" = String, description = "Its version"))), Keyed, One, Sent,
        (status = 409, description = "There is one of this code", body = ProblemBody, content_type = "application/problem+json"),
        (status = 412, description = "Somebody else was faster: read it again", body = ProblemBody, content_type = "application/problem+json"),
        (status = 428, description = "If-Match or If-None-Match is missing", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn put(
    State(api): State<Api>,
    caller: Caller<Admin>,
    Id(code): Id,
    headers: HeaderMap,
    body: Body<Content>,
) -> Result<Response, Problem> {
    let expected = etag::expected(&headers)?;
    let made = expected == catalogue::Expected::Absent;
    let theme = body.value.theme(code.clone());
    let catalogue = api.core().catalogue.put_theme(&caller.actor, &expected, theme).await?;
    let theme = catalogue.theme(&code).ok_or_else(|| Problem::not_found("theme"))?;
    let shown = Theme::of(theme, &catalogue);
    let version = shown.version;
    Ok(made_or_there(made, Json(shown), version))
}
