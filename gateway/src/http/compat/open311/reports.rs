//! What citizens report.

use axum::body::Bytes;
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Map, Value, json};
use voxea_core::artefact::Blobs;
use voxea_core::base::account::Channel;
use voxea_core::base::time;
use voxea_core::catalogue::Theme;
use voxea_core::contact::{Dedup, Raw};

use super::answer::{Answer, Failure, Format};
use super::anybody::jurisdiction;
use super::services::public;
use crate::http::api::Api;
use crate::http::auth::{Caller, Intake};
use crate::http::idempotency;
use crate::http::v1::intake::{self, By, Taken};

/// The longest description (GeoReport v2: 4,000 characters), and the longest of the other members.
const DESCRIPTION: usize = 4_000;
const MEMBER: usize = 500;
/// Members of one form.
const MEMBERS: usize = 200;

pub(super) async fn post(State(api): State<Api>, format: Format, request: Request) -> Response {
    match taken(&api, request).await {
        Ok(reference) => {
            let item = json!({"service_request_id": reference, "service_notice": "", "account_id": ""});
            let answer = Answer::list(format, "service_requests", "request", vec![item]);
            answer.status(StatusCode::CREATED).into_response()
        }
        Err(failure) => failure.answer(format).into_response(),
    }
}

async fn taken(api: &Api, request: Request) -> Result<String, Failure> {
    let refused = |status, detail: &str| Failure::new(status, detail);
    let form = request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    if !form.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded") {
        return Err(refused(
            StatusCode::BAD_REQUEST,
            "send the report as application/x-www-form-urlencoded",
        ));
    }
    let (parts, body) = request.into_parts();
    let bytes = crate::http::extract::all(Request::from_parts(parts.clone(), body), api).await?;
    let form = Form::read(&bytes)?;
    jurisdiction(api, form.get("jurisdiction_id"))?;
    let caller = caller(api, parts, &form).await?;
    let catalogue = api.core().catalogue.fresh().await?;
    let code = form.get("service_code");
    let code = code.ok_or_else(|| refused(StatusCode::BAD_REQUEST, "service_code was not provided"))?;
    let theme = public(&catalogue).find(|theme| theme.code == code && theme.enabled);
    let theme = theme.ok_or_else(|| refused(StatusCode::NOT_FOUND, "service_code provided was not found"))?;
    let taken = form.taken(theme)?;
    intake::acceptable(api, &caller.0.actor, Channel::Open311, &taken).await?;
    let dedup = match &caller.1 {
        // Another report under the same key is another report, and what came under it by another way is none.
        Some(key) => Dedup::Key(format!("{}/open311/{key}/{}", caller.0.id, Blobs::hash(&form.without_key()))),
        None => Dedup::Never,
    };
    let by = By {
        actor: caller.0.actor.clone(),
        epoch: api.epoch(),
        dedup,
    };
    // The key that came in the form is no part of the artefact.
    let raw = Raw::Inline {
        media_type: "application/x-www-form-urlencoded",
        bytes: form.without_key(),
    };
    let contact = taken.contact(Channel::Open311, by, raw, time::now())?;
    let (accepted, _) = intake::accept(api, contact).await?;
    let row = api
        .core()
        .desk
        .get(&voxea_core::base::actor::Actor::System, &accepted.request_id)
        .await?;
    Ok(row.reference)
}

/// What is said to who is nobody, in GeoReport's words.
const NO_KEY: &str = "api_key is missing or wrong: send that of a key with the scope intake, in the form or as Authorization: Bearer …";

