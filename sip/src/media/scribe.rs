//! The thread that writes recordings: ten times a second it takes what the media threads have placed and puts it into the
//! files, so that no call's sound waits for the disk. What ended goes on to who seals it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use voxea_recorder::error::Error;
use voxea_recorder::timeline::Placed;
use voxea_recorder::writer::{Channel, Writer};

use super::alarm::{Alarm, may_pass};
use super::late::PATIENCE;
use super::pipe::Pipe;
use super::seal::{Seal, Sealer};

/// From one round to the next. A sweep and a round, and the 200 ms for which samples may be late, are what a killed process
/// loses, beside the chunk that was not full.
const ROUND: Duration = Duration::from_millis(100);

/// Samples that are handed to a writer before it writes: 10 s.
const STEP: u64 = 80_000;

/// Recordings that have ended and wait for the disk, each with what its pipe holds; of more the oldest are given up.
const ENDED: usize = 500;

/// The queue of that thread; as long as there are legs, at most.
#[derive(Debug)]
pub(super) struct Scribe {
    sealer: Arc<Sealer>,
    alarm: Arc<Alarm>,
    inbox: Mutex<Inbox>,
    wake: Condvar,
}

#[derive(Debug, Default)]
struct Inbox {
    fresh: Vec<Writing>,
    seals: Vec<Seal>,
    last: bool,
}

/// A recording under way.
#[derive(Debug)]
struct Writing {
    pipe: Arc<Pipe>,
    writer: Writer,
    failing: bool,
    /// What is to become of it, and since when that waits for the disk.
    ended: Option<(Seal, Instant)>,
}

impl Scribe {
    /// Hands what ended to this sealer.
    pub(super) fn new(sealer: Arc<Sealer>, alarm: Arc<Alarm>) -> Self {
        Self {
            sealer,
            alarm,
            inbox: Mutex::default(),
            wake: Condvar::new(),
        }
    }

    /// Begins to write a recording; to be called before anything is put into its pipe.
    pub(super) fn begin(&self, pipe: Arc<Pipe>, writer: Writer) {
        self.sealer.watch(writer.sync_handle());
        self.lock().fresh.push(Writing {
            pipe,
            writer,
            failing: false,
            ended: None,
        });
        self.wake.notify_one();
    }

    /// Writes what is left of a recording, and hands it on.
    pub(super) fn end(&self, seal: Seal) {
        self.lock().seals.push(seal);
        self.wake.notify_one();
    }

    /// No more will come: the thread ends when all is handed on.
    pub(super) fn close(&self) {
        self.lock().last = true;
        self.wake.notify_one();
    }

    /// The thread's whole life.
    pub(super) fn run(&self) {
        let mut open: Vec<Writing> = Vec::new();
        let mut round = Instant::now();
        loop {
            let (seals, last) = self.wait(&mut open, round);
            let now = Instant::now();
            for seal in seals {
                if let Some(writing) = open.iter_mut().find(|writing| Arc::ptr_eq(&writing.pipe, &seal.pipe)) {
                    writing.ended = Some((seal, now));
                }
            }
            self.hand_on(&mut open, last, now);
            if now >= round {
                open.iter_mut().for_each(|writing| writing.write(&self.alarm));
                round = (round + ROUND).max(now);
            }
            self.alarm.writing(open.iter().filter(|writing| writing.failing).count());
            if last {
                return;
            }
        }
    }

    /// Hands on what has ended and is written. What the disk does not take is tried again for a while.
    fn hand_on(&self, open: &mut Vec<Writing>, last: bool, now: Instant) {
        let ended = open.iter().filter(|writing| writing.ended.is_some()).count();
        let mut surplus = ended.saturating_sub(ENDED);
        let mut index = 0;
        while let Some(writing) = open.get_mut(index) {
            let Some((_, since)) = &writing.ended else {
                index += 1;
                continue;
            };
            let patient = !last && surplus == 0 && now.saturating_duration_since(*since) < PATIENCE;
            // Nothing is to be kept of some: what the disk takes is no matter then.
            let wanted = writing.ended.as_ref().is_some_and(|(seal, _)| seal.samples > 0);
            let error = if wanted { writing.try_write().err() } else { None };
            if let Some(error) = &error {
                self.alarm.raise(error);
                if patient && may_pass(error) {
                    writing.failing = true;
                    index += 1;
                    continue;
                }
                surplus = surplus.saturating_sub(1);
            }
            let Writing { writer, ended, .. } = open.swap_remove(index);
            if let Some((mut seal, _)) = ended {
                seal.error = error;
                self.sealer.seal(writer, seal);
            }
        }
    }

    /// Waits for the round, or for what ended; without recordings until there is one.
    fn wait(&self, open: &mut Vec<Writing>, round: Instant) -> (Vec<Seal>, bool) {
        let inbox = self.lock();
        // A poisoned lock only means that another thread is gone.
        let mut inbox = if open.is_empty() {
            let idle = |inbox: &mut Inbox| inbox.fresh.is_empty() && inbox.seals.is_empty() && !inbox.last;
            self.wake.wait_while(inbox, idle).unwrap_or_else(PoisonError::into_inner)
        } else {
            let patience = round.saturating_duration_since(Instant::now());
            let idle = |inbox: &mut Inbox| inbox.seals.is_empty() && !inbox.last;
            let waited = self.wake.wait_timeout_while(inbox, patience, idle);
            waited.unwrap_or_else(PoisonError::into_inner).0
        };
        open.append(&mut inbox.fresh);
        (std::mem::take(&mut inbox.seals), inbox.last)
    }

    fn lock(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Writing {
    /// Writes what waits. What the disk does not take stays where it is, and is tried again in the next round.
    fn write(&mut self, alarm: &Alarm) {
        if self.ended.is_some() {
            return;
        }
        match self.try_write() {
            Ok(()) => self.failing = false,
            Err(error) => {
                alarm.raise(&error);
                if !self.failing && !may_pass(&error) {
                    tracing::warn!(%error, "recording cannot be written, trying on");
                }
                self.failing = true;
            }
        }
    }

    fn try_write(&mut self) -> Result<(), Error> {
        loop {
            // Before anything is taken: the disk may have refused what came before, and what waits has its bound in the pipe.
            self.writer.flush()?;
            let mut samples = 0;
            while samples < STEP
                && let Some(placed) = self.pipe.take(STEP - samples)
            {
                samples += self.push(&placed);
            }
            if samples == 0 {
                return Ok(());
            }
        }
    }

    /// After the beep our side is silent.
    fn push(&mut self, placed: &Placed) -> u64 {
        let samples = match placed {
            Placed::Octets { octets, .. } => {
                self.writer.push(Channel::Caller, octets);
                octets.len() as u64
            }
            Placed::Silence { samples, .. } => {
                self.writer.push_silence(Channel::Caller, *samples);
                *samples
            }
        };
        self.writer.push_silence(Channel::Us, samples);
        samples
    }
}
