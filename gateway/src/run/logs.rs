//! Logs: text on a terminal, JSON lines otherwise; no credential and no personal data.

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing::{Level, Metadata};
use tracing_subscriber::filter::{EnvFilter, FilterFn, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Libraries that may quote what they read, citizens' texts included: never heard, nor are
/// [`voxea_imap::BANNED_LOG_TARGETS`].
const SILENT: [&str; 2] = ["mail_parser", "rsip"];
/// Libraries whose debug output quotes statements, values or handshakes: heard from `warn` up.
const CAPPED: [&str; 11] = [
    "sqlx",
    "object_store",
    "reqwest",
    "rustls",
    "tokio_rustls",
    "hyper",
    "hyper_util",
    "h2",
    "axum",
    "rusmpp",
    "tower",
];

/// Starts logging to stderr. `VOXEA_LOG` takes directives as in `RUST_LOG` (`voxea_sip=debug,warn`); the caps hold
/// whatever it says.
pub(crate) fn start() {
    let wanted = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .with_env_var("VOXEA_LOG")
        .from_env_lossy();
    let terminal = std::io::stderr().is_terminal();
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let layer = if terminal {
        layer.with_ansi(true).boxed()
    } else {
        layer
            .json()
            .flatten_event(true)
            // The call at work, and no more of it than its id.
            .with_current_span(true)
            .with_span_list(false)
            .boxed()
    };
    // A second start in one process (tests) keeps the first.
    let _ = tracing_subscriber::registry()
        .with(layer.with_filter(wanted).with_filter(capped()))
        .try_init();
    std::panic::set_hook(Box::new(|info| {
        // The place only: a panic's message may quote what it choked on.
        let place = info.location().map(|at| format!("{}:{}", at.file(), at.line())).unwrap_or_default();
        let thread = std::thread::current();
        tracing::error!(place, thread = thread.name().unwrap_or("unnamed"), "a panic");
    }));
}

fn capped() -> FilterFn<fn(&Metadata<'_>) -> bool> {
    filter_fn(|metadata| may_speak(metadata.target(), *metadata.level()))
}

fn may_speak(target: &str, level: Level) -> bool {
    let library = target.split("::").next().unwrap_or(target);
    if SILENT.contains(&library) || voxea_imap::BANNED_LOG_TARGETS.contains(&library) {
        return false;
    }
    !CAPPED.contains(&library) || level <= Level::WARN
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_that_see_passwords_are_not_heard() {
        assert!(!may_speak("async_imap::client", Level::ERROR));
        assert!(!may_speak("lettre", Level::WARN));
        assert!(!may_speak("sqlx::query", Level::DEBUG));
        assert!(!may_speak("rustls::client::hs", Level::INFO));
        assert!(may_speak("sqlx::pool", Level::WARN));
        assert!(may_speak("voxea_sip::endpoint", Level::TRACE));
        assert!(may_speak("voxea", Level::DEBUG));
    }
}
