//! The only place that starts channel tasks, and decides what follows their end.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio_util::task::TaskTracker;
use voxea_core::base::backoff::{Backoff, DENIED, HALT, RETRY, STABLE, random};
use voxea_core::base::count::Counters;
use voxea_core::base::exit::Exit;
use voxea_core::base::stop::Stop;
use voxea_core::base::time;
use voxea_core::channel::{Channels, Reporter, State};

/// Runs a channel once, until it ends.
pub(crate) type Start = Arc<dyn Fn(Reporter, Stop) -> BoxFuture<'static, Exit> + Send + Sync>;

/// After the hard stop a task may still close what it holds for this long.
const LAST_BREATH: Duration = Duration::from_millis(250);

/// How fast failed channels are tried again.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// Waits after a failure of peer or network.
    pub(crate) retry: (Duration, Duration),
    /// Waits after a refusal, which an operator must see to.
    pub(crate) halt: (Duration, Duration),
    /// Waits after refused credentials.
    pub(crate) denied: (Duration, Duration),
    /// A channel that was up for this long starts anew.
    pub(crate) stable: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            retry: RETRY,
            halt: HALT,
            denied: DENIED,
            stable: STABLE,
        }
    }
}

/// Starts channels on `tracker` and keeps each of them running until the stop.
#[derive(Debug, Clone)]
pub(crate) struct Supervisor {
    /// Where states are seen.
    pub(crate) channels: Channels,
    /// Where panics and attempts are counted.
    pub(crate) counters: Counters,
    /// How fast to try again.
    pub(crate) pace: Pace,
    /// What lives.
    pub(crate) tracker: TaskTracker,
    /// When to end.
    pub(crate) stop: Stop,
}

impl Supervisor {
    /// Keeps one channel running, waiting at most `longest` between two tries after failures of peer or network, where
    /// it is given. Its failures are its own: nothing here touches another channel.
    pub(crate) fn keep(&self, reporter: Reporter, longest: Option<Duration>, start: Start) {
        let mut supervisor = self.clone();
        if let Some(longest) = longest {
            supervisor.pace.retry.1 = longest;
        }
        self.tracker.spawn(async move { supervisor.watch(reporter, start).await });
    }

    async fn watch(&self, reporter: Reporter, start: Start) {
        let mut retry = Backoff::new(self.pace.retry.0, self.pace.retry.1);
        let mut halt = Backoff::new(self.pace.halt.0, self.pace.halt.1);
        let mut denied = Backoff::new(self.pace.denied.0, self.pace.denied.1);
        let mut attempts = 0_u32;
        while !self.stop.soft.is_cancelled() {
            reporter.connecting();
            let exit = self.once(&reporter, &start).await;
            if self.stop.soft.is_cancelled() {
                break;
            }
            if self.was_stable(&reporter) {
                retry.reset();
                halt.reset();
                denied.reset();
                attempts = 0;
            }
            attempts = attempts.saturating_add(1);
            let wait = match exit {
                // Nobody asked it to stop: as good as a failure.
                Exit::Stopped => self.retrying(&reporter, "it ended unasked", retry.next(random()), attempts),
                Exit::Retry(reason) => self.retrying(&reporter, &reason, retry.next(random()), attempts),
                Exit::Halt(reason) => self.halted(&reporter, &reason, halt.next(random()), attempts),
                Exit::Denied(reason) => self.halted(&reporter, &reason, denied.next(random()), attempts),
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                () = self.stop.soft.cancelled() => break,
            }
        }
        reporter.stopping();
    }

    fn retrying(&self, reporter: &Reporter, reason: &str, wait: Duration, attempts: u32) -> Duration {
        self.counters.add(reporter.account(), "retry", 1);
        tracing::warn!(account = %reporter.account(), reason, seconds = wait.as_secs_f32(), attempts, "a channel failed; it is tried again");
        reporter.retrying(reason, after(wait), attempts);
        wait
    }

    fn halted(&self, reporter: &Reporter, reason: &str, wait: Duration, attempts: u32) -> Duration {
        self.counters.add(reporter.account(), "halt", 1);
        tracing::error!(account = %reporter.account(), reason, seconds = wait.as_secs(), "a channel is halted; it is tried again slowly");
        reporter.halted(reason, after(wait), attempts);
        wait
    }

    /// One life of a channel. A panic ends that life and nothing else.
    async fn once(&self, reporter: &Reporter, start: &Start) -> Exit {
        let stop = self.stop.child();
        let mut task = tokio::spawn(start(reporter.clone(), stop));
        let ended = tokio::select! {
            ended = &mut task => ended,
            () = async { self.stop.hard.cancelled().await; tokio::time::sleep(LAST_BREATH).await } => {
                task.abort();
                return Exit::Stopped;
            }
        };
        match ended {
            Ok(exit) => exit,
            Err(error) if error.is_panic() => {
                self.counters.add(reporter.account(), "panic", 1);
                Exit::Retry("an internal error; the log names the place".to_owned())
            }
            Err(_) => Exit::Stopped,
        }
    }

