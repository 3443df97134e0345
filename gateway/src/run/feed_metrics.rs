//! Who follows the feed, and how far behind they are. Names are bounded: a town has so many consumers and webhooks and no more.

use std::collections::BTreeMap;
use std::time::Duration;

use prometheus::core::Collector as _;
use prometheus::{IntGaugeVec, Opts};
use voxea_core::Core;
use voxea_core::base::error::Result as CoreResult;
use voxea_core::base::time;
use voxea_core::consumer::{Consumer, Lag};
use voxea_core::webhook::Webhook;

use super::families::Families;

/// A scrape does not wait longer for a database that hangs; the figures are then left out.
const PATIENCE: Duration = Duration::from_secs(2);

/// What each consumer and each webhook has still to get.
pub(super) async fn followers(core: &Core) -> Result<Families, prometheus::Error> {
    let mut families = Families::new();
    if let Ok(Ok(lags)) = tokio::time::timeout(PATIENCE, lags(core)).await {
        families.extend(consumers(&lags)?);
    }
    if let Ok(Ok((head, found, open))) = tokio::time::timeout(PATIENCE, hooks(core)).await {
        families.extend(webhooks(head, &found, &open)?);
    }
    Ok(families)
}

async fn lags(core: &Core) -> CoreResult<Vec<(Consumer, Lag)>> {
    let mut lags = Vec::new();
    for consumer in core.consumers.all().await? {
        let lag = core.consumers.lag(&consumer, time::now()).await?;
        lags.push((consumer, lag));
    }
    Ok(lags)
}

async fn hooks(core: &Core) -> CoreResult<(i64, Vec<Webhook>, BTreeMap<String, i64>)> {
    let open = core.webhooks.open().await?.into_iter().collect();
    Ok((core.feed.head().await?, core.webhooks.list().await?, open))
}

fn gauge(name: &str, help: &str, label: &str) -> Result<IntGaugeVec, prometheus::Error> {
    IntGaugeVec::new(Opts::new(name, help), &[label])
}

fn consumers(lags: &[(Consumer, Lag)]) -> Result<Families, prometheus::Error> {
    let name = "consumer";
    let events = gauge(
        "voxea_consumer_lag_events",
        "Events of the feed that a consumer has not acknowledged, at most.",
        name,
    )?;
    let seconds = gauge(
        "voxea_consumer_lag_seconds",
        "The age of the first event that a consumer has not acknowledged.",
        name,
    )?;
    for (consumer, lag) in lags {
        events.with_label_values(&[&consumer.name]).set(lag.events);
        seconds.with_label_values(&[&consumer.name]).set(lag.age / 1000);
    }
    Ok([events.collect(), seconds.collect()].concat())
}

fn webhooks(head: i64, found: &[Webhook], open: &BTreeMap<String, i64>) -> Result<Families, prometheus::Error> {
    let name = "webhook";
    let active = gauge(
        "voxea_webhook_active",
        "1 for a webhook that is sent to, 0 for one that is disabled.",
        name,
    )?;
    let failures = gauge(
        "voxea_webhook_failures",
        "Rounds of attempts in a row of which a webhook's endpoint took none.",
        name,
    )?;
    let waiting = gauge(
        "voxea_webhook_open",
        "Deliveries of a webhook that are neither delivered nor given up.",
        name,
    )?;
    let behind = gauge(
        "voxea_webhook_lag_events",
        "Events of the feed that are no deliveries of a webhook yet, at most.",
        name,
    )?;
    for webhook in found {
        let label = [webhook.id.as_str()];
        active.with_label_values(&label).set(i64::from(webhook.active));
        failures.with_label_values(&label).set(webhook.failures);
        waiting
            .with_label_values(&label)
            .set(open.get(&webhook.id).copied().unwrap_or_default());
        behind.with_label_values(&label).set((head - webhook.position).max(0));
    }
    Ok([active.collect(), failures.collect(), waiting.collect(), behind.collect()].concat())
}
