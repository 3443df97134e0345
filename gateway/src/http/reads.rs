//! Around every read of personal data: it is entered in the audit trail before its answer leaves.
//!
//! One place for all routes, so that no handler can forget it; a test holds the table against the document.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use axum::body::{Body, HttpBody as _};
use axum::extract::{FromRequestParts as _, MatchedPath, Path, Request, State};
use axum::http::header::RANGE;
use axum::http::{HeaderMap, Method, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{OpenApi, RefOr, Required};
use voxea_core::audit::Entry;
use voxea_core::base::actor::Actor;

use super::api::Api;
use super::problem::{Kind, Problem};

/// The header in which a caller says what a read is for.
const PURPOSE: &str = "voxea-purpose";
/// The longest purpose, in characters.
const LONGEST: usize = 200;
/// Members of a query that are no personal data; of others the trail has the names alone.
const HARMLESS: [&str; 13] = [
    "channel", "format", "status", "theme", "service", "after", "limit", "points", "actor", "object", "public", "sort", "state",
];

/// A route that shows personal data.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    route: &'static str,
    /// What the trail calls the read.
    action: &'static str,
    /// The kind of object, before its id or a list's query.
    object: &'static str,
    /// A recording's sound, its outline, an artefact as it came: what must have a purpose.
    sound: bool,
}

const fn shown(route: &'static str, action: &'static str, object: &'static str) -> Shown {
    Shown {
        route,
        action,
        object,
        sound: false,
    }
}

const fn sound(route: &'static str, action: &'static str, object: &'static str) -> Shown {
    Shown {
        sound: true,
        ..shown(route, action, object)
    }
}

/// Every route whose answer has personal data. One with a variable is about that thing, the others are lists.
static TABLE: [Shown; 21] = [
    shown("/v1/requests", "listed", "requests"),
    shown("/v1/requests/{id}", "read", "request"),
    shown("/v1/requests/by-external/{system}/{id}", "found", "request"),
    shown("/v1/requests/{id}/interactions", "read_interactions", "request"),
    shown("/v1/requests/{id}/history", "read_history", "request"),
    sound("/v1/interactions/{id}/raw", "read_raw", "interaction"),
    shown("/v1/interactions/{id}/html", "read_html", "interaction"),
    shown("/v1/replies/{id}", "read", "reply"),
    shown("/v1/recordings/{id}", "read", "recording"),
    sound("/v1/recordings/{id}/audio", "listened", "recording"),
    sound("/v1/recordings/{id}/waveform", "read_waveform", "recording"),
    shown("/v1/attachments/{id}", "read", "attachment"),
    shown("/v1/audit", "listed", "audit"),
    shown("/v1/agents", "listed", "agents"),
    shown("/v1/agents/{login}", "read", "agent"),
    shown("/v1/citizens", "listed", "citizens"),
    shown("/v1/citizens:lookup", "looked_up", "citizens"),
    shown("/v1/citizens/{id}", "read", "citizen"),
    shown("/v1/citizens/{id}/history", "read_history", "citizen"),
    shown("/v1/citizens/{id}/requests", "read_requests", "citizen"),
    shown("/v1/opt-outs", "listed", "opt-outs"),
];

/// What the trail calls the object of a read whose path does not have its id; a handler puts it into its answer's extensions. That of
/// a write that changed nothing, and so left no row of its own, makes a read of it.
#[derive(Debug, Clone)]
pub(crate) struct Named(pub(crate) String);

/// Where the extractor of the caller says who it is, for [`reads`].
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot(Arc<OnceLock<Actor>>);

impl Slot {
    /// Says who calls, once they are known.
    pub(crate) fn fill(&self, actor: &Actor) {
        let _ = self.0.set(actor.clone());
    }
}

