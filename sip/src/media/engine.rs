//! The engine: ports, threads, and the legs that its holder starts and stops.

use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::{mpsc, oneshot};
use voxea_core::contact::Done;

use super::leg::{Call, Control, LegId, MediaEvent, Peer, StartError, Wanted};
use super::outgoing;
use super::ports::{NoPort, Pair, Ports};
use super::session::Session;
use super::thread::Threads;
use crate::dtmf::Digit;

/// Events that may wait for the shell before media threads keep them back.
const EVENTS: usize = 4_096;

/// Keys of one call that may wait for its next tick.
const KEYS: usize = 32;

/// Pauses and ends of pauses of one call that may wait for its next tick.
const WANTED: usize = 16;

/// Where and with how much the engine works.
#[derive(Debug, Clone)]
pub struct MediaConfig {
    /// Address the sockets are bound to, unless a call asks for another one.
    pub bind: IpAddr,
    /// Ports, inclusive; every call takes an even one and the next.
    pub ports: RangeInclusive<u16>,
    /// Media threads; one serves some hundreds of calls.
    pub threads: usize,
}

/// All media of this process. Clones are the same engine; dropping the last of
/// them and of its legs is a [`shutdown`](Self::shutdown), and waits like one.
#[derive(Debug, Clone)]
pub struct MediaEngine {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    ports: Arc<Ports>,
    threads: Threads,
    next_id: AtomicU64,
    events: mpsc::Sender<(LegId, MediaEvent)>,
}

impl MediaEngine {
    /// Starts the threads. Events of all legs come out of the receiver.
    ///
    /// # Errors
    /// The system's, if a thread cannot be started.
    pub fn start(config: &MediaConfig) -> std::io::Result<(Self, mpsc::Receiver<(LegId, MediaEvent)>)> {
        let (events, receiver) = mpsc::channel(EVENTS);
        let threads = Threads::start(config.threads.max(1))?;
        let ports = Arc::new(Ports::new(config.bind, &config.ports));
        let inner = Inner {
            ports,
            threads,
            next_id: AtomicU64::new(1),
            events,
        };
        Ok((Self { inner: Arc::new(inner) }, receiver))
    }

    /// Binds a pair of ports for a call that is about to be answered.
    ///
    /// # Errors
    /// [`NoPort`] when all are in use.
    pub fn reserve(&self) -> Result<Leg, NoPort> {
        Ok(self.leg(self.inner.ports.bind()?))
    }

    /// The same on another address than the configured one: a call of the other family.
    ///
    /// # Errors
    /// [`NoPort`] when all are in use, or the address is not ours.
    pub fn reserve_on(&self, address: IpAddr) -> Result<Leg, NoPort> {
        Ok(self.leg(self.inner.ports.bind_on(address)?))
    }

    fn leg(&self, pair: Pair) -> Leg {
        let id = LegId(self.inner.next_id.fetch_add(1, Ordering::Relaxed));
        Leg {
            id,
            port: pair.port(),
            inner: Arc::clone(&self.inner),
            state: LegState::Reserved(pair),
        }
    }

    /// Calls that hold ports now.
    #[must_use]
    pub fn legs(&self) -> usize {
        self.inner.ports.used()
    }

    /// Calls that there can be at once.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.inner.ports.pairs()
    }

    /// Recordings that the disk does not take now: under way, or ended less than half a minute ago, or without their manifest.
    #[must_use]
    pub fn failing(&self) -> usize {
        self.inner.threads.alarm().failing()
    }

    /// What is wrong with the disk, for an operator; withdrawn when recordings can be written again. Names no file.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        self.inner.threads.alarm().words()
    }

    /// Ends what still runs, seals it, and waits for the threads. Blocks for
    /// as long as the disk takes: not for an asynchronous task.
    pub fn shutdown(&self) {
        self.inner.threads.shutdown();
    }
}

/// The media of one call.
#[derive(Debug)]
pub struct Leg {
    id: LegId,
    port: u16,
    inner: Arc<Inner>,
    state: LegState,
}

