//! `/v1/intake/…`: contacts that a person or a form takes in.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};
use tracing::Instrument as _;
use utoipa::ToSchema;
use voxea_core::base::account::Channel;
use voxea_core::base::actor::Actor;
use voxea_core::base::failpoint;
use voxea_core::base::grant::Operation;
use voxea_core::base::time::{self, Millis};
use voxea_core::catalogue::schema;
use voxea_core::contact::{Accepted, Contact, Dedup, RAW_INLINE_BYTES, Raw};
use voxea_rules::phone;

use super::requests::Request;
use crate::http::api::Api;
use crate::http::auth::{Caller, Intake};
use crate::http::extract::{Body, Content, Rooted};
use crate::http::idempotency::{self, Claim};
use crate::http::openapi::{Keyed, Problem as ProblemBody, Sent};
use crate::http::problem::{Kind, Problem};

/// The longest text, in characters.
const TEXT: usize = 100_000;
/// The longest fields, in bytes as JSON.
const FIELDS: usize = 64 * 1024;
/// The longest of the other members, in characters.
pub(super) const MEMBER: usize = 500;
/// A clock may be this far ahead of ours.
const AHEAD: Millis = 5 * 60 * 1000;

/// A contact as a person noted it or a form sent it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Taken {
    /// The citizen's number or address, if there is one.
    #[schema(example = "+33612345678")]
    pub(crate) from: Option<String>,
    /// The citizen's name.
    pub(crate) name: Option<String>,
    /// What it is about.
    pub(crate) subject: Option<String>,
    /// What the citizen said or wrote.
    pub(crate) text: String,
    /// When, RFC 3339; now when left out.
    #[schema(example = "2026-11-24T08:00:00Z")]
    pub(crate) occurred_at: Option<String>,
    /// The theme's code.
    pub(crate) theme: Option<String>,
    /// What the form asks beyond these, by the theme's JSON Schema: its `fields`. Kept on the request.
    #[schema(value_type = Option<Object>)]
    pub(crate) fields: Option<Value>,
}

impl Rooted for Taken {
    const ROOT: &str = "contact";
}

impl Taken {
    /// The contact, or the first member that is not acceptable.
    pub(crate) fn contact(self, channel: Channel, by: By, raw: Raw, now: Millis) -> Result<Contact, Problem> {
        bounded("/text", Some(&self.text), TEXT)?;
        if self.text.trim().is_empty() {
            return Err(Problem::invalid("/text", "must hold what the citizen said or wrote"));
        }
        for (pointer, member) in [
            ("/from", &self.from),
            ("/name", &self.name),
            ("/subject", &self.subject),
            ("/theme", &self.theme),
        ] {
            bounded(pointer, member.as_deref(), MEMBER)?;
        }
        let occurred_at = match self.occurred_at.as_deref() {
            None => now,
            Some(text) => time::parse_rfc3339(text).filter(|at| *at <= now + AHEAD).ok_or_else(|| {
                Problem::invalid(
                    "/occurred_at",
                    "must be a time of the past as in RFC 3339, such as 2026-11-24T08:00:00Z",
                )
            })?,
        };
        let account = crate::http::account();
        let (from, to) = (self.from.as_deref().map(address).unwrap_or_default(), channel.as_str().to_owned());
        let mut contact = Contact::new(account, by.epoch, channel, by.dedup, from, to, now);
        contact.actor = Some(by.actor);
        contact.from_name = self.name;
        contact.subject = self.subject;
        contact.text = Some(self.text);
        contact.occurred_at = occurred_at;
        contact.raw = Some(raw);
        contact.theme = self.theme;
        contact.fields = self.fields.map(|fields| fields.to_string());
        Ok(contact)
    }
}

/// Who brings a contact in, and how it would be known again.
pub(crate) struct By {
    pub(crate) actor: Actor,
    pub(crate) epoch: i64,
    pub(crate) dedup: Dedup,
}

/// E.164 where it can be; a mail address and whatever else stay as they are, but for the brackets in which a mail program's
/// header has an address (RFC 5322 §3.4).
pub(super) fn address(text: &str) -> String {
    let text = text.trim();
    let bare = text.strip_prefix('<').and_then(|text| text.strip_suffix('>'));
    let text = bare.map_or(text, str::trim);
    if text.contains('@') {
        text.to_owned()
    } else {
        phone::normalise(text, "FR").into_string()
    }
}