/// The layer. Whatever is refused is refused after the handler has said who may see the thing, so that the refusal tells a
/// stranger nothing.
pub(crate) async fn reads(State(api): State<Api>, request: Request, next: Next) -> Response {
    let Some(shown) = shows(&request) else {
        return next.run(request).await;
    };
    let (mut parts, body) = request.into_parts();
    let slot = Slot::default();
    parts.extensions.insert(slot.clone());
    let variable = Path::<HashMap<String, String>>::from_request_parts(&mut parts, &()).await;
    let variable = variable.ok().and_then(|Path(found)| found.into_values().next());
    let (uri, headers) = (parts.uri.clone(), parts.headers.clone());
    let writes = parts.method != Method::GET;
    let response = next.run(Request::from_parts(parts, body)).await;
    let unchanged = response.extensions().get::<Named>().is_some();
    if !response.status().is_success() || (writes && !unchanged) {
        return response;
    }
    let Some(actor) = slot.0.get() else {
        // Nothing is shown to somebody unknown.
        tracing::error!(route = shown.route, "a route shows personal data and knows no caller");
        return Problem::new(Kind::INTERNAL, "an internal error; the daemon's log names the place").into_response();
    };
    let purpose = match purpose(actor, &headers, shown.sound, api.settings().purpose_required) {
        Ok(purpose) => purpose,
        Err(problem) => return problem.into_response(),
    };
    let named = response.extensions().get::<Named>().map(|Named(object)| object.clone());
    let (object, response, detail) = match named.or(variable.map(|id| format!("{}/{id}", shown.object))) {
        Some(object) => (object, response, None),
        None => {
            let (response, detail) = counted(response).await;
            (format!("{}?{}", shown.object, query(&uri)), response, detail)
        }
    };
    let entry = Entry::new(actor, shown.action, object).purpose(purpose);
    let entry = detail.map_or(entry.clone(), |detail| entry.detail(&detail));
    let entered = if shown.action == "listened" {
        api.core().audit.listened(entry, goes_on(&headers)).await
    } else {
        api.core().audit.read(entry).await
    };
    match entered {
        Ok(()) => response,
        Err(_) => Problem::new(
            Kind::UNAVAILABLE,
            "the read could not be entered in the audit trail, so that it is refused; try again",
        )
        .retry_after(5)
        .into_response(),
    }
}

/// What a call may show of anybody. A HEAD shows nothing of a body.
fn shows(request: &Request) -> Option<&'static Shown> {
    let route = request.extensions().get::<MatchedPath>()?.as_str();
    TABLE.iter().find(|shown| shown.route == route && request.method() != Method::HEAD)
}

/// What the read is for: the header's word, else the contract's.
fn purpose(actor: &Actor, headers: &HeaderMap, sound: bool, required: bool) -> Result<Option<String>, Problem> {
    let said = match headers.get(PURPOSE) {
        None => None,
        Some(value) => {
            // Header values are bytes; texts with accents come as UTF-8.
            let text = std::str::from_utf8(value.as_bytes()).map(str::trim).unwrap_or_default();
            let count = text.chars().count();
            if count == 0 || count > LONGEST || text.chars().any(char::is_control) {
                return Err(Problem::new(
                    Kind::BAD_REQUEST,
                    format!("`Voxea-Purpose` must have 1 to {LONGEST} visible characters, in UTF-8"),
                ));
            }
            Some(text.to_owned())
        }
    };
    let (contract, person) = match actor {
        Actor::Client(client) => (client.contract.purpose.clone(), false),
        Actor::Agent(_) => (None, true),
        Actor::System | Actor::Channel(_) => (None, false),
    };
    match said.or(contract) {
        None if sound && (required || person) => Err(Problem::new(
            Kind::PURPOSE,
            "say what a recording or an artefact is needed for in the header `Voxea-Purpose`; it is kept in the audit trail",
        )),
        purpose => Ok(purpose),
    }
}

/// Whether a player goes on with a recording, rather than begins it.
fn goes_on(headers: &HeaderMap) -> bool {
    let range = headers.get(RANGE).and_then(|value| value.to_str().ok());
    let first = range.and_then(|text| text.split_once('=')).map(|(_, spec)| spec.trim_start());
    first.is_some_and(|spec| !spec.starts_with("0-"))
}

