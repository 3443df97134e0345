//! A recording as FLAC (RFC 9639): the same samples in about half the octets of G.711, and a third of PCM16's.

use flacenc::component::{BitRepr, Stream, StreamInfo};
use flacenc::config::Encoder;
use flacenc::error::Verify as _;
use flacenc::source::{Context, Fill as _, FrameBuf};

use crate::RATE;
use crate::error::Error;
use crate::linear;
use crate::reader::Reader;

/// Samples of each channel in a frame.
const BLOCK: usize = 4_096;

/// Samples of each channel at most: 4 h, which are encoded in memory.
pub const MAX_SAMPLES: u64 = 4 * 3_600 * RATE as u64;

/// Encodes a recording; a frame at a time, but what comes of it is in memory. The same recording always gives the same
/// octets.
///
/// # Errors
/// The reader's; [`Error::Export`] for one of more than [`MAX_SAMPLES`].
pub fn encode(reader: &Reader) -> Result<Vec<u8>, Error> {
    let refused = |problem: String| Error::Export {
        path: reader.path().to_path_buf(),
        problem,
    };
    if reader.samples() > MAX_SAMPLES {
        return Err(refused("it is too long for FLAC; PCM16 has no such limit".to_owned()));
    }
    let failed = |error: &dyn std::fmt::Display| refused(format!("it cannot be encoded as FLAC: {error}"));
    let config = Encoder::default().into_verified().map_err(|(_, error)| failed(&error))?;
    let mut info = StreamInfo::new(reader.codec().rate() as usize, 2, 16).map_err(|error| failed(&error))?;
    let mut block = FrameBuf::with_size(2, BLOCK).map_err(|error| failed(&error))?;
    let mut digest = Context::new(16, 2);
    let each = reader.codec().samples_per_octet();
    let (mut out, mut heard, mut at) = (Vec::new(), Vec::new(), 0);
    for number in 0.. {
        heard.clear();
        let count = linear::samples(reader, at, (BLOCK / each) as u64, &mut heard)?;
        if count == 0 {
            break;
        }
        at += count;
        let samples: Vec<i32> = heard.iter().map(|&sample| i32::from(sample)).collect();
        let filled = block.fill_interleaved(&samples).and_then(|()| digest.fill_interleaved(&samples));
        filled.map_err(|error| failed(&error))?;
        let frame = flacenc::encode_fixed_size_frame(&config, &block, number, &info).map_err(|error| failed(&error))?;
        info.update_frame_info(&frame);
        written(&frame, &mut out).ok_or_else(|| failed(&"a frame"))?;
    }
    info.set_total_samples(at as usize * each);
    info.set_md5_digest(&digest.md5_digest());
    // The last block may be shorter, and does not count (RFC 9639 §8.2).
    info.set_block_sizes(BLOCK, BLOCK).map_err(|error| failed(&error))?;
    let mut whole = Vec::new();
    written(&Stream::with_stream_info(info), &mut whole).ok_or_else(|| failed(&"its beginning"))?;
    whole.append(&mut out);
    Ok(whole)
}

fn written(part: &impl BitRepr, out: &mut Vec<u8>) -> Option<()> {
    let mut sink = flacenc::bitsink::ByteSink::new();
    part.write(&mut sink).ok()?;
    out.extend_from_slice(sink.as_slice());
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;
    use crate::writer::{Channel, Writer};

    fn recording(folder: &std::path::Path, codec: Codec, caller: &[u8]) -> Reader {
        std::fs::create_dir(folder).unwrap();
        let mut writer = Writer::create(folder, "flac", codec, 0).unwrap();
        writer.push(Channel::Caller, caller);
        writer.push_silence(Channel::Us, caller.len() as u64);
        Reader::open(&writer.finish(caller.len() as u64).unwrap().path, None).unwrap()
    }

    #[test]
    fn another_decoder_hears_every_sample() {
        let folder = tempfile::tempdir().unwrap();
        let tone = |n: u32| Codec::Pcma.encode(((f64::from(n) * 0.35).sin() * 9_000.0) as i16);
        let noise = |n: u32| (n.wrapping_mul(2_654_435_761) >> 24) as u8;
        for (codec, length) in [
            (Codec::Pcma, 0),
            (Codec::Pcma, 1),
            (Codec::Pcmu, 31),
            (Codec::Pcma, 4_096),
            (Codec::Pcmu, 4_097),
            (Codec::Pcma, 30_000),
            (Codec::G722, 6_001),
        ] {
            let caller: Vec<u8> = (0..length).map(|n| if n % 9_000 < 6_000 { tone(n) } else { noise(n) }).collect();
            let reader = recording(&folder.path().join(format!("{codec}{length}")), codec, &caller);
            let encoded = encode(&reader).unwrap();
            assert_eq!(encode(&reader).unwrap(), encoded);
            let mut decoder = claxon::FlacReader::new(&encoded[..]).unwrap();
            let info = decoder.streaminfo();
            assert_eq!((info.sample_rate, info.channels, info.bits_per_sample), (codec.rate(), 2, 16));
            assert_eq!(info.samples.unwrap_or(0), u64::from(length) * codec.samples_per_octet() as u64);
            let heard: Vec<i32> = decoder.samples().map(Result::unwrap).collect();
            let us = codec.decode_all(&vec![codec.silence(); caller.len()]);
            let said = codec.decode_all(&caller).into_iter().zip(us);
            let said: Vec<i32> = said.flat_map(|(caller, us)| [caller, us]).map(i32::from).collect();
            assert_eq!(heard, said, "{codec} {length}");
        }
    }
}
