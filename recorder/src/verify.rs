//! Holding a recording against its manifest: what was changed since is named.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use crate::chain::{Chain, count, mark};
use crate::cipher::{Cipher, Key};
use crate::codec::Codec;
pub use crate::fault::Fault;
use crate::format::{CHUNK, FRAME, Header, TAG};
use crate::hex;
use crate::manifest::{self, Manifest, Segment, manifest_path};
use crate::paths::path_of;
use crate::source::{Source, Walk};

/// A recording with which nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// What is said of it.
    pub manifest: Manifest,
    /// Whether its chunks were opened with the key, too; a plain one has nothing to open.
    pub opened: bool,
}

/// Verifies the recording of an id in a folder. With its data key every chunk is opened as well; without, an encrypted file
/// is held against the signed chain alone.
///
/// # Errors
/// The first thing that is wrong: manifest first, then the file from its beginning.
pub fn verify(folder: &Path, id: &str, key: Option<&Key>, trusted: &[[u8; 32]]) -> Result<Sound, Fault> {
    let unreadable = |error: crate::error::Error| Fault::member("file", error.to_string());
    let content = manifest::read(&manifest_path(folder, id).map_err(unreadable)?).map_err(unreadable)?;
    let path = path_of(folder, id).map_err(unreadable)?;
    let file = || File::open(&path).map(|file| Box::new(file) as Box<dyn Source>);
    hold(id, content.as_deref(), file, key, trusted)
}

/// The same of a manifest that was read already, if there is one, and of a file that is opened when the manifest is sound,
/// wherever they are.
///
/// # Errors
/// As [`verify`].
pub fn hold(
    id: &str,
    content: Option<&[u8]>,
    file: impl FnOnce() -> std::io::Result<Box<dyn Source>>,
    key: Option<&Key>,
    trusted: &[[u8; 32]],
) -> Result<Sound, Fault> {
    let content = content.ok_or_else(|| Fault::member("file", "there is none"))?;
    let manifest = Manifest::open(content, trusted)?;
    if manifest.id != id {
        return Err(Fault::member("id", format!("it is the one of recording {}", manifest.id)));
    }
    // The signature is good: what follows was so when it was made, or the file was changed.
    let path = path_of(Path::new(""), id).map_err(|error| Fault::member("file", error.to_string()))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let [segment] = &manifest.segments[..] else {
        return Err(Fault::member("segments", "there is not one"));
    };
    if segment.file != name || segment.samples != manifest.samples || count(&segment.marks) != Some(segment.chunks) {
        return Err(Fault::member("segments", "it does not fit the other members"));
    }
    let unopened = |error: std::io::Error| Fault::File { what: error.to_string() };
    let file = file().map_err(unopened)?;
    let mut octets = BufReader::with_capacity(16 * CHUNK, Walk::of(file.as_ref()).map_err(unopened)?);
    walk(&mut octets, &manifest, segment, key)?;
    Ok(Sound {
        opened: key.is_some(),
        manifest,
    })
}

/// From the file's beginning to its end.
fn walk(file: &mut impl Read, manifest: &Manifest, segment: &Segment, key: Option<&Key>) -> Result<(), Fault> {
    let header = header(file, manifest, segment)?;
    let cipher = match (key, header.salt) {
        (Some(key), Some(_)) => Cipher::new(key, &header),
        (Some(_), None) => {
            return Err(Fault::Header {
                what: "it is not encrypted, though there is a key for it".to_owned(),
            });
        }
        (None, _) => None,
    };
    let whole = manifest.state == "sealed";
    let (mut chain, mut chunk, mut octets) = (Chain::new(&header), Vec::new(), 0);
    for number in 0_u64.. {
        chunk.clear();
        let read = file.by_ref().take(header.stride() as u64).read_to_end(&mut chunk);
        read.map_err(|error| Fault::File { what: error.to_string() })?;
        let wrong = |what| Err(Fault::Chunk { number, what });
        if number == segment.chunks {
            if !chunk.is_empty() {
                return wrong("it was added");
            }
            break;
        }
        if chunk.is_empty() {
            return wrong("it is missing");
        }
        chain.push(&chunk);
        chain.end();
        if mark(&segment.marks, number) != Some(&chain.last_mark()) {
            let cut = chunk.len() < header.stride() && number + 1 < segment.chunks;
            return wrong(if cut {
                "the file ends in it, and was longer"
            } else {
                "it was changed"
            });
        }
        let short = chunk.len() < header.stride();
        octets += chunk.len() - if segment.encrypted { TAG.min(chunk.len()) } else { 0 };
        if let Some(cipher) = &cipher
            && cipher.open(number, short, &mut chunk).is_none()
        {
            return wrong("it does not open with the recording's key");
        }
        if segment.encrypted && whole && number + 1 == segment.chunks && !short {
            return wrong("it should be the last one, and is not");
        }
    }
    if chain.head() != segment.head {
        // Only when somebody found another chunk of the same mark.
        return Err(Fault::Chunk {
            number: segment.chunks.saturating_sub(1),
            what: "it, or one before it, was changed",
        });
    }
    if octets as u64 != segment.samples * FRAME {
        return Err(Fault::member("samples", "the file has another number of them"));
    }
    Ok(())
}

fn header(file: &mut impl Read, manifest: &Manifest, segment: &Segment) -> Result<Header, Fault> {
    let wrong = |what: &str| Fault::Header { what: what.to_owned() };
    let length = crate::format::HEADER as usize + if segment.encrypted { crate::format::SALT } else { 0 };
    let mut begin = vec![0; length];
    file.read_exact(&mut begin).map_err(|_| wrong("the file is shorter than it"))?;
    let header = Header::from_bytes(&begin).map_err(wrong)?;
    if hex::encode(&header.hash()) != segment.header || header.salt.is_some() != segment.encrypted {
        return Err(wrong("it was changed"));
    }
    if manifest.codec.parse::<Codec>() != Ok(header.codec) || (manifest.rate, manifest.channels) != (crate::RATE, 2) {
        return Err(Fault::member("codec", "the file has another one"));
    }
    Ok(header)
}
