//! The media shell: sockets and threads for the sound of deposit calls.
//!
//! A few threads of their own, outside tokio, serve all calls. Each wakes every
//! 20 ms, sends what is due on every leg, and sweeps a fifth of its legs for
//! what came: the wake-up is the cost, not the packet. The kernel's own time of
//! arrival places what is read late. Two more threads write recordings and bring
//! them to the disk, so that no call waits for it. Reports (RTCP) are sent about every five
//! seconds and read every two, on their own port or on that of sound.
//!
//! ```text
//! reserve() -> Leg        ports bound, nothing read or sent   (for the 200's SDP)
//! leg.start(Call)         announcement, beep, then recording  (on the ACK)
//! leg.press(key, at)      a key by INFO; those of RFC 4733 the leg hears itself
//! leg.pause(..), .discard(at)    nothing is recorded from that instant on; nothing of it stays
//! leg.stop(at)            the BYE came at that instant
//! ```
//!
//! Each started leg gives [`MediaEvent::RecordingStarted`] and [`MediaEvent::Chosen`] at most once,
//! [`MediaEvent::Ended`] at most once (then the BYE is ours to send), and
//! [`MediaEvent::Finished`] exactly once and last, when the recording is on the
//! disk and the ports are free. Dropping a leg stops it.
//!
//! Where the description has keys, all of it is SRTP and SRTCP.
//!
//! A disk that takes nothing ends no call: what is said waits in memory, and [`MediaEngine::trouble`] tells of it.
//!
//! Absent on purpose: bridging.

mod alarm;
mod engine;
mod events;
mod kept;
mod keys;
mod latch;
mod late;
mod leg;
mod outgoing;
mod pause;
mod pipe;
mod ports;
mod reports;
mod scribe;
mod seal;
mod secure;
mod session;
mod socket;
mod sources;
mod thread;

pub use engine::{Leg, MediaConfig, MediaEngine};
pub use kept::Kept;
pub use leg::{Call, Finished, LegId, MediaEnd, MediaEvent, Outcome, Peer, StartError};
pub use ports::NoPort;

#[cfg(test)]
mod tests;
