//! `/v1/sms:preview`: what a text would cost, before it is sent.

use axum::Json;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use voxea_rules::sms;

use crate::http::auth::{Caller, Reply};
use crate::http::extract::Body;
use crate::http::openapi::{Keyed, Sent};
use crate::http::problem::Problem;

/// A text.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Draft {
    /// As the agent wrote it.
    text: String,
}

/// How a text would go out.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Preview {
    /// `gsm7` or `ucs2`.
    #[schema(example = "gsm7")]
    coding: &'static str,
    /// Septets or UTF-16 units, after typography is replaced.
    units: usize,
    /// 160 or 70.
    limit: usize,
    /// How many messages it would need.
    segments: usize,
    /// What forces UCS-2.
    offending: Vec<Offending>,
    /// A text that fits and says the same, when there is one.
    suggestion: Option<String>,
}

/// A character outside the 7-bit alphabet.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Offending {
    /// The character.
    char: char,
    /// Its place in characters, from 0.
    index: usize,
}

impl From<sms::Preview> for Preview {
    fn from(preview: sms::Preview) -> Self {
        Self {
            coding: preview.coding.as_str(),
            units: preview.units,
            limit: preview.limit,
            segments: preview.segments,
            offending: preview
                .offending
                .into_iter()
                .map(|one| Offending {
                    char: one.char,
                    index: one.index,
                })
                .collect(),
            suggestion: preview.suggestion,
        }
    }
}

/// What a text would cost as an SMS. Nothing is sent.
#[utoipa::path(post, path = "/v1/sms:preview", tag = "replies", security(("key" = ["reply"])), request_body = Draft,
    responses((status = 200, description = "Its coding and length", body = Preview), Keyed, Sent))]
pub(super) async fn preview(_caller: Caller<Reply>, draft: Body<Draft>) -> Result<Json<Preview>, Problem> {
    Ok(Json(sms::preview(&draft.value.text).into()))
}