#[derive(Debug)]
enum LegState {
    Reserved(Pair),
    Started(Arc<Control>),
    Stopped,
}

impl Leg {
    /// Its name in events.
    #[must_use]
    pub fn id(&self) -> LegId {
        self.id
    }

    /// The RTP port, for the SDP.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The ACK came: plays the greeting, and records. Does not touch the disk.
    ///
    /// # Errors
    /// [`StartError`]; the leg stays reserved only after `Recorder` and
    /// `NoEntropy`.
    pub fn start(&mut self, call: &Call) -> Result<(), StartError> {
        if !matches!(self.state, LegState::Reserved(_)) {
            return Err(StartError::NotReserved);
        }
        let (mut entropy, mut reports) = ([0; 10], [0; 20]);
        let random = SystemRandom::new();
        random.fill(&mut entropy).map_err(|_| StartError::NoEntropy)?;
        random.fill(&mut reports).map_err(|_| StartError::NoEntropy)?;
        let now = Instant::now();
        let outgoing = outgoing::Outgoing::new(call, now, entropy);
        // A key may end the menu earlier; the file says when it was meant to begin, the database when it did.
        let begins = SystemTime::now() + outgoing::announcement_length(call);
        let begins = begins.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let writer = call.kept.writer(call.codec, begins as i64)?;
        let LegState::Reserved(pair) = std::mem::replace(&mut self.state, LegState::Stopped) else {
            return Err(StartError::NotReserved);
        };
        let control = Arc::new(Control::default());
        let events = self.inner.events.clone();
        let (control_of_session, sound) = (Arc::clone(&control), (outgoing, reports));
        let session = Session::new(self.id, pair, control_of_session, sound, call, events, now);
        if !self.inner.threads.take_in(session, writer) {
            return Err(StartError::NotReserved);
        }
        self.state = LegState::Started(control);
        Ok(())
    }

    /// The BYE came `at` that instant: the recording ends there. A leg that was
    /// never started gives its ports back, without an event.
    pub fn stop(&mut self, at: Instant) {
        match std::mem::replace(&mut self.state, LegState::Stopped) {
            LegState::Started(control) => {
                control.lock().stop.get_or_insert(at);
            }
            LegState::Reserved(_) | LegState::Stopped => {}
        }
    }

    /// A re-INVITE or UPDATE changed where the peer's media are, or what they are.
    pub fn redirect(&self, peer: Peer) {
        if let LegState::Started(control) = &self.state {
            control.lock().moved = Some(peer);
        }
    }

    /// A key came by INFO `at` that instant. Of very many at once the rest is lost.
    pub fn press(&self, digit: Digit, at: Instant) {
        if let LegState::Started(control) = &self.state {
            let keys = &mut control.lock().keys;
            if keys.len() < KEYS {
                keys.push((digit, at));
            }
        }
    }

    /// From `at` on nothing is recorded, or it is again. What was done goes to `answer` at the leg's next tick; of very many at
    /// once the rest is not answered.
    pub fn pause(&self, paused: bool, at: Instant, answer: oneshot::Sender<Done>) {
        match &self.state {
            LegState::Started(control) => {
                let mut wishes = control.lock();
                if wishes.over {
                    drop(answer.send(Done::Ending));
                } else if wishes.pauses.len() < WANTED {
                    wishes.pauses.push(Wanted { paused, at, answer });
                }
            }
            // Whoever asked may not wait any more.
            LegState::Reserved(_) => drop(answer.send(Done::NotBegun)),
            LegState::Stopped => drop(answer.send(Done::Ending)),
        }
    }

    /// The call ends `at` that instant, and nothing of its recording stays.
    pub fn discard(&mut self, at: Instant) {
        if let LegState::Started(control) = &self.state {
            control.lock().discarded = true;
        }
        self.stop(at);
    }

    /// What [`MediaEvent::Chosen`] told of is stored: the beep may follow.
    pub fn stored(&self) {
        if let LegState::Started(control) = &self.state {
            control.lock().stored = true;
        }
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        self.stop(Instant::now());
    }
}
