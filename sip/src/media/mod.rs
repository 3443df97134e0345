//! The media shell: sockets and threads for the sound of deposit calls.
//!
//! A few threads of their own, outside tokio, serve all calls. Each wakes every
//! 20 ms, sends what is due on every leg, and sweeps a fifth of its legs for
//! what came: the wake-up is the cost, not the packet. The kernel's own time of
//! arrival places what is read late. One more thread brings recordings to the
//! disk, so that no call waits for it.
//!
//! ```text
//! reserve() -> Leg        ports bound, nothing read or sent   (for the 200's SDP)
//! leg.start(Call)         greeting, beep, then recording      (on the ACK)
//! leg.stop(at)            the BYE came at that instant
//! ```
//!
//! Each started leg gives [`MediaEvent::RecordingStarted`] at most once,
//! [`MediaEvent::Ended`] at most once (then the BYE is ours to send), and
//! [`MediaEvent::Finished`] exactly once and last, when the recording is on the
//! disk and the ports are free. Dropping a leg stops it.
//!
//! Absent on purpose: RTCP reports, DTMF, SRTP, bridging.

mod latch;
mod outgoing;
mod ports;
mod seal;
mod session;
mod socket;
mod thread;

use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ring::rand::{SecureRandom, SystemRandom};
use tokio::sync::mpsc;
use voxea_recorder::codec::Codec;
use voxea_recorder::error::Error as RecorderError;
use voxea_recorder::timeline::{Counts, Gap};
use voxea_recorder::writer::Writer;

pub use ports::NoPort;
use ports::{Pair, Ports};
use session::Session;
use thread::Threads;

/// Events that may wait for the shell before media threads keep them back.
const EVENTS: usize = 4_096;

/// Where and with how much the engine works.
#[derive(Debug, Clone)]
pub struct MediaConfig {
    /// Address the sockets are bound to.
    pub bind: IpAddr,
    /// Ports, inclusive; every call takes an even one and the next.
    pub ports: RangeInclusive<u16>,
    /// Media threads; one serves some hundreds of calls.
    pub threads: usize,
}

/// Names a leg in events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u64);

/// One call, as negotiated.
#[derive(Debug, Clone)]
pub struct Call {
    /// The peer's address and port from its SDP.
    pub remote: SocketAddr,
    /// The codec both ways.
    pub codec: Codec,
    /// The greeting's octets in that codec; may be empty.
    pub greeting: Arc<[u8]>,
    /// Is there a beep after it?
    pub beep: bool,
    /// The recording's greatest length.
    pub max: Duration,
    /// The recording ends when nothing was heard for this long.
    pub silence: Duration,
    /// The call ends when no packet came for this long, greeting included.
    pub rtp_timeout: Duration,
    /// Folder of the recording's file.
    pub folder: PathBuf,
    /// The recording's id; [`voxea_recorder::writer::path_of`] names its file.
    pub recording: String,
}

/// What the shell hears of a leg.
#[derive(Debug)]
pub enum MediaEvent {
    /// The beep is out; `at` is the instant of the recording's sample 0.
    RecordingStarted {
        /// The instant after the beep's last sample.
        at: Instant,
    },
    /// The leg has ended the recording by itself; the call is to be hung up.
    Ended {
        /// Why.
        end: MediaEnd,
    },
    /// The last of a leg: its sockets are closed, its recording is settled.
    Finished(Finished),
}

/// Why a leg ended by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaEnd {
    /// The caller has said nothing for `silence`.
    Silence,
    /// The recording has reached `max`.
    MaxLength,
    /// No packet came for `rtp_timeout`.
    RtpTimeout,
    /// The recording can no longer be written.
    Failed,
    /// The engine was shut down.
    Shutdown,
}

/// What became of a leg.
#[derive(Debug)]
pub struct Finished {
    /// Why, if it ended by itself; none when it was stopped.
    pub end: Option<MediaEnd>,
    /// The recording's sample 0, if recording had begun.
    pub started: Option<Instant>,
    /// The recording's file and length, or what was wrong.
    pub outcome: Outcome,
    /// Where nothing was received, in samples.
    pub gaps: Vec<Gap>,
    /// The caller's packets.
    pub counts: Counts,
    /// Datagrams from elsewhere than the peer.
    pub rejected: u64,
    /// Datagrams of the peer that were not RTP.
    pub malformed: u64,
}

/// What became of a leg's recording.
#[derive(Debug)]
pub enum Outcome {
    /// Whole, and on the disk.
    Sealed {
        /// Its file.
        path: PathBuf,
        /// Its length; `duration_ms` is this divided by 8.
        samples: u64,
    },
    /// The call ended before a single sample; there is no file.
    Nothing,
    /// The file holds only the beginning.
    Partial {
        /// Its file.
        path: PathBuf,
        /// Samples known to have been written.
        samples: u64,
        /// What failed.
        error: RecorderError,
    },
}

/// Why a leg could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The recording's file could not be created.
    #[error(transparent)]
    Recorder(#[from] RecorderError),
    /// The system gave no random octets.
    #[error("no random numbers")]
    NoEntropy,
    /// The leg was started or stopped before, or the engine was shut down.
    #[error("the leg is started or stopped already")]
    NotReserved,
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
        let pair = self.inner.ports.bind()?;
        let id = LegId(self.inner.next_id.fetch_add(1, Ordering::Relaxed));
        Ok(Leg {
            id,
            port: pair.port(),
            inner: Arc::clone(&self.inner),
            state: LegState::Reserved(pair),
        })
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

    /// The ACK came: plays the greeting, and records. Creates the recording's
    /// file, hence touches the disk for a moment.
    ///
    /// # Errors
    /// [`StartError`]; the leg stays reserved only after `Recorder` and
    /// `NoEntropy`.
    pub fn start(&mut self, call: &Call) -> Result<(), StartError> {
        if !matches!(self.state, LegState::Reserved(_)) {
            return Err(StartError::NotReserved);
        }
        let mut entropy = [0; 10];
        SystemRandom::new().fill(&mut entropy).map_err(|_| StartError::NoEntropy)?;
        let now = Instant::now();
        let outgoing = outgoing::Outgoing::new(call.codec, Arc::clone(&call.greeting), call.beep, now, entropy);
        let begins = SystemTime::now() + outgoing.script_length();
        let begins = begins.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let writer = Writer::create(&call.folder, &call.recording, call.codec, begins as i64)?;
        let LegState::Reserved(pair) = std::mem::replace(&mut self.state, LegState::Stopped) else {
            return Err(StartError::NotReserved);
        };
        let control = Arc::new(Control::default());
        let events = self.inner.events.clone();
        let session = Session::new(self.id, pair, Arc::clone(&control), outgoing, writer, call, events, now);
        if !self.inner.threads.take_in(session) {
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

    /// A re-INVITE moved the peer's media to another address; an unspecified
    /// one is a hold of the old kind (RFC 2543 §B.5): nothing is sent, nothing
    /// is taken.
    pub fn redirect(&self, remote: SocketAddr) {
        if let LegState::Started(control) = &self.state {
            control.lock().remote = Some(remote);
        }
    }
}

impl Drop for Leg {
    fn drop(&mut self) {
        self.stop(Instant::now());
    }
}

/// What a leg's holder has asked of its thread; read at every tick.
#[derive(Debug, Default)]
struct Control {
    wishes: Mutex<Wishes>,
}

#[derive(Debug, Default)]
struct Wishes {
    stop: Option<Instant>,
    remote: Option<SocketAddr>,
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, Wishes> {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