/// Who reports, by the key in the form (GeoReport v2, `api_key`) or in the header, and the key of its repetitions.
async fn caller(api: &Api, mut parts: axum::http::request::Parts, form: &Form) -> Result<(Caller<Intake>, Option<String>), Failure> {
    use axum::extract::FromRequestParts as _;
    if let Some(key) = form.get("api_key") {
        let value = HeaderValue::from_str(&format!("Bearer {key}"));
        let value = value.map_err(|_| Failure::new(StatusCode::FORBIDDEN, NO_KEY))?;
        parts.headers.insert(AUTHORIZATION, value);
    }
    let headers: HeaderMap = parts.headers.clone();
    let caller = Caller::<Intake>::from_request_parts(&mut parts, api).await;
    let caller = caller.map_err(|problem| match problem.status() {
        StatusCode::UNAUTHORIZED => Failure::new(StatusCode::FORBIDDEN, NO_KEY),
        _ => problem.into(),
    })?;
    Ok((caller, idempotency::key(&headers)?))
}

/// A form as it came.
#[derive(Debug)]
struct Form(Vec<(String, String)>);

impl Form {
    fn read(bytes: &Bytes) -> Result<Self, Failure> {
        let pairs = bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
        // One too many tells that there are too many.
        let members = pairs.take(MEMBERS + 1).map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let mut half = || decoded(halves.next().unwrap_or_default());
            Some((half()?, half()?))
        });
        match members.collect::<Option<Vec<_>>>() {
            Some(members) if members.len() <= MEMBERS => Ok(Self(members)),
            _ => Err(Failure::new(
                StatusCode::BAD_REQUEST,
                format!("the form cannot be read, is not UTF-8, or has more than {MEMBERS} members"),
            )),
        }
    }

    /// A member; an empty one is none.
    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.trim()).filter(|value| !value.is_empty())
    }

    fn without_key(&self) -> Bytes {
        let kept = self.0.iter().filter(|(name, _)| name != "api_key");
        let encode = voxea_core::base::percent::encode;
        let pairs: Vec<String> = kept.map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        pairs.join("&").into()
    }

    /// The contact that it is.
    fn taken(&self, theme: &Theme) -> Result<Taken, Failure> {
        let bad = |detail: String| Failure::new(StatusCode::BAD_REQUEST, detail);
        for (name, value) in &self.0 {
            let most = if name == "description" { DESCRIPTION } else { MEMBER };
            if value.chars().count() > most || value.contains('\0') {
                return Err(bad(format!("{name} must have at most {most} characters and no NUL")));
            }
        }
        let place = self.place().map_err(bad)?;
        let mut lines: Vec<String> = self.get("description").map(str::to_owned).into_iter().collect();
        lines.push(format!("Lieu : {place}"));
        if let Some(media) = self.get("media_url") {
            if !media.starts_with("https://") && !media.starts_with("http://") {
                return Err(bad("media_url must begin with https://".to_owned()));
            }
            // It is shown and never fetched.
            lines.push(format!("Photo : {media}"));
        }
        let (email, phone) = (self.get("email"), self.get("phone"));
        if let (Some(_), Some(phone)) = (email, phone) {
            lines.push(format!("Téléphone : {phone}"));
        }
        let names: Vec<&str> = [self.get("first_name"), self.get("last_name")].into_iter().flatten().collect();
        Ok(Taken {
            from: email.or(phone).map(str::to_owned),
            name: (!names.is_empty()).then(|| names.join(" ")),
            subject: Some(theme.label.clone()),
            text: lines.join("\n"),
            occurred_at: None,
            theme: Some(theme.code.clone()),
            fields: self.fields(theme),
        })
    }

    /// Where, as it was said: coordinates, an address, or the number of one.
    fn place(&self) -> Result<String, String> {
        let mut said = Vec::new();
        if let Some(address) = self.get("address_string").or(self.get("address")) {
            said.push(address.to_owned());
        }
        if let Some(number) = self.get("address_id") {
            said.push(format!("adresse n° {number}"));
        }
        match (self.get("lat"), self.get("long")) {
            (Some(lat), Some(long)) => {
                let read = |text: &str, most: f64| text.parse::<f64>().ok().filter(|degrees| degrees.abs() <= most);
                match (read(lat, 90.0), read(long, 180.0)) {
                    (Some(_), Some(_)) => said.push(format!("{lat}, {long}")),
                    _ => return Err("lat and long must be degrees (WGS 84), such as 48.8566 and 2.3522".to_owned()),
                }
            }
            (None, None) => {}
            _ => return Err("lat and long come together".to_owned()),
        }
        if said.is_empty() {
            return Err("a location must be provided: lat and long, address_string or address_id".to_owned());
        }
        Ok(said.join(" ; "))
    }

    /// `attribute[code]=value`, by what the theme's form asks.
    fn fields(&self, theme: &Theme) -> Option<Value> {
        let schema = theme.fields.as_ref()?;
        let mut fields = Map::new();
        for (name, value) in &self.0 {
            let inner = name.strip_prefix("attribute[").and_then(|rest| rest.split_once(']'));
            let Some((code, _)) = inner else { continue };
            let asked = &schema["properties"][code];
            if asked["type"] == "array" {
                let one = typed(&asked["items"], value);
                match fields.entry(code.to_owned()).or_insert_with(|| json!([])) {
                    Value::Array(all) => all.push(one),
                    other => *other = json!([one]),
                }
            } else {
                fields.insert(code.to_owned(), typed(asked, value));
            }
        }
        let needed = schema["required"].as_array().is_some_and(|all| !all.is_empty());
        (needed || !fields.is_empty()).then_some(Value::Object(fields))
    }
}

