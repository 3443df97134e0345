//! What Prometheus sees: calls of the API as they happen, everything else at the moment of the scrape.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus::core::Collector;
use prometheus::{HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry, TextEncoder};
use voxea_core::Core;
use voxea_core::base::time;
use voxea_core::channel::{State as ChannelState, TrunkState};

use super::families::Families;
use super::{bind_metrics, feed_metrics, mailbox_metrics};

/// Counters of the API. Without a registry they count all the same and nobody reads them.
#[derive(Clone)]
pub(crate) struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    calls: Option<IntCounterVec>,
    seconds: Option<HistogramVec>,
    logins: Option<IntCounterVec>,
    webhooks: Option<IntCounterVec>,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Metrics")
    }
}

impl Metrics {
    /// Nothing counted yet.
    pub(crate) fn new() -> Self {
        let registry = Registry::new();
        let calls = IntCounterVec::new(
            Opts::new("voxea_http_requests_total", "Calls of the API."),
            &["method", "route", "status"],
        )
        .ok();
        let buckets = vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
        let options = HistogramOpts::new(
            "voxea_http_request_seconds",
            "Time from the headers of a call to those of its answer.",
        );
        let seconds = HistogramVec::new(options.buckets(buckets), &["route"]).ok();
        if let Some(calls) = &calls {
            let _ = registry.register(Box::new(calls.clone()));
        }
        if let Some(seconds) = &seconds {
            let _ = registry.register(Box::new(seconds.clone()));
        }
        let options = Opts::new("voxea_logins_total", "Logins of agents by how they ended.");
        let logins = IntCounterVec::new(options, &["outcome"]).ok();
        if let Some(logins) = &logins {
            let _ = registry.register(Box::new(logins.clone()));
        }
        let options = Opts::new(
            "voxea_webhook_attempts_total",
            "Attempts at telling webhooks of events by how they ended.",
        );
        let webhooks = IntCounterVec::new(options, &["outcome"]).ok();
        if let Some(webhooks) = &webhooks {
            let _ = registry.register(Box::new(webhooks.clone()));
        }
        Self(Arc::new(Inner {
            registry,
            calls,
            seconds,
            logins,
            webhooks,
        }))
    }

    /// One call was answered. `route` is the pattern, never the path: ids would make the set unbounded.
    pub(crate) fn called(&self, method: &str, route: &str, status: u16, time: Duration) {
        if let Some(calls) = &self.0.calls {
            calls.with_label_values(&[method, route, &status.to_string()]).inc();
        }
        if let Some(seconds) = &self.0.seconds {
            seconds.with_label_values(&[route]).observe(time.as_secs_f64());
        }
    }

    /// A login ended: `in`, `unknown`, `disabled`, `password`, `totp`, `later`, `address`, `oidc`. Never whose it was.
    pub(crate) fn login(&self, outcome: &'static str) {
        if let Some(logins) = &self.0.logins {
            logins.with_label_values(&[outcome]).inc();
        }
    }

    /// An attempt at telling a webhook ended: `delivered`, `refused` (by its status), `unanswered`.
    pub(crate) fn webhook(&self, outcome: &'static str) {
        if let Some(webhooks) = &self.0.webhooks {
            webhooks.with_label_values(&[outcome]).inc();
        }
    }

    /// The text format 0.0.4.
    async fn text(&self, core: &Core) -> Result<String, prometheus::Error> {
        let mut families = self.0.registry.gather();
        families.extend(channels(core)?);
        families.extend(bind_metrics::binds(&core.channels.list())?);
        families.extend(mailbox_metrics::folders(&core.channels.list())?);
        families.extend(mailbox_metrics::quarantined(core).await?);
        families.extend(events(core)?);
        families.extend(audit(core).await?);
        families.extend(gauges(core).await?);
        families.extend(uploads(core)?);
        families.extend(feed_metrics::followers(core).await?);
        written(families)
    }
}

/// The text format 0.0.4. What has no series yet is left out: the encoder takes an empty family for an error.
fn written(mut families: Families) -> Result<String, prometheus::Error> {
    families.retain(|family| !family.get_metric().is_empty());
    TextEncoder::new().encode_to_string(&families)
}

