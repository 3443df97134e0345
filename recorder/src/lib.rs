//! Voxea's recorder: what becomes of the sound of a call.
//!
//! Packets go into a [`timeline::Timeline`] (one a leg), which places their
//! samples by RTP timestamp on the arrival clock; what it has placed goes into
//! a [`writer::Writer`], whose file, plain or encrypted, needs no repair of any
//! header after a crash; a [`reader::Reader`] shows that file as a WAV made at
//! read time, [`pcm16`] and [`flac`] give it other forms. A signed [`manifest`]
//! beside the file says what was recorded, and [`verify`] names what was
//! changed since.
//! [`prompt`] and [`greeting`] are the other direction: what a caller hears.
//!
//! The crate knows neither SIP nor a socket nor a database, and reads no
//! clock: instants are arguments. All audio is G.711 at 8,000 samples a second
//! and one octet a sample; a *sample offset* counts from the recording's start.
//!
//! Absent so far: G.722.

pub mod activity;
mod chain;
mod cipher;
pub mod codec;
pub mod encrypt;
pub mod error;
mod fault;
pub mod flac;
mod format;
pub mod greeting;
mod hex;
pub mod manifest;
pub mod packet;
mod paths;
pub mod pcm16;
pub mod prompt;
pub mod reader;
pub mod repair;
mod resample;
mod ring;
mod segment;
mod sink;
pub mod timeline;
pub mod verify;
pub mod waveform;
pub mod writer;

pub use cipher::Key;

/// Samples a second of every codec the recorder stores.
pub const RATE: u32 = 8_000;

/// Samples in one millisecond at [`RATE`].
pub const SAMPLES_PER_MS: u64 = 8;