/// A query without what may be personal data.
fn query(uri: &Uri) -> String {
    let pairs = uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty());
    let kept = pairs.map(|pair| match pair.split_once('=') {
        Some((name, value)) if HARMLESS.contains(&name) && value.len() <= LONGEST => pair.to_owned(),
        Some((name, _)) => format!("{}=…", name.chars().take(40).collect::<String>()),
        None => "…".to_owned(),
    });
    kept.collect::<Vec<_>>().join("&")
}

#[derive(Deserialize)]
struct List {
    items: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    #[serde(alias = "seq")]
    id: Value,
}

/// How many a list shows, the first and the last: read from the answer itself, so that no handler need say it.
async fn counted(response: Response) -> (Response, Option<Value>) {
    // Only what a handler has written to memory anyway; a stream goes on as it is.
    if response.body().size_hint().exact().is_none() {
        return (response, None);
    }
    let (parts, body) = response.into_parts();
    let Ok(bytes) = axum::body::to_bytes(body, usize::MAX).await else {
        let broken = Problem::new(Kind::INTERNAL, "the answer could not be read");
        return (broken.into_response(), None);
    };
    let detail = serde_json::from_slice::<List>(&bytes).ok().map(|list| {
        let ids = list.items.first().zip(list.items.last());
        match ids {
            None => json!({"count": 0}),
            Some((first, last)) => json!({"count": list.items.len(), "first": first.id, "last": last.id}),
        }
    });
    (Response::from_parts(parts, Body::from(bytes)), detail)
}

/// Documents the header on every route of the table.
pub(super) fn describe(document: &mut OpenApi) {
    for shown in &TABLE {
        let item = document.paths.paths.get_mut(shown.route);
        if let Some(call) = item.and_then(|item| item.get.as_mut()) {
            call.parameters.get_or_insert_default().push(RefOr::T(header(shown.sound)));
        }
    }
}