/// What keeps a text within `limit` characters, and out of what PostgreSQL cannot keep.
pub(super) fn bounded(pointer: &str, text: Option<&str>, limit: usize) -> Result<(), Problem> {
    let Some(text) = text else { return Ok(()) };
    // PostgreSQL keeps no NUL in a text.
    if text.chars().count() > limit || text.contains('\0') {
        return Err(Problem::invalid(
            pointer,
            &format!("must have at most {limit} characters and no NUL"),
        ));
    }
    Ok(())
}

/// Whether fields are those of a theme.
fn fitting(fields: &Value, schema: Option<&Value>) -> Result<(), Problem> {
    let Some(schema) = schema else {
        let detail = "must be left out: the theme has no `fields`; `GET /v1/themes` says what each asks";
        return Err(Problem::invalid("/fields", detail));
    };
    if fields.to_string().len() > FIELDS {
        return Err(Problem::invalid("/fields", &format!("must have at most {FIELDS} bytes as JSON")));
    }
    let faults = schema::faults(schema, fields);
    let Some((_, first)) = faults.first() else { return Ok(()) };
    let errors: Vec<Value> = faults
        .iter()
        .map(|(pointer, detail)| json!({"pointer": format!("/fields{pointer}"), "detail": detail}))
        .collect();
    let detail = format!("the fields are not those that the theme asks; the first of `errors`: {first}");
    Err(Problem::new(Kind::INVALID, detail).with("errors", errors.into()))
}

/// Takes a contact in to the end, also when the client does not wait for it: an Idempotency-Key that was claimed must
/// get its answer.
async fn take(api: Api, caller: Caller<Intake>, channel: Channel, headers: HeaderMap, body: Body<Taken>) -> Result<Response, Problem> {
    let work = async move { take_once(api, caller, channel, &headers, body).await };
    let work = tokio::spawn(work.in_current_span());
    work.await.unwrap_or_else(|error| {
        tracing::error!(panicked = error.is_panic(), "an intake did not end");
        Err(Problem::new(Kind::INTERNAL, "an internal error; the daemon's log names the place"))
    })
}

/// The artefact of a contact: what was sent, as it came.
pub(super) fn raw<T>(body: &Body<T>) -> Raw {
    Raw::Inline {
        media_type: body.media_type,
        bytes: body.bytes.clone(),
    }
}

/// Whether somebody may bring this in by this channel: its theme is in use and theirs, and its fields are the theme's.
pub(crate) async fn acceptable(api: &Api, actor: &Actor, channel: Channel, taken: &Taken) -> Result<(), Problem> {
    let catalogue = api.core().catalogue.fresh().await?;
    let theme = match &taken.theme {
        Some(code) => Some(catalogue.offered("/theme", code)?),
        None => None,
    };
    let reach = api.core().catalogue.reach(actor, Operation::Intake);
    if !reach.covers(channel.as_str(), taken.theme.as_deref()) {
        let detail = "the contract names other themes or channels; `GET /v1/themes` lists the themes";
        return Err(Problem::invalid("/theme", detail));
    }
    match &taken.fields {
        Some(fields) => fitting(fields, theme.and_then(|theme| theme.fields.as_ref())),
        None => Ok(()),
    }
}

/// Takes a contact in, once for each Idempotency-Key.
async fn take_once(
    api: Api,
    caller: Caller<Intake>,
    channel: Channel,
    headers: &HeaderMap,
    body: Body<Taken>,
) -> Result<Response, Problem> {
    acceptable(&api, &caller.actor, channel, &body.value).await?;
    let by = |dedup| By {
        actor: caller.actor.clone(),
        epoch: api.epoch(),
        dedup,
    };
    let Some(key) = idempotency::key(headers)? else {
        let contact = {
            let raw = raw(&body);
            body.value.contact(channel, by(Dedup::Never), raw, time::now())?
        };
        return Ok(idempotency::answer(StatusCode::CREATED, &text(&accept(&api, contact).await?.1)));
    };
    // What cannot be accepted is refused before the key is claimed, so that the mended body may use it.
    let kept = raw(&body);
    let contact = body
        .value
        .contact(channel, by(Dedup::Key(format!("{}/{key}", caller.id))), kept, time::now())?;
    let held = match idempotency::claim(&api, &caller.id, &key, channel.as_str(), &body.bytes).await? {
        Claim::Fresh(held) => held,
        Claim::Done(status, text) => return Ok(idempotency::answer(status, &text)),
    };
    match accept(&api, contact).await {
        Ok((_, request)) => {
            let text = text(&request);
            failpoint::hit("http.intake.before_remember");
            held.remember(StatusCode::CREATED, &text).await;
            Ok(idempotency::answer(StatusCode::CREATED, &text))
        }
        Err(problem) => {
            held.release().await;
            Err(problem)
        }
    }
}

