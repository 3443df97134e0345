//! What is said on a line, read from a file and encoded once.

use std::path::Path;
use std::sync::Arc;

use voxea_core::base::settings::Section;
use voxea_recorder::codec::Codec;
use voxea_recorder::prompt::Prompt;

/// A greeting, encoded once for all calls.
#[derive(Clone)]
pub struct Greeting {
    pcma: Arc<[u8]>,
    pcmu: Arc<[u8]>,
    g722: Arc<[u8]>,
}

impl Greeting {
    pub(super) fn new(prompt: &Prompt) -> Self {
        Self {
            pcma: prompt.encoded(Codec::Pcma).into(),
            pcmu: prompt.encoded(Codec::Pcmu).into(),
            g722: prompt.encoded(Codec::G722).into(),
        }
    }

    /// Without a sound.
    #[must_use]
    pub fn silent() -> Self {
        Self::new(&Prompt::from_samples(Vec::new()))
    }

    /// Its octets in a codec.
    #[must_use]
    pub fn octets(&self, codec: Codec) -> Arc<[u8]> {
        Arc::clone(match codec {
            Codec::Pcma => &self.pcma,
            Codec::Pcmu => &self.pcmu,
            Codec::G722 => &self.g722,
        })
    }
}

impl std::fmt::Debug for Greeting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Greeting({} ms)", self.pcma.len() / 8)
    }
}

/// The sound of a file that a key names; silence when it cannot be read.
pub(super) fn prompt(section: &Section<'_>, key: &'static str, path: &Path) -> Greeting {
    let read = Prompt::read(path).map_err(|error| format!("{error}; it must be WAV, mono, 8 or 16 kHz, PCM16, A-law or µ-law"));
    read_as(section, key, read)
}

/// What was read, or silence and a problem with the key.
pub(super) fn read_as(section: &Section<'_>, key: &'static str, read: Result<Prompt, String>) -> Greeting {
    match read {
        Ok(prompt) => Greeting::new(&prompt),
        Err(error) => {
            section.problem(key, error);
            Greeting::silent()
        }
    }
}
