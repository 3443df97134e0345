//! Version 1: one file a resource, one door call a handler.

mod agents;
mod attachments;
mod audio;
mod audit;
mod captures;
mod changes;
mod channels;
mod citizen;
mod citizens;
mod consumers;
mod contact_points;
mod control;
mod deliveries;
mod enclosures;
mod external;
mod health;
mod history;
pub(super) mod intake;
mod interactions;
mod jobs;
mod lookup;
mod mails;
mod me;
mod moves;
mod oidc;
mod opt_outs;
mod recordings;
mod references;
mod replies;
mod requests;
mod roles;
mod services;
mod sessions;
mod sms;
mod themes;
mod waveform;
mod webhooks;

use axum::extract::DefaultBodyLimit;
use utoipa::OpenApi;
use utoipa_axum::router::{OpenApiRouter, UtoipaMethodRouterExt as _};
use utoipa_axum::routes;

use super::openapi::{self, Frame};
use crate::http::api::Api;
use crate::http::extract::LARGEST_REPLY;
use crate::http::xml::schema;

/// Every route, and its document.
pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::with_openapi(Frame::openapi())
        .routes(routes!(requests::list))
        .routes(routes!(requests::get, requests::patch))
        .routes(routes!(external::get, external::put))
        .routes(routes!(external::tell))
        .routes(routes!(history::of_request))
        .routes(routes!(interactions::of_request))
        .routes(routes!(interactions::raw))
        .routes(routes!(mails::html))
        .routes(routes!(replies::post).layer(DefaultBodyLimit::max(LARGEST_REPLY)))
        .routes(routes!(replies::get, replies::cancel))
        .routes(routes!(sms::preview))
        .routes(routes!(recordings::get))
        .routes(routes!(audio::get))
        .routes(routes!(recordings::hold, recordings::release))
        .routes(routes!(control::pause))
        .routes(routes!(control::resume))
        .routes(routes!(control::stop))
        .routes(routes!(control::discard))
        .routes(routes!(waveform::get))
        .routes(routes!(attachments::get))
        .routes(routes!(changes::list))
        .routes(routes!(changes::stream))
        .routes(routes!(consumers::list))
        .routes(routes!(consumers::get, consumers::put, consumers::delete))
        .routes(routes!(consumers::batch))
        .routes(routes!(consumers::ack))
        .routes(routes!(consumers::rewind))
        .routes(routes!(webhooks::list, webhooks::post))
        .routes(routes!(webhooks::get, webhooks::patch, webhooks::delete))
        .routes(routes!(webhooks::rotate))
        .routes(routes!(webhooks::replay))
        .routes(routes!(deliveries::list))
        .routes(routes!(deliveries::retry))
        .routes(routes!(deliveries::test))
        .routes(routes!(channels::list))
        .routes(routes!(captures::get))
        .routes(routes!(jobs::list))
        .routes(routes!(audit::list))
        .routes(routes!(services::whole))
        .routes(routes!(services::list))
        .routes(routes!(services::get, services::put))
        .routes(routes!(themes::list))
        .routes(routes!(themes::get, themes::put))
        .routes(routes!(moves::post))
        .routes(routes!(citizens::list, citizens::post))
        .routes(routes!(citizens::get, citizens::patch))
        .routes(routes!(citizens::requests))
        .routes(routes!(history::of_citizen))
        .routes(routes!(contact_points::post))
        .routes(routes!(contact_points::patch, contact_points::delete))
        .routes(routes!(lookup::lookup))
        .routes(routes!(opt_outs::list, opt_outs::put))
        .routes(routes!(opt_outs::delete))
        .routes(routes!(intake::counter))
        .routes(routes!(intake::letters))
        .routes(routes!(intake::calls))
        .routes(routes!(intake::fax))
        .routes(routes!(intake::web))
        .routes(routes!(sessions::post))
        .routes(routes!(sessions::delete))
        .routes(routes!(oidc::login))
        .routes(routes!(oidc::callback))
        .routes(routes!(me::get))
        .routes(routes!(me::password))
        .routes(routes!(me::enrol, me::confirm, me::remove))
        .routes(routes!(agents::list))
        .routes(routes!(agents::get, agents::put))
        .routes(routes!(agents::password))
        .routes(routes!(agents::totp))
        .routes(routes!(roles::list))
        .routes(routes!(roles::get, roles::put))
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(openapi::document))
        .routes(routes!(schema::published))
}
