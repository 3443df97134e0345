//! What a crash left of a recording.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use crate::chain::Chain;
use crate::cipher::{Cipher, Key};
use crate::error::Error;
use crate::format::{FRAME, Header};
use crate::manifest::{self, Facts, Manifest, Segment, Sign, attest, manifest_path};
use crate::paths::{path_of, sync_folder};
use crate::reader::{inspect, unlocked};
use crate::segment::Sealed;
use crate::verify::verify;

/// Chunks read at once.
const PIECE: usize = 16;

/// Cuts what was written by half off the recording of an id: a sample of a plain file, a chunk of an encrypted one, or all
/// from the first chunk on that does not open, as a power cut may leave it. Brings the file to the disk. Nothing is sealed
/// anew, so no nonce is used twice. `least` are the samples that it is known to have had: where fewer can be read, nothing is
/// cut.
///
/// # Errors
/// [`Error::File`]; [`Error::NotARecording`] if not even the header was written; [`Error::Shorter`]; [`Error::Locked`];
/// [`Error::BadId`].
pub fn repair(folder: &Path, id: &str, key: Option<&Key>, least: u64) -> Result<Sealed, Error> {
    let path = path_of(folder, id)?;
    let failed = |doing| {
        let path = &path;
        move |source| Error::file(path, doing, source)
    };
    let file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed("open"))?;
    let (header, length) = inspect(&file, &path)?;
    let cipher = unlocked(&path, &header, key)?;
    let mut body = length - header.len();
    if cipher.is_none() {
        body -= body % FRAME;
    }
    let (kept, audio, chain) = walk(&file, &header, cipher.as_ref(), body).map_err(failed("read"))?;
    let samples = audio / FRAME;
    if samples < least {
        return Err(Error::Shorter { path, samples, least });
    }
    file.set_len(header.len() + kept).map_err(failed("cut"))?;
    file.sync_all().map_err(failed("bring to the disk"))?;
    sync_folder(&path)?;
    Ok(Sealed {
        samples,
        codec: header.codec,
        segment: Segment::new(&path, &header, samples, &chain),
        path,
    })
}

/// What became of a recording that nobody had closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// Samples that are there; with none there is no manifest.
    pub samples: u64,
    /// Why it is not whole, when it is not.
    pub partial: Option<String>,
}

/// Closes a recording whose writer is gone: repairs the file and says in a manifest that it is partial, because of `why`, at
/// `now` (milliseconds UTC). One that has a manifest was closed before, and stays as it is. `least` as for [`repair`].
///
/// # Errors
/// As [`repair`]; [`Error::Evidence`] when the manifest that is there does not fit: then nothing was changed.
pub fn close(
    folder: &Path,
    id: &str,
    key: Option<&Key>,
    signer: Option<&dyn Sign>,
    why: &str,
    now: i64,
    least: u64,
) -> Result<Closed, Error> {
    if let Some(signer) = signer
        && manifest_path(folder, id)?.exists()
    {
        // The crash may have come between the two names that a new manifest has for a moment.
        manifest::sweep(&manifest_path(folder, id)?);
        let sound = verify(folder, id, key, &[signer.public()]).map_err(|fault| Error::Evidence {
            path: folder.join(id),
            fault: Box::new(fault),
        })?;
        let Manifest { samples, reason, .. } = sound.manifest;
        return Ok(Closed { samples, partial: reason });
    }
    let left = repair(folder, id, key, least)?;
    if let Some(signer) = signer
        && left.samples > 0
    {
        let facts = Facts {
            sealed_at: now,
            partial: Some(why.to_owned()),
            ..Facts::default()
        };
        attest(folder, id, &left, &facts, signer)?;
    }
    Ok(Closed {
        samples: left.samples,
        partial: Some(why.to_owned()),
    })
}

