//! A recording as PCM16, from any place on.
//!
//! Octets of G.722 mean something only after those before them, and nobody who asks for the end wants to wait for all of it.
//! So a recording is cut into seconds, and each is decoded after the one before it, from reset: by then a decoder has
//! forgotten where it began. What a sample is depends on its place alone, not on what was asked for.

use crate::codec::{Codec, Decoder};
use crate::error::Error;
use crate::format::FRAME;
use crate::reader::Reader;

/// Octets of each channel in a stretch that is decoded as one: a second.
const STRETCH: u64 = 8_000;

/// Appends the samples of both channels, caller first, that `count` octets of each from `first` on stand for; fewer at the
/// end. Returns how many octets there were.
///
/// # Errors
/// The reader's.
pub(crate) fn samples(reader: &Reader, first: u64, count: u64, out: &mut Vec<i16>) -> Result<u64, Error> {
    let end = reader.samples().min(first.saturating_add(count));
    let mut at = first;
    while at < end {
        let stretch = at / STRETCH;
        // A law needs no stretches.
        let (begin, until) = match reader.codec() {
            Codec::G722 => (stretch.saturating_sub(1) * STRETCH, end.min((stretch + 1) * STRETCH)),
            Codec::Pcma | Codec::Pcmu => (at, end.min(at + STRETCH)),
        };
        let mut frames = vec![0; ((until - begin) * FRAME) as usize];
        reader.read_frames(begin, &mut frames)?;
        let mut ears = [Decoder::new(reader.codec()), Decoder::new(reader.codec())];
        for (place, frame) in (begin..).zip(frames.as_chunks::<2>().0) {
            let [caller, us] = &mut ears;
            let (caller, us) = (caller.push(frame[0]), us.push(frame[1]));
            if place >= at {
                let pairs = caller.samples().iter().zip(us.samples());
                out.extend(pairs.flat_map(|(&caller, &us)| [caller, us]));
            }
        }
        at = until;
    }
    Ok(end.saturating_sub(first))
}
