//! The REST API: one door call a handler, refusals as problem details, routes and OpenAPI document from one list.

pub(crate) mod auth;
mod cursor;
mod download;
mod etag;
mod extract;
mod files;
mod guard;
mod idempotency;
mod openapi;
mod problem;
mod range;
pub(crate) mod server;
mod throttle;
pub(crate) mod tls;
mod v1;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::{Extension, Router};
use voxea_core::Core;
use voxea_core::base::account::{Account, Kind as AccountKind};

use crate::run::health::Health;
use crate::run::metrics::Metrics;
use problem::{Kind, Problem};
use throttle::Throttle;

/// What the handlers must know of the configuration.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// X-Forwarded-For is the proxy's word.
    pub(crate) behind_proxy: bool,
    /// We speak TLS ourselves.
    pub(crate) tls: bool,
}

/// The account by which persons and forms bring contacts in.
pub(crate) fn account() -> Account {
    Account::new(AccountKind::Api, "api")
}

/// What every handler shares.
#[derive(Debug, Clone)]
pub(crate) struct Api(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    core: Core,
    epoch: i64,
    settings: Settings,
    health: Health,
    metrics: Metrics,
    throttle: Throttle,
}

impl Api {
    /// Over the core's doors. `epoch` is the one under which [`account`] was registered.
    pub(crate) fn new(core: Core, epoch: i64, settings: Settings, health: Health, metrics: Metrics) -> Self {
        Self(Arc::new(Shared {
            core,
            epoch,
            settings,
            health,
            metrics,
            throttle: Throttle::default(),
        }))
    }

    /// The doors.
    pub(crate) fn core(&self) -> &Core {
        &self.0.core
    }

    /// The epoch under which contacts are taken in.
    pub(crate) fn epoch(&self) -> i64 {
        self.0.epoch
    }

    /// The settings.
    pub(crate) fn settings(&self) -> Settings {
        self.0.settings
    }

    /// The daemon's health.
    pub(crate) fn health(&self) -> &Health {
        &self.0.health
    }

    /// The counters of calls.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The counts of failed logins.
    pub(crate) fn throttle(&self) -> &Throttle {
        &self.0.throttle
    }

    /// Every route, with the guard around it.
    pub(crate) fn router(self) -> Router {
        let (routes, document) = v1::routes().split_for_parts();
        routes
            .layer(Extension(openapi::Document::new(&document)))
            .fallback(nowhere)
            .method_not_allowed_fallback(not_offered)
            .layer(DefaultBodyLimit::max(extract::LARGEST_BODY))
            .layer(middleware::from_fn_with_state(self.clone(), guard::guard))
            .with_state(self)
    }
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
