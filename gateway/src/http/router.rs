//! Every route, and the guard around them.

use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::{Extension, Router};

use super::api::Api;
use super::problem::{Kind, Problem};
use super::{compat, compressed, cors, deprecated, extract, guard, openapi, query, reads, v1, xml};

/// Every route, with the guard around it.
pub(crate) fn router(api: Api) -> Router {
    let (routes, mut document) = v1::routes().split_for_parts();
    reads::describe(&mut document);
    xml::describe(&mut document);
    let mapping = xml::Xml::of(&openapi::tree(&document));
    let known = query::Known::of(&document);
    let origins = cors::Origins::new(&api.settings().cors_origins);
    let routes = if api.settings().open311.enabled {
        routes.merge(compat::open311::routes())
    } else {
        routes
    };
    routes
        .layer(Extension(openapi::Document::new(&document)))
        .layer(Extension(mapping.page()))
        .fallback(nowhere)
        .method_not_allowed_fallback(not_offered)
        .layer(middleware::from_fn_with_state(api.clone(), reads::reads))
        .layer(middleware::from_fn_with_state(known, query::query))
        .layer(DefaultBodyLimit::max(extract::LARGEST_BODY))
        .layer(middleware::from_fn_with_state(mapping, xml::xml))
        .layer(middleware::from_fn_with_state(deprecated::TABLE, deprecated::deprecated))
        .layer(middleware::from_fn(compressed::compressed))
        .layer(middleware::from_fn_with_state(origins, cors::cors))
        .layer(middleware::from_fn_with_state(api.clone(), guard::guard))
        .with_state(api)
}

async fn nowhere() -> Problem {
    Problem::new(Kind::NOT_FOUND, "there is nothing at this path; /openapi.json lists what there is")
}

async fn not_offered() -> Problem {
    Problem::new(
        Kind::METHOD,
        "this path does not offer the method; the Allow header lists those that it does",
    )
}