fn header(sound: bool) -> Parameter {
    let more = if sound {
        " Where the town requires one and the key's contract has none, 400 `purpose-required`."
    } else {
        ""
    };
    let text = ObjectBuilder::new()
        .schema_type(Type::String)
        .min_length(Some(1))
        .max_length(Some(LONGEST));
    ParameterBuilder::new()
        .name("Voxea-Purpose")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(format!(
            "What the read is for; kept in the audit trail. Without it the purpose of the key's contract.{more}"
        )))
        .schema(Some(text.build()))
        .build()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::sync::Arc;

    use axum::http::HeaderValue;
    use voxea_core::base::actor::{Agent, Client, Contract};

    use super::*;

    /// Routes under /v1 whose answers have no personal data, and why not.
    const WITHOUT: [(&str, &str); 20] = [
        ("/v1/changes", "ids and states"),
        ("/v1/changes/stream", "ids and states"),
        ("/v1/consumers", "positions"),
        ("/v1/consumers/{name}", "positions"),
        ("/v1/webhooks", "the town's own"),
        ("/v1/webhooks/{id}", "the town's own"),
        ("/v1/webhooks/{id}/deliveries", "ids and states"),
        ("/v1/channels", "our own accounts"),
        ("/v1/channels/{kind}/{name}/capture", "masked before it is kept"),
        ("/v1/jobs", "our own work"),
        ("/v1/catalogue", "the town's own"),
        ("/v1/services", "the town's own"),
        ("/v1/services/{code}", "the town's own"),
        ("/v1/themes", "the town's own"),
        ("/v1/themes/{code}", "the town's own"),
        ("/v1/roles", "the town's own"),
        ("/v1/roles/{code}", "the town's own"),
        ("/v1/me", "the caller's own"),
        ("/v1/oidc/login", "the caller's own"),
        ("/v1/oidc/callback", "the caller's own"),
    ];

    #[test]
    fn every_read_is_in_the_table_or_said_to_show_nobody() {
        let (_, document) = super::super::v1::routes().split_for_parts();
        let gets = document.paths.paths.iter().filter(|(_, item)| item.get.is_some());
        let routes: BTreeSet<&str> = gets
            .map(|(path, _)| path.as_str())
            .filter(|path| path.starts_with("/v1/"))
            .collect();
        let known = TABLE.iter().map(|shown| shown.route).chain(WITHOUT.map(|(route, _)| route));
        assert_eq!(
            known.collect::<BTreeSet<_>>(),
            routes,
            "a new route says whether it shows personal data"
        );
        assert_eq!(TABLE.len() + WITHOUT.len(), routes.len(), "none is in both");
        for shown in TABLE.iter().filter(|shown| shown.route.contains("{id}/") || shown.sound) {
            assert_ne!(
                shown.action, "read",
                "{} would look like another read of the same thing",
                shown.route
            );
        }
    }

    #[test]
    fn a_purpose_is_the_callers_word_or_the_contracts() {
        let with = |purpose: Option<&str>| {
            let contract = Contract {
                purpose: purpose.map(str::to_owned),
                ..Contract::default()
            };
            Actor::Client(Arc::new(Client::of_key("k", "k", contract)))
        };
        let agent = Actor::Agent(Arc::new(Agent {
            id: "a".into(),
            login: "a".into(),
            name: "a".into(),
            grants: Vec::new(),
        }));
        let said = |text: &str| HeaderMap::from_iter([(PURPOSE.parse().unwrap(), HeaderValue::from_bytes(text.as_bytes()).unwrap())]);
        let none = HeaderMap::new();
        let refused = |answer: Result<Option<String>, Problem>| answer.unwrap_err().status().as_u16();
        assert_eq!(purpose(&with(None), &none, true, false).unwrap(), None);
        assert_eq!(
            purpose(&with(Some("statistiques")), &none, true, true).unwrap().as_deref(),
            Some("statistiques")
        );
        let word = purpose(&with(Some("statistiques")), &said(" réclamation "), true, true).unwrap();
        assert_eq!(word.as_deref(), Some("réclamation"));
        assert_eq!(refused(purpose(&with(None), &none, true, true)), 400);
        assert_eq!(
            purpose(&with(None), &none, false, true).unwrap(),
            None,
            "only recordings and artefacts need one"
        );
        assert_eq!(refused(purpose(&agent, &none, true, false)), 400, "a person always says why");
        assert_eq!(purpose(&agent, &none, false, false).unwrap(), None);
        assert!(purpose(&agent, &said(&"é".repeat(200)), true, true).is_ok());
        for bad in ["", " ", &"é".repeat(201), "a\tb"] {
            assert_eq!(refused(purpose(&agent, &said(bad), false, false)), 400, "{bad:?}");
        }
        let latin = HeaderMap::from_iter([(PURPOSE.parse().unwrap(), HeaderValue::from_bytes(b"\xe9tat").unwrap())]);
        assert_eq!(refused(purpose(&agent, &latin, false, false)), 400);
    }

    #[test]
    fn a_query_is_kept_without_what_it_looks_for() {
        let of = |text: &str| query(&text.parse().unwrap());
        assert_eq!(
            of("/v1/requests?channel=sms&limit=2&from=0612345678&x"),
            "channel=sms&limit=2&from=…&…"
        );
        assert_eq!(of("/v1/requests"), "");
        assert_eq!(of(&format!("/v1/requests?status={}", "9".repeat(201))), "status=…");
    }

    #[test]
    fn a_player_that_seeks_goes_on() {
        let asks = |range: &'static str| goes_on(&HeaderMap::from_iter([(RANGE, HeaderValue::from_static(range))]));
        assert!(!goes_on(&HeaderMap::new()) && !asks("bytes=0-") && !asks("bytes=0-99") && !asks("bytes"));
        assert!(asks("bytes=100-") && asks("bytes=-58"));
    }
}