/// Octets of the body that are good, of audio in them, and the chain over them.
fn walk(file: &File, header: &Header, cipher: Option<&Cipher>, body: u64) -> std::io::Result<(u64, u64, Chain)> {
    let (stride, mut chain) = (header.stride(), Chain::new(header));
    let mut piece = vec![0; PIECE * stride];
    let (mut at, mut audio) = (0, 0);
    'all: while at < body {
        let count = usize::try_from(body - at).unwrap_or(usize::MAX).min(piece.len());
        file.read_exact_at(&mut piece[..count], header.len() + at)?;
        for chunk in piece[..count].chunks_mut(stride) {
            let mut sound = chunk.len();
            if let Some(cipher) = cipher {
                let opened = cipher
                    .open(at / stride as u64, chunk.len() < stride, &mut chunk.to_vec())
                    .map(<[u8]>::len);
                let Some(opened) = opened else { break 'all };
                sound = opened;
            }
            chain.push(chunk);
            at += chunk.len() as u64;
            audio += sound as u64;
        }
    }
    chain.end();
    Ok((at, audio, chain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;
    use crate::format::{CHUNK, TAG};
    use crate::reader::Reader;
    use crate::writer::{Channel, Writer};
    use proptest::prelude::*;

    fn writer(folder: &Path, key: Option<&Key>, samples: usize) -> Writer {
        let mut writer = Writer::create(folder, "cut", Codec::Pcma, 42).unwrap().under(key.cloned());
        // As calls do it, a tenth of a second at a time.
        let caller: Vec<u8> = (0..samples).map(|n| n as u8).collect();
        for now in caller.chunks(800) {
            writer.push(Channel::Caller, now);
            writer.push_silence(Channel::Us, now.len() as u64);
            writer.flush().unwrap();
        }
        writer
    }

    #[test]
    fn a_killed_writer_leaves_all_but_a_quarter_of_a_second() {
        for key in [None, Some(Key::new([1; 32]))] {
            let folder = tempfile::tempdir().unwrap();
            drop(writer(folder.path(), key.as_ref(), 9_000));
            let left = repair(folder.path(), "cut", key.as_ref(), 0).unwrap();
            assert!((9_000 - 2_047..=9_000).contains(&left.samples), "{left:?}");
            let reader = Reader::open(&left.path, key.as_ref()).unwrap();
            assert_eq!((reader.samples(), reader.started()), (left.samples, 42));
            let mut wav = vec![0; reader.wav_len() as usize];
            reader.read_at(0, &mut wav).unwrap();
            assert!(wav[58..].iter().step_by(2).enumerate().all(|(at, &octet)| octet == at as u8));
        }
    }

    #[test]
    fn holes_of_a_power_cut_end_what_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::new([1; 32]);
        let path = writer(folder.path(), Some(&key), 20_000).path().to_path_buf();
        let mut octets = std::fs::read(&path).unwrap();
        let hole = 64 + 3 * (CHUNK + TAG);
        octets[hole..hole + 512].fill(0);
        std::fs::write(&path, octets).unwrap();
        assert_eq!(repair(folder.path(), "cut", Some(&key), 0).unwrap().samples, 3 * 2_048);
        assert_eq!(std::fs::metadata(&path).unwrap().len(), hole as u64);
    }

    #[test]
    fn what_had_more_samples_is_not_cut() {
        let folder = tempfile::tempdir().unwrap();
        let key = Key::new([1; 32]);
        let path = writer(folder.path(), Some(&key), 20_000).path().to_path_buf();
        let had = repair(folder.path(), "cut", Some(&key), 0).unwrap().samples;
        let mut octets = std::fs::read(&path).unwrap();
        octets[64 + 2 * (CHUNK + TAG) + 7] ^= 1;
        std::fs::write(&path, &octets).unwrap();
        let refused = repair(folder.path(), "cut", Some(&key), had);
        assert!(
            matches!(refused, Err(Error::Shorter { samples: 4_096, least, .. }) if least == had),
            "{refused:?}"
        );
        assert_eq!(std::fs::read(&path).unwrap(), octets, "as it was");
    }

    proptest! {
        #[test]
        fn wherever_it_was_cut_the_whole_chunks_stay(cut in 0u64..30_000, sealed: bool, finished: bool) {
            let folder = tempfile::tempdir().unwrap();
            let key = sealed.then(|| Key::new([1; 32]));
            let writer = writer(folder.path(), key.as_ref(), 12_345);
            let path = writer.path().to_path_buf();
            if finished {
                writer.finish(12_345).unwrap();
            }
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            let length = cut.min(file.metadata().unwrap().len());
            let all = length == file.metadata().unwrap().len();
            file.set_len(length).unwrap();
            match repair(folder.path(), "cut", key.as_ref(), 0) {
                Ok(left) => {
                    let body = length - if sealed { 64 } else { 32 };
                    let samples = if !sealed { body / 2 } else { body / (CHUNK + TAG) as u64 * 2_048 };
                    prop_assert_eq!(left.samples, if all && finished { 12_345 } else { samples });
                    // Once more changes nothing.
                    prop_assert_eq!(repair(folder.path(), "cut", key.as_ref(), 0).unwrap(), left);
                }
                Err(error) => prop_assert!(length < 64 && matches!(error, Error::NotARecording { .. }), "{}", error),
            }
        }
    }
}