fn channels(core: &Core) -> Result<Families, prometheus::Error> {
    let state = IntGaugeVec::new(
        Opts::new("voxea_channel_state", "1 for the state that a channel is in."),
        &["kind", "name", "state"],
    )?;
    let queue = IntGaugeVec::new(Opts::new("voxea_channel_queue", "Work that waits on a channel."), &["kind", "name"])?;
    let attempts = IntGaugeVec::new(
        Opts::new("voxea_channel_attempts", "Failed attempts since a channel last worked."),
        &["kind", "name"],
    )?;
    let trunks = IntGaugeVec::new(
        Opts::new(
            "voxea_sip_trunk_up",
            "1 for a trunk whose peer answers and has registered us where we wish it, 0 for another; none as long as that is unknown.",
        ),
        &["trunk"],
    )?;
    for status in core.channels.list() {
        for trunk in status.trunks.iter().filter(|trunk| trunk.state != TrunkState::Unknown) {
            trunks
                .with_label_values(&[&trunk.name])
                .set(i64::from(trunk.state == TrunkState::Up));
        }
        let (kind, name) = (status.account.kind.as_str(), status.account.name.as_str());
        for each in [
            ChannelState::Connecting,
            ChannelState::Up,
            ChannelState::Retrying,
            ChannelState::Halted,
            ChannelState::Stopping,
        ] {
            state
                .with_label_values(&[kind, name, each.as_str()])
                .set(i64::from(each == status.state));
        }
        queue
            .with_label_values(&[kind, name])
            .set(i64::try_from(status.queue).unwrap_or(i64::MAX));
        attempts.with_label_values(&[kind, name]).set(i64::from(status.attempts));
    }
    Ok([state.collect(), queue.collect(), attempts.collect(), trunks.collect()].concat())
}

fn events(core: &Core) -> Result<Families, prometheus::Error> {
    let events = IntCounterVec::new(
        Opts::new("voxea_events_total", "What happened on each account."),
        &["kind", "name", "event"],
    )?;
    for (kind, name, event, count) in core.counters.snapshot() {
        events.with_label_values(&[kind.as_str(), name.as_str(), event]).inc_by(count);
    }
    let held = IntGaugeVec::new(
        Opts::new("voxea_held", "What each account holds: calls, transactions, deadlines."),
        &["kind", "name", "what"],
    )?;
    for (kind, name, what, level) in core.counters.levels() {
        let level = i64::try_from(level).unwrap_or(i64::MAX);
        held.with_label_values(&[kind.as_str(), name.as_str(), what]).set(level);
    }
    Ok([events.collect(), held.collect()].concat())
}

async fn audit(core: &Core) -> Result<Families, prometheus::Error> {
    // As below: left out while the database hangs.
    let Ok(Ok(audit)) = tokio::time::timeout(Duration::from_secs(2), core.audit.status()).await else {
        return Ok(Families::new());
    };
    let mut families = Families::new();
    let age = audit.signed_at.map_or(-1, |at| (time::now() - at) / 1000);
    for (name, help, value) in [
        ("voxea_audit_rows", "Rows of the audit trail that were ever written.", audit.rows),
        (
            "voxea_audit_unsigned_rows",
            "Of these, how many are not signed yet.",
            audit.unsigned,
        ),
        (
            "voxea_audit_checkpoint_age_seconds",
            "Time since the audit trail was signed last; -1 when it never was.",
            age,
        ),
    ] {
        let gauge = IntGauge::new(name, help)?;
        gauge.set(value);
        families.extend(gauge.collect());
    }
    for (name, help, value) in [
        (
            "voxea_audit_checkpoints_total",
            "Checkpoints of the audit trail.",
            audit.checkpoints,
        ),
        (
            "voxea_audit_failures_total",
            "Reads refused for want of an entry in the audit trail, and checkpoints that failed.",
            audit.failures,
        ),
    ] {
        let counter = IntCounter::new(name, help)?;
        counter.inc_by(value);
        families.extend(counter.collect());
    }
    Ok(families)
}

/// Nothing where files stay in the local folder.
fn uploads(core: &Core) -> Result<Families, prometheus::Error> {
    let mut families = Families::new();
    let Some(waiting) = core.uploads.waiting() else {
        return Ok(families);
    };
    for (name, help, value) in [
        (
            "voxea_blobs_waiting",
            "Files that wait to be moved to object storage.",
            waiting.files,
        ),
        ("voxea_blobs_waiting_bytes", "Their octets.", waiting.bytes),
    ] {
        let gauge = IntGauge::new(name, help)?;
        gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        families.extend(gauge.collect());
    }
    for (name, help, value) in [
        (
            "voxea_blobs_moved_total",
            "Files that were moved to object storage, each verified there.",
            waiting.moved,
        ),
        (
            "voxea_blobs_failures_total",
            "Attempts at moving a file that failed; the file stayed.",
            waiting.failures,
        ),
    ] {
        let counter = IntCounter::new(name, help)?;
        counter.inc_by(value);
        families.extend(counter.collect());
    }
    Ok(families)
}

