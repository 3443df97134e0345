//! One file of a closed recording, as others speak of it.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::chain::Chain;
use crate::codec::Codec;
use crate::format::Header;
use crate::hex;

/// A finished recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// Its file.
    pub path: PathBuf,
    /// Its length; `duration_ms` is this divided by 8.
    pub samples: u64,
    /// The codec of both channels.
    pub codec: Codec,
    /// What its manifest says of the file.
    pub segment: Segment,
}

/// What the manifest says of one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    /// Its name, without folder.
    pub file: String,
    /// Whether its chunks are sealed.
    pub encrypted: bool,
    /// SHA-256 of its header, hexadecimal.
    pub header: String,
    /// Samples of each channel.
    pub samples: u64,
    /// How many chunks it has.
    pub chunks: u64,
    /// The last link of the chain over them, hexadecimal.
    pub head: String,
    /// The first four octets of every link, hexadecimal: they name the chunk that was changed.
    pub marks: String,
}

impl Segment {
    pub(crate) fn new(path: &Path, header: &Header, samples: u64, chain: &Chain) -> Self {
        Self {
            file: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            encrypted: header.salt.is_some(),
            header: hex::encode(&header.hash()),
            samples,
            chunks: chain.chunks(),
            head: chain.head(),
            marks: chain.marks(),
        }
    }
}
