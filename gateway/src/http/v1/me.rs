//! `/v1/me`: who calls, and what agents change of their own access.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use voxea_core::access::Proof;
use voxea_core::base::actor::Actor;
use voxea_core::base::grant::Grant;
use voxea_core::base::time::{self, rfc3339};

use crate::http::api::Api;
use crate::http::auth::Caller;
use crate::http::extract::Body;
use crate::http::known::{Known, later};
use crate::http::openapi::{Keyed, Problem as ProblemBody, Sent};
use crate::http::problem::Problem;
use crate::http::v1::agents::Agent;
use crate::http::v1::roles::GrantBody;

/// Who calls, and what they may do.
#[derive(Serialize, ToSchema)]
pub(super) struct Me {
    /// `agent` or `program`.
    kind: &'static str,
    /// As history names them.
    #[schema(example = "agent:0199c2f0-5a3e-7000-8000-000000000000")]
    id: String,
    /// For people.
    name: String,
    /// What they may do: whatever any of these does.
    #[schema(value_type = Vec<GrantBody>)]
    grants: Vec<Grant>,
    /// Members of requests, interactions and citizens that they are shown, besides ids; null for all.
    fields: Option<Vec<String>>,
    /// What a program uses the data for.
    purpose: Option<String>,
    /// From when on a program is refused.
    until: Option<String>,
    /// The agent, if it is one.
    agent: Option<Agent>,
}

/// Another password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Passwords {
    /// The one in use.
    current: String,
    /// The one to come.
    new: String,
}

/// A code of the phone.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Code {
    /// Six digits.
    #[schema(example = "123456")]
    code: String,
}

/// A secret for codes. It is shown this once.
#[derive(Serialize, ToSchema)]
pub(super) struct Secret {
    /// As it is typed into a phone.
    secret: String,
    /// As a QR code says it.
    #[schema(example = "otpauth://totp/Mairie:j.martin?secret=…")]
    uri: String,
}

/// Who calls, and what they may do.
#[utoipa::path(get, path = "/v1/me", tag = "agents", security(("key" = [])),
    responses((status = 200, description = "Who calls", body = Me), Keyed))]
pub(super) async fn get(State(api): State<Api>, caller: Caller<Known>) -> Result<Json<Me>, Problem> {
    let (name, agent) = match &caller.actor {
        Actor::Agent(agent) => (agent.name.clone(), Some(api.core().people.agents.by_id(&agent.id).await?)),
        Actor::Client(client) => (client.name.clone(), None),
        Actor::System | Actor::Channel(_) => (String::new(), None),
    };
    let contract = match &caller.actor {
        Actor::Client(client) => Some(&client.contract),
        _ => None,
    };
    Ok(Json(Me {
        kind: if agent.is_some() { "agent" } else { "program" },
        id: caller.id.clone(),
        name,
        grants: caller.actor.grants().to_vec(),
        fields: caller.actor.fields().map(|fields| fields.iter().cloned().collect()),
        purpose: contract.and_then(|contract| contract.purpose.clone()),
        until: contract.and_then(|contract| contract.until).map(rfc3339),
        agent: agent.map(Agent::from),
    }))
}

/// Changes one's password. Every session of one's own ends, this one too.
#[utoipa::path(put, path = "/v1/me/password", tag = "agents", security(("key" = [])), request_body = Passwords,
    responses((status = 204, description = "It is changed; log in again"), Keyed, Sent,
        (status = 409, description = "A program has no password, or there is none yet", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn password(State(api): State<Api>, caller: Caller<Known>, body: Body<Passwords>) -> Result<StatusCode, Problem> {
    let Passwords { current, new } = &body.value;
    let own = &api.core().people.own;
    let proof = own.change_password(&caller.agent()?.id, current, new, time::now()).await?;
    proved(proof, "/current", "is not the current password")
}

/// Makes a secret for codes. They are needed to log in once a first one was sent by PUT.
#[utoipa::path(post, path = "/v1/me/totp", tag = "agents", security(("key" = [])),
    responses((status = 201, description = "The secret; it is shown this once", body = Secret), Keyed,
        (status = 409, description = "Codes are in use, or it is a program that calls", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn enrol(State(api): State<Api>, caller: Caller<Known>) -> Result<(StatusCode, Json<Secret>), Problem> {
    let core = api.core();
    let made = core.people.own.enrol(&caller.agent()?.id, &core.organisation, time::now()).await?;
    let shown = Secret {
        secret: made.secret.reveal().to_owned(),
        uri: made.uri.reveal().to_owned(),
    };
    Ok((StatusCode::CREATED, Json(shown)))
}

/// Takes codes into use.
#[utoipa::path(put, path = "/v1/me/totp", tag = "agents", security(("key" = [])), request_body = Code,
    responses((status = 204, description = "From now on a login needs a code"), Keyed, Sent,
        (status = 409, description = "There is no secret to confirm, or it is a program that calls", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn confirm(State(api): State<Api>, caller: Caller<Known>, body: Body<Code>) -> Result<StatusCode, Problem> {
    let own = &api.core().people.own;
    proved(
        own.confirm(&caller.agent()?.id, &body.value.code, time::now()).await?,
        "/code",
        WRONG_CODE,
    )
}

/// Takes codes out of use.
#[utoipa::path(delete, path = "/v1/me/totp", tag = "agents", security(("key" = [])), request_body = Code,
    responses((status = 204, description = "A login needs no code any more"), Keyed, Sent,
        (status = 409, description = "No codes are in use, or it is a program that calls", body = ProblemBody, content_type = "application/problem+json")))]
pub(super) async fn remove(State(api): State<Api>, caller: Caller<Known>, body: Body<Code>) -> Result<StatusCode, Problem> {
    let own = &api.core().people.own;
    proved(
        own.remove(&caller.agent()?.id, &body.value.code, time::now()).await?,
        "/code",
        WRONG_CODE,
    )
}

/// What is said of a code that does not fit.
const WRONG_CODE: &str = "is not the code that the phone shows now, or has served already; see that its clock is right";

fn proved(proof: Proof, pointer: &str, wrong: &str) -> Result<StatusCode, Problem> {
    match proof {
        Proof::Done => Ok(StatusCode::NO_CONTENT),
        Proof::Wrong => Err(Problem::invalid(pointer, wrong)),
        Proof::Later(at) => Err(later(at)),
    }
}
