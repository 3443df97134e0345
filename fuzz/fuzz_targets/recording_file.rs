//! A recording's file as somebody else, or a crash, left it: it is refused, or read within its own length, and what repair
//! keeps of it is sound.
#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use voxea_fuzz::{bounded, folder};
use voxea_recorder::Key;
use voxea_recorder::error::Error;
use voxea_recorder::pcm16::Pcm16;
use voxea_recorder::reader::Reader;
use voxea_recorder::repair::repair;
use voxea_recorder::waveform::Waveform;
use voxea_recorder::writer::path_of;

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| folder("recording-file"));

fuzz_target!(|data: &[u8]| {
    let path = path_of(&FOLDER, "r").expect("a plain name");
    for key in [None, Some(Key::new([1; 32]))] {
        std::fs::write(&path, data).expect("the folder takes files");
        bounded(|| {
            let Ok(reader) = Reader::open(&path, key.as_ref()) else { return };
            assert!(reader.samples() * 2 <= data.len() as u64, "more was read than there is");
            let mut wav = vec![0; usize::try_from(reader.wav_len()).expect("bounded")];
            let read = reader.read_at(0, &mut wav);
            match read {
                Ok(count) => assert_eq!(count, wav.len()),
                Err(Error::Damaged { .. }) => assert!(key.is_some(), "a plain file has nothing to open"),
                Err(error) => panic!("{error}"),
            }
            let _ = Waveform::of(&reader, 100);
            let view = Pcm16::of(&reader).expect("it is short");
            let _ = view.read_at(3, &mut wav);
            let left = repair(&path.parent().expect("a folder"), "r", key.as_ref(), 0).expect("it was read");
            assert!(left.samples <= reader.samples(), "repair adds nothing");
            let again = Reader::open(&path, key.as_ref()).expect("it was repaired");
            assert_eq!(again.samples(), left.samples);
            again.read_at(0, &mut wav).expect("what was kept is sound");
        });
    }
});
