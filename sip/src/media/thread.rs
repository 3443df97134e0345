//! The media threads: one loop each, a tick every 20 ms while there are legs,
//! asleep while there are none.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use voxea_recorder::writer::Writer;

use super::alarm::Alarm;
use super::outgoing::PACKET;
use super::scribe::Scribe;
use super::seal::Sealer;
use super::session::Session;
use super::socket::Receiver;

/// All threads of the engine.
#[derive(Debug)]
pub(super) struct Threads {
    lanes: Vec<Arc<Lane>>,
    scribe: Arc<Scribe>,
    sealer: Arc<Sealer>,
    alarm: Arc<Alarm>,
    media: Mutex<Vec<JoinHandle<()>>>,
    disk: Mutex<Vec<JoinHandle<()>>>,
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
        let alarm = Arc::new(Alarm::default());
        let sealer = Arc::new(Sealer::new(Arc::clone(&alarm)));
        let scribe = Arc::new(Scribe::new(Arc::clone(&sealer), Arc::clone(&alarm)));
        let threads = Self {
            lanes: (0..count).map(|_| Arc::default()).collect(),
            scribe,
            sealer,
            alarm,
            media: Mutex::default(),
            disk: Mutex::default(),
        };
        let (scribe, sealer) = (Arc::clone(&threads.scribe), Arc::clone(&threads.sealer));
        lock(&threads.disk).push(spawn("voxea-write".into(), move || scribe.run())?);
        lock(&threads.disk).push(spawn("voxea-seal".into(), move || sealer.run())?);
        for (index, lane) in threads.lanes.iter().enumerate() {
            let (lane, scribe) = (Arc::clone(lane), Arc::clone(&threads.scribe));
            lock(&threads.media).push(spawn(format!("voxea-media-{index}"), move || lane.run(&scribe))?);
        }
        Ok(threads)
    }

    /// What the disk does.
    pub(super) fn alarm(&self) -> &Alarm {
        &self.alarm
    }

    /// Gives a leg to the thread with the fewest; false after the shutdown.
    pub(super) fn take_in(&self, session: Session, writer: Writer) -> bool {
        let Some(lane) = self.lanes.iter().min_by_key(|lane| lane.lock().legs) else {
            return false;
        };
        let mut inbox = lane.lock();
        if inbox.stop {
            return false;
        }
        self.scribe.begin(session.pipe(), writer);
        inbox.fresh.push(session);
        inbox.legs += 1;
        drop(inbox);
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
        self.scribe.close();
        let mut disk = std::mem::take(&mut *lock(&self.disk)).into_iter();
        if let Some(writing) = disk.next() {
            join(writing);
        }
        self.sealer.close();
        disk.for_each(join);
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl Lane {
    fn run(&self, scribe: &Scribe) {
        let mut sessions: Vec<Session> = Vec::new();
        let mut receiver = Receiver::new();
        let mut next = Instant::now();
        loop {
            if self.wait(&mut sessions, next) {
                let now = receiver.read_clocks();
                for mut session in sessions {
                    let end = session.abort(now);
                    scribe.end(session.into_seal(end, now));
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
                        scribe.end(sessions.swap_remove(index).into_seal(end, now));
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

fn spawn(name: String, work: impl FnOnce() + Send + 'static) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name).spawn(work)
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
