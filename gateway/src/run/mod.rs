//! The running daemon: starting, watching, stopping.

mod announce;
mod backoff;
pub(crate) mod channels;
pub(crate) mod health;
mod jobs;
mod lifecycle;
pub(crate) mod logs;
pub(crate) mod metrics;
mod notify;
pub(crate) mod pulse;
mod signals;
mod supervisor;

pub(crate) use lifecycle::run;
