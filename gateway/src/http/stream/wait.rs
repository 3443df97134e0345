//! The long poll: an answer that comes when there is something to tell (RFC 7240 §4.3).

use std::time::Duration;

use axum::http::HeaderMap;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Instant;
use voxea_core::feed::{Page, Selection, State};

use super::asked::Asked;
use super::hub::Batch;
use crate::http::api::Api;
use crate::http::problem::Problem;

/// The longest wait in seconds; the guard around every call allows five more.
const LONGEST: u64 = 25;

/// The seconds that a caller prefers to wait, at most [`LONGEST`]; `None` when it says nothing that can be read.
pub(crate) fn preferred(headers: &HeaderMap) -> Option<u64> {
    let values = headers.get_all("prefer").into_iter().filter_map(|value| value.to_str().ok());
    let mut preferences = values.flat_map(|value| value.split(','));
    preferences.find_map(|preference| {
        let (name, value) = preference.split(';').next()?.split_once('=')?;
        let value = value.trim().trim_matches('"');
        let is_number = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
        // A number that is too long for us is too long a wait.
        (name.trim().eq_ignore_ascii_case("wait") && is_number).then(|| value.parse().unwrap_or(u64::MAX).min(LONGEST))
    })
}

/// The first page after a position that shows anything, or an empty one when `seconds` are over or the daemon stops.
///
/// # Errors
/// As [`Asked::page`].
pub(crate) async fn page(api: &Api, asked: &Asked, selection: &Selection, state: &State, seconds: u64) -> Result<Page, Problem> {
    let end = Instant::now() + Duration::from_secs(seconds);
    let hub = api.hub();
    let mut heard = hub.hear();
    let mut page = asked.page(api, selection, asked.position(state)?).await?;
    loop {
        // What is shown to nobody is passed over here rather than by the caller.
        while page.items.is_empty() && page.has_more && Instant::now() < end {
            page = asked.page(api, selection, page.next).await?;
        }
        if !page.items.is_empty() || page.has_more {
            return Ok(page);
        }
        loop {
            let batch = tokio::select! {
                () = tokio::time::sleep_until(end) => return Ok(page),
                () = hub.closing() => return Ok(page),
                batch = heard.recv() => batch,
            };
            match batch {
                Ok(batch) if batch.epoch != state.epoch => {
                    // Refused with the way back.
                    asked.position(&api.core().feed.state().await?)?;
                    return Ok(page);
                }
                Ok(batch) => match shows(&batch, selection, page.next) {
                    None => {}
                    Some(true) => break,
                    Some(false) => page.next = batch.next,
                },
                Err(RecvError::Lagged(_)) => break,
                Err(RecvError::Closed) => return Ok(page),
            }
        }
        page = asked.page(api, selection, page.next).await?;
    }
}

/// Whether the page after `next` may show anything of a batch; `None` for a batch that lies before it.
fn shows(batch: &Batch, selection: &Selection, next: i64) -> Option<bool> {
    if batch.next <= next {
        return None;
    }
    let is_shown = |event: &voxea_core::feed::Event| event.position > next && selection.view(event.clone()).is_some();
    Some(batch.after > next || batch.events.iter().any(|stored| is_shown(&stored.event)))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_wait_is_read_in_every_spelling_and_bounded() {
        let of = |values: &[&'static str]| {
            let values = values
                .iter()
                .map(|value| ("prefer".parse().unwrap(), HeaderValue::from_static(value)));
            preferred(&values.collect::<HeaderMap>())
        };
        assert_eq!(of(&["wait=10"]), Some(10));
        assert_eq!(of(&["respond-async, Wait = \"7\"; foo=1"]), Some(7));
        assert_eq!(of(&["return=minimal", "wait=600"]), Some(25));
        assert_eq!(of(&["wait=99999999999999999999999"]), Some(25));
        for nothing in ["wait", "wait=", "wait=-1", "wait=soon", "await=5"] {
            assert_eq!(of(&[nothing]), None, "{nothing}");
        }
    }
}