    fn was_stable(&self, reporter: &Reporter) -> bool {
        let limit = i64::try_from(self.pace.stable.as_millis()).unwrap_or(i64::MAX);
        let mine = self
            .channels
            .list()
            .into_iter()
            .find(|status| status.account == *reporter.account());
        mine.is_some_and(|status| status.state == State::Up && time::now().saturating_sub(status.since) >= limit)
    }
}

fn after(wait: Duration) -> time::Millis {
    time::now().saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use voxea_core::base::account::{Account, Kind};

    use super::*;

    fn supervisor() -> Supervisor {
        let short = (Duration::from_millis(1), Duration::from_millis(2));
        Supervisor {
            channels: Channels::default(),
            counters: Counters::default(),
            pace: Pace {
                retry: short,
                halt: (Duration::from_secs(3600), Duration::from_secs(3600)),
                denied: (Duration::from_secs(7200), Duration::from_secs(7200)),
                stable: Duration::from_secs(60),
            },
            tracker: TaskTracker::new(),
            stop: Stop::new(),
        }
    }

    /// Waits for a channel's state, woken by the registry itself.
    async fn until(supervisor: &Supervisor, name: &str, state: State) {
        let mut changes = supervisor.channels.listen();
        let reached = async {
            while !supervisor
                .channels
                .list()
                .iter()
                .any(|status| status.account.name == name && status.state == state)
            {
                changes.rung().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), reached)
            .await
            .expect("the state is reached");
    }

    #[tokio::test]
    async fn a_panic_is_counted_and_tried_again_and_the_neighbour_lives() {
        let supervisor = supervisor();
        let lives = Arc::new(AtomicU32::new(0));
        let counted = Arc::clone(&lives);
        let panicking: Start = Arc::new(move |reporter, stop| {
            let life = counted.fetch_add(1, Ordering::SeqCst);
            Box::pin(async move {
                match life {
                    0 => panic!("a bug"),
                    1 => Exit::Retry("the line broke".to_owned()),
                    _ => {
                        reporter.up(vec![]);
                        stop.soft.cancelled().await;
                        Exit::Stopped
                    }
                }
            })
        });
        let refused: Start = Arc::new(|_, _| Box::pin(async { Exit::Halt("wrong password".to_owned()) }));
        let bad = supervisor.channels.register(Account::new(Kind::Smpp, "bad"));
        let wrong = supervisor.channels.register(Account::new(Kind::Mailbox, "wrong"));
        let denied: Start = Arc::new(|_, _| Box::pin(async { Exit::Denied("expired".to_owned()) }));
        supervisor.keep(supervisor.channels.register(Account::new(Kind::Mailbox, "denied")), None, denied);
        supervisor.keep(bad, None, panicking);
        supervisor.keep(wrong, None, refused);
        until(&supervisor, "bad", State::Up).await;
        until(&supervisor, "wrong", State::Halted).await;
        until(&supervisor, "denied", State::Halted).await;
        let list = supervisor.channels.list();
        let next = |name: &str| {
            list.iter()
                .find(|status| status.account.name == name)
                .and_then(|status| status.next_attempt)
        };
        // Jitter takes up to half of a wait away.
        assert!(next("denied") > next("wrong"), "refused credentials are tried again more slowly");
        assert_eq!(lives.load(Ordering::SeqCst), 3);
        let counts = supervisor.counters.snapshot();
        let count = |name: &str, event: &str| counts.iter().find(|(_, n, e, _)| n == name && *e == event).map(|row| row.3);
        assert_eq!(count("bad", "panic"), Some(1));
        assert_eq!(count("bad", "retry"), Some(2));
        assert_eq!(count("wrong", "halt"), Some(1));
        supervisor.stop.soft.cancel();
        supervisor.tracker.close();
        tokio::time::timeout(Duration::from_secs(10), supervisor.tracker.wait())
            .await
            .expect("all stop");
        assert!(supervisor.channels.list().iter().all(|status| status.state == State::Stopping));
    }

    #[tokio::test]
    async fn what_ignores_the_soft_stop_is_ended_by_the_hard_one() {
        let supervisor = supervisor();
        let deaf: Start = Arc::new(|reporter, _| {
            Box::pin(async move {
                reporter.up(vec![]);
                std::future::pending().await
            })
        });
        supervisor.keep(supervisor.channels.register(Account::new(Kind::Sip, "sip")), None, deaf);
        until(&supervisor, "sip", State::Up).await;
        supervisor.tracker.close();
        supervisor.stop.soft.cancel();
        supervisor.stop.hard.cancel();
        tokio::time::timeout(Duration::from_secs(10), supervisor.tracker.wait())
            .await
            .expect("it is ended");
    }
}