/// A name or a value as it was before it was encoded (URL standard, "application/x-www-form-urlencoded parsing"); `None` when that is no
/// UTF-8.
fn decoded(bytes: &[u8]) -> Option<String> {
    let digit = |at: usize| bytes.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while let Some(byte) = bytes.get(at) {
        let escaped = (*byte == b'%').then(|| Some(digit(at + 1)? * 16 + digit(at + 2)?)).flatten();
        match (escaped.and_then(|code| u8::try_from(code).ok()), byte) {
            (Some(code), _) => {
                out.push(code);
                at += 2;
            }
            (None, b'+') => out.push(b' '),
            (None, other) => out.push(*other),
        }
        at += 1;
    }
    String::from_utf8(out).ok()
}

/// A text as what the schema asks; one that is not stays a text, and the schema refuses it.
fn typed(asked: &Value, text: &str) -> Value {
    let read = match asked["type"].as_str() {
        Some("integer") => text.parse::<i64>().ok().map(Value::from),
        Some("number") => text.parse::<f64>().ok().map(Value::from),
        Some("boolean") => text.parse::<bool>().ok().map(Value::from),
        _ => None,
    };
    read.unwrap_or_else(|| text.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(text: &str) -> Form {
        Form::read(&Bytes::copy_from_slice(text.as_bytes())).unwrap()
    }

    #[test]
    fn a_place_is_needed_and_read() {
        assert_eq!(
            form("lat=48.8566&long=2.3522&address_string=Rue+Foch").place().unwrap(),
            "Rue Foch ; 48.8566, 2.3522"
        );
        assert_eq!(form("address_id=12").place().unwrap(), "adresse n° 12");
        for bad in ["", "lat=1", "lat=91&long=0", "lat=x&long=0", "lat=NaN&long=0", "address_string=+"] {
            assert!(form(bad).place().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        assert_eq!(
            form("a=b+c%C3%A9&&d&e=%3D%&é=f=g").0,
            [("a", "b cé"), ("d", ""), ("e", "=%"), ("é", "f=g")].map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
        assert!(Form::read(&Bytes::from_static(b"a=%ff")).is_err());
        assert!(Form::read(&Bytes::from("a=1&".repeat(MEMBERS + 1))).is_err());
    }

    #[test]
    fn the_key_is_no_part_of_what_is_kept() {
        let kept = form("service_code=voirie&api_key=vx_secret&description=a%26b").without_key();
        assert_eq!(kept, "service_code=voirie&description=a%26b");
    }
}
