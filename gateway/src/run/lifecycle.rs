//! From the first moment to the last: open, listen, start the channels, say so, wait, stop in two stages.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use tokio::net::{TcpListener, TcpSocket};
use tokio::task::JoinHandle;
use tokio_util::task::TaskTracker;
use voxea_core::Core;
use voxea_core::base::stop::Stop;
use voxea_core::base::time;
use voxea_core::jobs::Lane;

use super::announce::announce;
use super::health::Health;
use super::metrics::{self, Metrics};
use super::pulse::Pulses;
use super::signals::Signals;
use super::supervisor::{Pace, Supervisor};
use super::{alarms, channels, jobs, logs, notify};
use crate::config::Config;
use crate::failure::Failure;
use crate::http::{self, Api, Settings, server};
use crate::out;

/// Scrapers connected at once.
const SCRAPERS: usize = 16;
/// Connections that streams of the feed leave for other calls.
const KEPT: usize = 16;
/// Connections that wait in the kernel to be accepted, as far as `net.core.somaxconn` lets them; who finds no room there tries
/// again after a second.
const BACKLOG: u32 = 4096;
/// Of the time for stopping, this much is kept for the hard stop and for closing the store.
const HARD: Duration = Duration::from_millis(1000);

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// It could not start, or a task that it cannot live without has ended.
pub(crate) async fn run(config: Config, migrate: bool) -> Result<ExitCode, Failure> {
    logs::start();
    let mut signals = Signals::hear().map_err(Failure::system("hearing signals"))?;
    let mut daemon = tokio::select! {
        started = Daemon::start(&config, migrate) => started?,
        signal = signals.next() => {
            tracing::info!(signal, "stopped while starting");
            return Ok(ExitCode::SUCCESS);
        }
    };
    let outcome = tokio::select! {
        signal = signals.next() => {
            tracing::info!(signal, "stopping");
            Ok(ExitCode::SUCCESS)
        }
        ended = &mut daemon.api => {
            // The acceptor only ends when it is told to, or by a bug.
            tracing::error!(panicked = ended.is_err(), "the API ended unasked");
            Err(Failure::Broken("the API ended unasked; the log says more".into()))
        }
    };
    daemon.stop(config.api.stop, signals).await;
    outcome
}

/// What runs.
struct Daemon {
    core: Core,
    stop: Stop,
    tracker: TaskTracker,
    health: Health,
    api: JoinHandle<()>,
}

