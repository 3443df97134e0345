//! A TCP stream from anybody: where it is cut must not change what is read from it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::bounded;
use voxea_sip::wire::parse;
use voxea_sip::wire::stream::{Frame, Framer};

fuzz_target!(|data: &[u8]| {
    let Some((&cut, stream)) = data.split_first() else { return };
    let whole = bounded(|| frames(stream, stream.len().max(1)));
    let pieces = bounded(|| frames(stream, usize::from(cut).max(1)));
    assert_eq!(whole, pieces);
    for frame in &whole {
        if let Frame::Message(bytes) | Frame::Broken(bytes) = frame {
            let _ = bounded(|| parse(bytes));
        }
    }
});

fn frames(stream: &[u8], cut: usize) -> Vec<Frame> {
    let mut framer = Framer::default();
    let mut frames = Vec::new();
    for piece in stream.chunks(cut) {
        framer.push(piece);
        frames.extend(std::iter::from_fn(|| framer.next()));
    }
    frames
}
