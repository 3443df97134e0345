//! The running daemon: starting, watching, stopping.

mod alarms;
mod announce;
mod backlog;
mod bind_metrics;
pub(crate) mod channels;
mod families;
mod feed_metrics;
pub(crate) mod health;
mod jobs;
mod lifecycle;
pub(crate) mod logs;
mod mailbox_metrics;
pub(crate) mod metrics;
mod notify;
pub(crate) mod pulse;
mod signals;
mod supervisor;

pub(crate) use lifecycle::run;