impl Daemon {
    async fn start(config: &Config, migrate: bool) -> Result<Self, Failure> {
        for warning in &config.warnings {
            tracing::warn!(place = %warning.place, key = warning.key, "{}", warning.message);
        }
        let core = Core::open(config.core(migrate)).await?;
        // A theme that somebody switched off keeps no telephone silent: what comes in has no theme then.
        for problem in config.judged_by(&core.catalogue.current()) {
            tracing::warn!(place = %problem.place, key = problem.key, "{}", problem.message);
        }
        let (stop, tracker, health, pulses, metrics) = (
            Stop::new(),
            TaskTracker::new(),
            Health::default(),
            Pulses::default(),
            Metrics::new(),
        );
        core.runner.enter().await?;
        let epoch = core.intake.register(&http::account()).await?;

        // Channels come before the API's first answer, so that /v1/channels names them all from the start.
        let supervisor = Supervisor {
            channels: core.channels.clone(),
            counters: core.counters.clone(),
            pace: Pace::default(),
            tracker: tracker.clone(),
            stop: stop.clone(),
        };
        let api_reporter = core.channels.register(http::account());
        let starts: Vec<_> = channels::starts(config, &core)
            .into_iter()
            .map(|(account, longest, start)| (core.channels.register(account), longest, start))
            .collect();

        let settings = Settings {
            behind_proxy: config.api.behind_proxy,
            tls: config.api.tls.is_some(),
            purpose_required: config.audit.purpose_required,
            streams: config.api.connections.saturating_sub(KEPT).max(config.api.connections / 2),
            guard: config.webhooks.guard.clone(),
            requests_per_minute: config.api.requests_per_minute,
            cors_origins: config.api.cors_origins.clone(),
            open311: config.open311.clone(),
        };
        let (listener, address) = listen(config.api.listen).await?;
        if let Some(wanted) = config.api.metrics_listen {
            let (listener, address) = listen(wanted).await?;
            let router: Router = metrics::router(metrics.clone(), core.clone());
            tracker.spawn(server::serve(
                listener,
                None,
                router,
                SCRAPERS,
                pulses.watch("metrics"),
                stop.clone(),
            ));
            tracing::info!(address = %address, "metrics listening");
        }
        let sender = config
            .webhooks
            .post
            .clone()
            .filter(|_| config.webhooks.enabled)
            .map(|post| out::Sender {
                post,
                concurrency: config.webhooks.concurrency,
                metrics: metrics.clone(),
            });
        let tls = settings.tls;
        let api = Api::new(core.clone(), epoch, settings, health.clone(), metrics, config.trust.clone());
        tracker.spawn(api.hub().clone().follow(stop.clone()));
        let router = http::router(api);
        if let Some(tls) = &config.api.tls {
            tracker.spawn(voxea_sip::renewals(Arc::clone(&tls.certificate), stop.soft.clone()));
        }
        let serving = server::serve(
            listener,
            config.api.tls.as_ref().map(|tls| Arc::clone(&tls.config)),
            router,
            config.api.connections,
            pulses.watch("api"),
            stop.clone(),
        );
        let api = tracker.spawn(serving);
        health.listening();
        let scheme = if tls { "tls" } else { "tcp" };
        api_reporter.up(vec![format!("{scheme}:{address}")]);
        tracing::info!(address = %address, tls, "api listening");

        for (reporter, longest, start) in starts {
            supervisor.keep(reporter, longest, start);
        }
        tracker.spawn(announce(core.clone(), stop.clone()));
        tracker.spawn(alarms::tell(core.clone(), stop.clone()));
        for (lane, name) in [(Lane::Main, "jobs"), (Lane::Uploads, "uploads")] {
            if core.runner.has(lane) {
                tracker.spawn(jobs::work(core.clone(), lane, pulses.watch(name), stop.clone()));
            }
        }
        if let Some(sender) = sender {
            tracker.spawn(out::send(core.clone(), sender, pulses.watch("webhooks"), stop.clone()));
        }
        tracker.spawn(notify::feed(pulses, stop.soft.clone()));
        notify::ready(&address.to_string());
        Ok(Self {
            core,
            stop,
            tracker,
            health,
            api,
        })
    }

    /// Soft, then hard when the time is nearly over or a second signal comes. Ends within `limit` whatever hangs.
    async fn stop(self, limit: Duration, mut signals: Signals) {
        let began = Instant::now();
        let left = |until: Duration| until.saturating_sub(began.elapsed());
        notify::stopping(limit);
        self.health.stopping();
        self.stop.soft.cancel();
        self.tracker.close();
        let soft = limit.saturating_sub(HARD.min(limit / 2));
        let clean = tokio::select! {
            () = self.tracker.wait() => true,
            () = tokio::time::sleep(left(soft)) => false,
            signal = signals.next() => {
                tracing::warn!(signal, "stopping at once");
                false
            }
        };
        self.stop.hard.cancel();
        if !clean {
            tracing::warn!(tasks = self.tracker.len(), "the soft stop was not over in time");
            let _ = tokio::time::timeout(left(limit - (HARD.min(limit / 2)) / 2), self.tracker.wait()).await;
        }
        let closing = left(limit.saturating_sub(Duration::from_millis(300))).max(Duration::from_millis(50));
        let close = async {
            // Responses that have left are noted before the store is closed.
            self.core.intake.settled().await;
            // Nothing more is read or changed: what the trail has is signed.
            if let Err(error) = self.core.audit.checkpoint(time::now()).await {
                tracing::warn!(error = %error, "the end of the audit trail was not signed; the next start signs it");
            }
            self.core.store.close().await;
        };
        if tokio::time::timeout(closing, close).await.is_err() {
            tracing::warn!("the store was not closed in time; it loses nothing by that");
        }
        tracing::info!(clean, seconds = began.elapsed().as_secs_f32(), "stopped");
    }
}

async fn listen(wanted: SocketAddr) -> Result<(TcpListener, SocketAddr), Failure> {
    let socket = if wanted.is_ipv4() {
        TcpSocket::new_v4()
    } else {
        TcpSocket::new_v6()
    };
    let bound = socket.and_then(|socket| {
        socket.set_reuseaddr(true)?;
        socket.bind(wanted)?;
        socket.listen(BACKLOG)
    });
    let listener = bound.map_err(Failure::system(format!("listening at {wanted}")))?;
    let address = listener.local_addr().map_err(Failure::system("asking for the bound address"))?;
    Ok((listener, address))
}
