//! Voxea's recorder: what becomes of the sound of a call.
//!
//! Packets go into a [`timeline::Timeline`] (one a leg), which places their
//! samples by RTP timestamp on the arrival clock; what it has placed goes into
//! a [`writer::Writer`], whose file needs no repair of any header after a
//! crash; a [`reader::Reader`] shows that file as a WAV made at read time.
//! [`prompt`] and [`greeting`] are the other direction: what a caller hears.
//!
//! The crate knows neither SIP nor a socket nor a database, and reads no
//! clock: instants are arguments. All audio is G.711 at 8,000 samples a second
//! and one octet a sample; a *sample offset* counts from the recording's start.
//!
//! Absent so far: encryption, tamper evidence, G.722, export to PCM16.

pub mod activity;
pub mod codec;
pub mod error;
mod format;
pub mod greeting;
pub mod packet;
pub mod prompt;
pub mod reader;
mod resample;
mod ring;
pub mod timeline;
pub mod waveform;
pub mod writer;

/// Samples a second of every codec the recorder stores.
pub const RATE: u32 = 8_000;

/// Samples in one millisecond at [`RATE`].
pub const SAMPLES_PER_MS: u64 = 8;
