//! `/v1/changes`: the one ordered stream that back-office applications pull.

use axum::Json;
use axum::extract::State;
use axum::http::header::VARY;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::{IntoResponse as _, Response};

use crate::http::accept;
use crate::http::api::Api;
use crate::http::auth::{Caller, Read};
use crate::http::extract::Params;
use crate::http::openapi::{Keyed, Problem as ProblemBody};
use crate::http::problem::Problem;
use crate::http::stream::{Asked, Changes, Query, atom, sse, wait};

/// Every change after a cursor, in order, none left out.
#[utoipa::path(get, path = "/v1/changes", tag = "changes", security(("key" = ["read"])),
    params(Query, ("Prefer" = Option<String>, Header,
        description = "`wait=N`: when there is nothing to tell, the answer comes as soon as there is, or empty after N seconds, 25 at most \
                       (RFC 7240)")),
    responses((status = 200, description = "A page of events; by Accept the stream of them, or an Atom feed (RFC 4287, 5005)",
            content((Changes = "application/json"), (String = "text/event-stream"), (String = "application/atom+xml")),
            headers(("Preference-Applied" = String, description = "`wait=N`, as it was heeded"))), Keyed,
        (status = 409, description = "The cursor is of another epoch, since a backup was restored; `snapshot` is the way back",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 410, description = "Events after the cursor were removed, since their time was over; `snapshot` is the way back",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "No such type, theme or mode", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn list(
    State(api): State<Api>,
    caller: Caller<Read>,
    headers: HeaderMap,
    Params(pairs): Params<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let asked = Asked::read(&pairs)?;
    let form = form(&headers);
    if form == Some(sse::MEDIA_TYPE) {
        return sse::open(api, &headers, &caller.actor, asked).await;
    }
    let selection = asked.selection(&api, &caller.actor).await?;
    let state = api.core().feed.state().await?;
    let place = wait::preferred(&headers).zip(api.hub().wait());
    let page = match &place {
        Some((seconds, _)) => wait::page(&api, &asked, &selection, &state, *seconds).await?,
        None => asked.page(&api, &selection, asked.position(&state)?).await?,
    };
    let mut response = if form == Some(atom::MEDIA_TYPE) {
        atom::answer(&api.core().organisation, &pairs, page, &state.epoch)
    } else {
        Json(Changes::of(page, &state.epoch)).into_response()
    };
    let added = response.headers_mut();
    added.insert(VARY, HeaderValue::from_static("accept, prefer"));
    if let Some((seconds, _)) = place
        && let Ok(applied) = HeaderValue::from_str(&format!("wait={seconds}"))
    {
        added.insert(HeaderName::from_static("preference-applied"), applied);
    }
    Ok(response)
}

/// The changes after a cursor and those to come, as server-sent events, for as long as the connection holds.
#[utoipa::path(get, path = "/v1/changes/stream", tag = "changes", security(("key" = ["read"])),
    params(Query, ("Last-Event-ID" = Option<String>, Header,
        description = "The id of the last event that was seen; it goes before `after`")),
    responses((status = 200, description = "Events without an end; each one's id is the cursor after it", content_type = "text/event-stream",
            body = String), Keyed,
        (status = 409, description = "The cursor is of another epoch, since a backup was restored; `snapshot` is the way back",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 410, description = "Events after the cursor were removed, since their time was over; `snapshot` is the way back",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "No such type, theme or mode", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn stream(
    State(api): State<Api>,
    caller: Caller<Read>,
    headers: HeaderMap,
    Params(pairs): Params<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    sse::open(api, &headers, &caller.actor, Asked::read(&pairs)?).await
}

/// The form beside JSON that a caller likes better than that (RFC 9110 §12.5.1).
fn form(headers: &HeaderMap) -> Option<&'static str> {
    let forms = ["application/json", sse::MEDIA_TYPE, atom::MEDIA_TYPE];
    let found = forms.get(accept::best(headers, &forms)?)?;
    (*found != "application/json").then_some(found)
}

#[cfg(test)]
mod tests {
    use axum::http::header::ACCEPT;

    use super::*;

    #[test]
    fn the_form_is_the_one_that_is_liked_best() {
        let of = |value: &'static str| form(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(value))]));
        assert_eq!(of("text/event-stream"), Some(sse::MEDIA_TYPE));
        assert_eq!(of("Application/Atom+XML, */*;q=0.9"), Some(atom::MEDIA_TYPE));
        assert_eq!(
            (
                of("text/event-stream;q=0, application/json"),
                of("application/atom+xml;q=0.1, application/json")
            ),
            (None, None)
        );
        assert_eq!(of("text/html, application/json, application/atom+xml"), None);
        assert_eq!((of("*/*"), form(&HeaderMap::new())), (None, None));
    }
}