/// Takes a contact in: what became of it, and its request.
pub(crate) async fn accept(api: &Api, mut contact: Contact) -> Result<(Accepted, Request), Problem> {
    if let Some(Raw::Inline { media_type, bytes }) = &contact.raw
        && bytes.len() > RAW_INLINE_BYTES
    {
        let blob = api.core().blobs.put(bytes.clone()).await?;
        contact.raw = Some(Raw::Stored { media_type, blob });
    }
    let accepted = api.core().intake.accept(contact).await?;
    // Whoever brings a contact in knows what became of it, whether or not they may read others.
    let mut row = api.core().desk.get(&Actor::System, &accepted.request_id).await?;
    // Other requests are for who reads them.
    row.links.clear();
    Ok((accepted, row.into()))
}

fn text(request: &Request) -> String {
    serde_json::to_string(request).unwrap_or_default()
}

macro_rules! intakes {
    ($($name:ident = $path:literal, $channel:ident, $doc:literal;)*) => {$(
        #[doc = $doc]
        #[utoipa::path(post, path = $path, tag = "intake", security(("key" = ["intake"])), request_body = Taken,
            params(("Idempotency-Key" = Option<String>, Header, description = "The same key and body again: the same answer, and one contact")),
            responses((status = 201, description = "The request that was opened", body = Request, headers(("Location" = String), ("ETag" = String))),
                Keyed, Sent,
                (status = 409, description = "A call with this key is at work", body = ProblemBody, content_type = "application/problem+json")))]
        pub(super) async fn $name(
            State(api): State<Api>,
            caller: Caller<Intake>,
            headers: HeaderMap,
            Content(body): Content<Taken>,
        ) -> Result<Response, Problem> {
            take(api, caller, Channel::$channel, headers, body).await
        }
    )*};
}

intakes! {
    counter = "/v1/intake/counter", Counter, "A visit to the counter.";
    letters = "/v1/intake/letters", Letter, "A letter on paper.";
    calls = "/v1/intake/calls", Call, "A conversation by phone, noted by hand.";
    fax = "/v1/intake/fax", Fax, "A fax.";
    web = "/v1/intake/web", Web, "The contact form of the web site.";
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn taken(json: &str) -> Result<Contact, u16> {
        let taken: Taken = serde_json::from_str(json).unwrap();
        let by = By {
            actor: Actor::System,
            epoch: 1,
            dedup: Dedup::Never,
        };
        taken
            .contact(
                Channel::Counter,
                by,
                Raw::Inline {
                    media_type: "application/json",
                    bytes: Bytes::new(),
                },
                1_795_507_200_000,
            )
            .map_err(|problem| problem.status().as_u16())
    }

    #[test]
    fn a_number_becomes_e164_and_an_address_stays() {
        assert_eq!(taken(r#"{"text":"a","from":"06 12 34 56 78"}"#).unwrap().from, "+33612345678");
        assert_eq!(taken(r#"{"text":"a","from":" x@example.fr "}"#).unwrap().from, "x@example.fr");
        for brackets in ["<x@example.fr>", " < x@example.fr > "] {
            let body = format!(r#"{{"text":"a","from":"{brackets}"}}"#);
            assert_eq!(taken(&body).unwrap().from, "x@example.fr");
        }
        assert_eq!(taken(r#"{"text":"a","from":"<x@example.fr"}"#).unwrap().from, "<x@example.fr");
        assert_eq!(taken(r#"{"text":"a"}"#).unwrap().from, "");
    }

    #[test]
    fn what_is_not_acceptable_is_422() {
        let long = format!(r#"{{"text":"{}"}}"#, "x".repeat(TEXT + 1));
        for bad in [
            r#"{"text":"  "}"#,
            r#"{"text":"a\u0000"}"#,
            r#"{"text":"a","occurred_at":"yesterday"}"#,
            r#"{"text":"a","occurred_at":"2999-01-01T00:00:00Z"}"#,
            &long,
        ] {
            assert_eq!(taken(bad).unwrap_err(), 422, "{}", &bad[..bad.len().min(60)]);
        }
        assert_eq!(
            taken(r#"{"text":"a","occurred_at":"2026-11-01T09:00:00+01:00"}"#)
                .unwrap()
                .occurred_at,
            1_793_520_000_000
        );
    }
}
