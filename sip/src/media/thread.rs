//! The media threads: one loop each, a tick every 20 ms while there are legs,
//! asleep while there are none.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::outgoing::PACKET;
use super::seal::Sealer;
use super::session::Session;
use super::socket::Receiver;

/// All threads of the engine.
#[derive(Debug)]
pub(super) struct Threads {
    lanes: Vec<Arc<Lane>>,
    sealer: Arc<Sealer>,
    media: Mutex<Vec<JoinHandle<()>>>,
    disk: Mutex<Option<JoinHandle<()>>>,
}

/// What one media thread shares with the rest.
#[derive(Debug, Default)]
struct Lane {
    inbox: Mutex<Inbox>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Inbox {
    fresh: Vec<Session>,
    legs: usize,
    stop: bool,
}

impl Threads {
    pub(super) fn start(count: usize) -> std::io::Result<Self> {
        let sealer = Arc::new(Sealer::default());
        let worker = Arc::clone(&sealer);
        let disk = std::thread::Builder::new().name("voxea-disk".into()).spawn(move || worker.run())?;
        let threads = Self {
            lanes: (0..count).map(|_| Arc::default()).collect(),
            sealer,
            media: Mutex::default(),
            disk: Mutex::new(Some(disk)),
        };
        for (index, lane) in threads.lanes.iter().enumerate() {
            let (lane, sealer) = (Arc::clone(lane), Arc::clone(&threads.sealer));
            let thread = std::thread::Builder::new()
                .name(format!("voxea-media-{index}"))
                .spawn(move || lane.run(&sealer))?;
            lock(&threads.media).push(thread);
        }
        Ok(threads)
    }

    /// Gives a leg to the thread with the fewest; false after the shutdown.
    pub(super) fn take_in(&self, session: Session) -> bool {
        let Some(lane) = self.lanes.iter().min_by_key(|lane| lane.lock().legs) else {
            return false;
        };
        let handle = session.sync_handle();
        let mut inbox = lane.lock();
        if inbox.stop {
            return false;
        }
        inbox.fresh.push(session);
        inbox.legs += 1;
        drop(inbox);
        self.sealer.watch(handle);
        lane.wake.notify_one();
        true
    }

    /// Ends all legs, then the threads. Later calls do nothing.
    pub(super) fn shutdown(&self) {
        for lane in &self.lanes {
            lane.lock().stop = true;
            lane.wake.notify_one();
        }
        for thread in std::mem::take(&mut *lock(&self.media)) {
            join(thread);
        }
        self.sealer.close();
        if let Some(thread) = lock(&self.disk).take() {
            join(thread);
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl Lane {
    fn run(&self, sealer: &Sealer) {
        let mut sessions: Vec<Session> = Vec::new();
        let mut receiver = Receiver::new();
        let mut next = Instant::now();
        loop {
            if self.wait(&mut sessions, next) {
                let now = receiver.read_clocks();
                for mut session in sessions {
                    let end = session.abort(now);
                    sealer.seal(session.into_seal(end, now));
                }
                return;
            }
            let now = receiver.read_clocks();
            // A thread that was held up does not run after lost ticks.
            next = (next + PACKET).max(now + Duration::from_millis(1));
            let mut index = 0;
            while let Some(session) = sessions.get_mut(index) {
                match session.tick(&mut receiver, now) {
                    None => index += 1,
                    Some(end) => {
                        sealer.seal(sessions.swap_remove(index).into_seal(end, now));
                        self.lock().legs -= 1;
                    }
                }
            }
        }
    }

    /// Sleeps to the next tick, or without legs until there is one; takes in
    /// what is new. True when the thread is to stop.
    fn wait(&self, sessions: &mut Vec<Session>, next: Instant) -> bool {
        let mut inbox = self.lock();
        if sessions.is_empty() {
            let idle = |inbox: &mut Inbox| inbox.fresh.is_empty() && !inbox.stop;
            inbox = self.wake.wait_while(inbox, idle).unwrap_or_else(PoisonError::into_inner);
        } else {
            drop(inbox);
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            inbox = self.lock();
        }
        sessions.append(&mut inbox.fresh);
        inbox.stop
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        lock(&self.inbox)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn join(thread: JoinHandle<()>) {
    let name = thread.thread().name().unwrap_or_default().to_owned();
    if thread.join().is_err() {
        tracing::error!(thread = name, "media thread panicked");
    }
}
