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
//! clock: instants are arguments. All audio is kept as it came, G.711 or G.722:
//! 8,000 octets a second, one a unit of the RTP timestamp. A *sample* is one of
//! these; of G.722 it becomes two of 16 kHz when it is heard. A *sample offset*
//! counts from the recording's start.

pub mod activity;
mod chain;
mod cipher;
pub mod codec;
pub mod encrypt;
pub mod error;
mod fault;
pub mod flac;
mod format;
pub mod g722;
pub mod greeting;
mod hex;
mod linear;
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
mod source;
pub mod timeline;
pub mod verify;
pub mod waveform;
pub mod writer;

pub use cipher::Key;

/// Octets a second of every codec the recorder stores, and units of the RTP timestamp; of G.722 too, whose samples are twice
/// as many (RFC 3551 §4.5.2).
pub const RATE: u32 = 8_000;

/// Samples in one millisecond at [`RATE`].
pub const SAMPLES_PER_MS: u64 = 8;