async fn gauges(core: &Core) -> Result<Families, prometheus::Error> {
    let mut families = Vec::new();
    let mut gauge = |name: &str, help: &str, value: i64| -> Result<(), prometheus::Error> {
        let gauge = IntGauge::new(name, help)?;
        gauge.set(value);
        families.extend(gauge.collect());
        Ok(())
    };
    // A scrape must not wait for a database that hangs; the position is then left out.
    if let Ok(Ok(head)) = tokio::time::timeout(Duration::from_secs(2), core.feed.head()).await {
        gauge("voxea_feed_position", "The last position of the feed.", head)?;
    }
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    gauge(
        "voxea_tasks",
        "Tasks alive in the runtime.",
        i64::try_from(tasks).unwrap_or(i64::MAX),
    )?;
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        gauge(
            "process_open_fds",
            "Open descriptors.",
            i64::try_from(open.count()).unwrap_or(i64::MAX),
        )?;
    }
    if let Some(bytes) = resident() {
        gauge("process_resident_memory_bytes", "Memory in use.", bytes)?;
    }
    Ok(families)
}

/// `VmRSS` in bytes.
fn resident() -> Option<i64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().trim_end_matches(" kB").parse::<i64>().ok()?.checked_mul(1024)
}

/// The router behind `[api] metrics_listen`.
pub(crate) fn router(metrics: Metrics, core: Core) -> Router {
    Router::new().route("/metrics", get(scrape)).with_state((metrics, core))
}

async fn scrape(State((metrics, core)): State<(Metrics, Core)>) -> Response {
    match metrics.text(&core).await {
        Ok(text) => ([(CONTENT_TYPE, prometheus::TEXT_FORMAT)], text).into_response(),
        Err(error) => {
            tracing::error!(error = %error, "the metrics could not be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_counted_by_route_and_status() {
        let metrics = Metrics::new();
        metrics.called("GET", "/v1/requests/{id}", 200, Duration::from_millis(3));
        metrics.called("GET", "/v1/requests/{id}", 200, Duration::from_millis(3));
        let text = TextEncoder::new().encode_to_string(&metrics.0.registry.gather()).unwrap();
        assert!(
            text.contains(r#"voxea_http_requests_total{method="GET",route="/v1/requests/{id}",status="200"} 2"#),
            "{text}"
        );
        assert!(text.contains("voxea_http_request_seconds_count"), "{text}");
    }

    #[tokio::test]
    async fn a_scrape_before_anything_happened_is_answered() {
        let folder = tempfile::tempdir().unwrap();
        let core = Core::open(voxea_core::CoreConfig::embedded(folder.path())).await.unwrap();
        let response = scrape(State((Metrics::new(), core))).await;
        assert_eq!(response.status(), 200);
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        let text = String::from_utf8(body.to_vec()).unwrap();
        assert!(
            text.contains("voxea_feed_position 0")
                && text.contains("voxea_audit_checkpoint_age_seconds -1")
                && !text.contains("voxea_events_total"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_trunk_is_up_or_down_or_not_there() {
        let folder = tempfile::tempdir().unwrap();
        let core = Core::open(voxea_core::CoreConfig::embedded(folder.path())).await.unwrap();
        let account = voxea_core::base::account::Account::new(voxea_core::base::account::Kind::Sip, "sip");
        let reporter = core.channels.register(account);
        let trunk = |name: &str, state| voxea_core::channel::TrunkStatus {
            name: name.to_owned(),
            state,
            since: 0,
            address: None,
            registered_until: None,
            last_error: None,
            next_attempt: None,
            calls: 0,
            refused: 0,
        };
        reporter.trunks(vec![
            trunk("a", TrunkState::Up),
            trunk("b", TrunkState::Down),
            trunk("c", TrunkState::Unknown),
            trunk("d", TrunkState::Halted),
        ]);
        let text = Metrics::new().text(&core).await.unwrap();
        let shown: Vec<&str> = text.lines().filter(|line| line.starts_with("voxea_sip_trunk_up{")).collect();
        let expected = ["a\"} 1", "b\"} 0", "d\"} 0"].map(|end| format!("voxea_sip_trunk_up{{trunk=\"{end}"));
        assert_eq!(shown, expected);
    }

    #[test]
    fn memory_is_known_on_linux() {
        assert!(resident().is_some_and(|bytes| bytes > 1_000_000));
    }
}
