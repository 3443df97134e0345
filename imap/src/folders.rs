//! The folders of a mailbox, each on a connection of its own.
//!
//! The first one leads: how it ends is how the mailbox ends. The others are tried again by themselves, so that a folder that
//! was renamed keeps no mail of the first one waiting.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::{Instant, sleep};
use voxea_core::base::backoff::{Backoff, DENIED, HALT, RETRY, STABLE, random};
use voxea_core::base::exit::Exit;
use voxea_core::base::stop::Stop;
use voxea_core::channel::Reporter;

use crate::follow::follow;
use crate::take::Desk;
use crate::watch::Watch;

/// Follows every folder until it is stopped, or the first one fails.
pub(crate) async fn follow_all<'a>(desk: impl Fn(usize) -> Desk<'a>, folders: usize, reporter: &Reporter, stop: &Stop) -> Exit {
    // As the configuration orders them, before any of them is reached.
    let watches: Vec<Watch<'_>> = (0..folders).map(|at| Watch::of(&desk(at), reporter, at == 0)).collect();
    let inner = stop.child();
    let lead = async {
        let exit = match watches.first() {
            Some(watch) => follow(desk(0), watch, stop).await,
            None => Exit::Halt("no folder is named".to_owned()),
        };
        inner.soft.cancel();
        if let (Exit::Retry(words) | Exit::Halt(words) | Exit::Denied(words), Some(watch)) = (&exit, watches.first()) {
            watch.meter.trouble(Some(words));
        }
        exit
    };
    let others = watches.iter().enumerate().skip(1).map(|(at, watch)| keep(desk(at), watch, &inner));
    let (exit, _) = tokio::join!(lead, join_all(others));
    exit
}

/// Follows a folder that does not lead, again and again.
async fn keep(desk: Desk<'_>, watch: &Watch<'_>, stop: &Stop) {
    let pauses = [RETRY, HALT, DENIED];
    let mut backoffs = pauses.map(|(first, last)| Backoff::new(first, last));
    while !stop.soft.is_cancelled() {
        let began = Instant::now();
        let exit = follow(desk.clone(), watch, stop).await;
        if stop.soft.is_cancelled() {
            return;
        }
        if began.elapsed() >= STABLE {
            backoffs.iter_mut().for_each(Backoff::reset);
        }
        let (kind, words) = match exit {
            Exit::Stopped => (0, "it ended unasked".to_owned()),
            Exit::Retry(words) => (0, words),
            Exit::Halt(words) => (1, words),
            Exit::Denied(words) => (2, words),
        };
        let wait = backoffs
            .get_mut(kind)
            .map_or(Duration::from_secs(60), |backoff| backoff.next(random()));
        tracing::warn!(mailbox = %desk.config.name, folder = desk.folder, reason = words, seconds = wait.as_secs_f32(), "a folder cannot be followed; it is tried again");
        watch.trouble(&words);
        desk.core.counters.add(&desk.account, "folder_retry", 1);
        tokio::select! {
            () = sleep(wait) => {}
            () = stop.soft.cancelled() => return,
        }
    }
}
