//! Open311 GeoReport v2 under `/open311/v2` (<https://wiki.open311.org/GeoReport_v2>): what citizens report of public themes, and how far
//! it has come. No answer has anything personal: neither who reports, nor their words, nor the place, which may be their home.

mod answer;
mod anybody;
mod discovery;
mod reports;
mod requests;
mod services;
pub(crate) mod settings;
mod standing;

use axum::Router;
use axum::routing::get;

use crate::http::api::Api;

/// The routes.
pub(crate) fn routes() -> Router<Api> {
    let mut router = Router::new();
    for format in ["xml", "json"] {
        router = router
            .route(&format!("/open311/discovery.{format}"), get(discovery::get))
            .route(&format!("/open311/v2/discovery.{format}"), get(discovery::get))
            .route(&format!("/open311/v2/services.{format}"), get(services::list))
            .route(&format!("/open311/v2/requests.{format}"), get(requests::list).post(reports::post));
    }
    router
        .route("/open311/v2/services/{code}", get(services::get))
        .route("/open311/v2/requests/{id}", get(requests::get))
        .route("/open311/v2/requests/{id}/{updates}", get(requests::updates))
        .route("/open311/v2/tokens/{token}", get(requests::token))
}
