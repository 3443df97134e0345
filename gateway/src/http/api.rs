//! What every handler shares.

use std::sync::Arc;

use voxea_core::Core;
use voxea_core::base::account::{Account, Kind as AccountKind};

use super::compat::open311::settings::Open311;
use super::encoded::Encoded;
use super::quota::Quota;
use super::stream::Hub;
use super::throttle::Throttle;
use crate::out::Guard;
use crate::run::health::Health;
use crate::run::metrics::Metrics;
use crate::trust::Trust;

/// What the handlers must know of the configuration.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// X-Forwarded-For is the proxy's word.
    pub(crate) behind_proxy: bool,
    /// We speak TLS ourselves.
    pub(crate) tls: bool,
    /// Sound and raw artefacts are given to nobody who says no purpose.
    pub(crate) purpose_required: bool,
    /// Streams of the feed at once; further ones are refused, so that connections are left for other calls.
    pub(crate) streams: usize,
    /// Where webhooks may not lead.
    pub(crate) guard: Guard,
    /// Calls that each client may make a minute.
    pub(crate) requests_per_minute: u32,
    /// Origins whose pages may read answers, as browsers write them.
    pub(crate) cors_origins: Vec<String>,
    /// Of Open311.
    pub(crate) open311: Open311,
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
    quota: Quota,
    entrance: Throttle,
    trust: Trust,
    encoded: Encoded,
    hub: Hub,
}

impl Api {
    /// Over the core's doors. `epoch` is the one under which [`account`] was registered.
    pub(crate) fn new(core: Core, epoch: i64, settings: Settings, health: Health, metrics: Metrics, trust: Trust) -> Self {
        Self(Arc::new(Shared {
            hub: Hub::new(core.feed.clone(), settings.streams),
            quota: Quota::new(settings.requests_per_minute),
            core,
            epoch,
            settings,
            health,
            metrics,
            throttle: Throttle::default(),
            entrance: Throttle::default(),
            trust,
            encoded: Encoded::default(),
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
    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// The daemon's health.
    pub(crate) fn health(&self) -> &Health {
        &self.0.health
    }

    /// The counters of calls.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// The counts of wrong tokens.
    pub(crate) fn throttle(&self) -> &Throttle {
        &self.0.throttle
    }

    /// What each client may still ask.
    pub(crate) fn quota(&self) -> &Quota {
        &self.0.quota
    }

    /// The identity providers.
    pub(crate) fn trust(&self) -> &Trust {
        &self.0.trust
    }

    /// Recordings that were encoded lately.
    pub(crate) fn encoded(&self) -> &Encoded {
        &self.0.encoded
    }

    /// Where everybody waits for what happens.
    pub(crate) fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// The counts of failed logins; their own, so that a program with an old key shuts no agent out.
    pub(crate) fn entrance(&self) -> &Throttle {
        &self.0.entrance
    }
}
