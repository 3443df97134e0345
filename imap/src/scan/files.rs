//! The files of a watched folder. Everything here blocks, and on a share it may block for long.
//!
//! A document that will be moved away is first renamed into a hidden folder beside it: from then on its name is nobody else's,
//! and what a scanner writes under that name next is another document. Whatever dies, the document lies in exactly one place:
//! where it came, in the hidden folder, which is looked at first at every start, or where it was moved to.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::document::Kind;
use super::watch::{Peeked, Stamp, temporary};

/// The hidden folder. Its name begins like those of files that are being written, so that other programs leave it alone.
const CLAIMED: &str = ".voxea";
/// Files of a folder that are looked at.
pub(super) const MOST: usize = 100_000;
/// How much of a file's end tells whether it is whole.
const TAIL: u64 = 2_048;
/// How much of its beginning tells what it is.
const HEAD: u64 = 1_029;

/// What a folder holds now.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) files: Vec<(OsString, Stamp)>,
    /// There are more than [`MOST`].
    pub(super) cut: bool,
    /// Which file system it lies on: another one, once a share was mounted or went away.
    pub(super) device: u64,
}

/// Looks at a folder. Other folders in it, links and what is being written are left out.
pub(super) fn list(folder: &Path) -> io::Result<Listing> {
    let device = fs::metadata(folder)?.dev();
    let mut listing = Listing {
        device,
        ..Listing::default()
    };
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name();
        if temporary(&name.to_string_lossy()) {
            continue;
        }
        // One that goes at this moment is not there.
        let Ok(facts) = entry.metadata() else { continue };
        if !facts.is_file() {
            continue;
        }
        if listing.files.len() == MOST {
            listing.cut = true;
            break;
        }
        listing.files.push((name, stamp(&facts)));
    }
    Ok(listing)
}

fn stamp(facts: &fs::Metadata) -> Stamp {
    let nanos = |seconds: i64, nanos: i64| i128::from(seconds) * 1_000_000_000 + i128::from(nanos);
    Stamp {
        size: facts.len(),
        modified: nanos(facts.mtime(), facts.mtime_nsec()),
        changed: nanos(facts.ctime(), facts.ctime_nsec()),
        inode: facts.ino(),
    }
}

/// Whether a file ends as its kind does.
pub(super) fn peek(path: &Path) -> io::Result<Peeked> {
    let mut file = File::open(path)?;
    let mut head = Vec::new();
    (&file).take(HEAD).read_to_end(&mut head)?;
    let length = file.seek(SeekFrom::End(0))?;
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
    let mut tail = Vec::new();
    file.take(TAIL).read_to_end(&mut tail)?;
    let whole = Kind::of(&head).is_some_and(|kind| kind.is_whole(&tail));
    Ok(if whole { Peeked::Whole } else { Peeked::Unsure })
}

/// A file as it was read.
#[derive(Debug)]
pub(super) struct Content {
    /// `None` beyond the size that is kept.
    pub(super) bytes: Option<Bytes>,
    /// How it was before and after.
    pub(super) stamp: Stamp,
}

/// Reads a file; `None` when it changed meanwhile.
pub(super) fn read(path: &Path, most: u64) -> io::Result<Option<Content>> {
    let file = File::open(path)?;
    let before = stamp(&file.metadata()?);
    if before.size > most {
        return Ok(Some(Content {
            bytes: None,
            stamp: before,
        }));
    }
    let mut bytes = Vec::with_capacity(usize::try_from(before.size).unwrap_or(0));
    (&file).take(most + 1).read_to_end(&mut bytes)?;
    let after = stamp(&file.metadata()?);
    let steady = before == after && bytes.len() as u64 == after.size;
    Ok(steady.then(|| Content {
        bytes: Some(Bytes::from(bytes)),
        stamp: after,
    }))
}

/// Whether a file is still as it was read, wherever it was moved since.
pub(super) fn unchanged(path: &Path, content: &Content) -> io::Result<bool> {
    let now = stamp(&fs::metadata(path)?);
    let then = content.stamp;
    Ok((now.size, now.modified, now.inode) == (then.size, then.modified, then.inode))
}

/// The hidden folder of a watched one, made when it is missing.
pub(super) fn claims(folder: &Path) -> io::Result<PathBuf> {
    let claimed = folder.join(CLAIMED);
    make(&claimed)?;
    Ok(claimed)
}

/// The documents in it: those at which an earlier process ended.
pub(super) fn claimed(claims: &Path) -> io::Result<Vec<OsString>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(claims)? {
        let entry = entry?;
        if entry.metadata().is_ok_and(|facts| facts.is_file()) {
            names.push(entry.file_name());
        }
    }
    names.sort();
    Ok(names)
}

/// Makes a file ours; `false` when it is gone, or one of its name is ours already.
pub(super) fn claim(folder: &Path, claims: &Path, name: &OsStr) -> io::Result<bool> {
    let target = claims.join(name);
    if fs::symlink_metadata(&target).is_ok() {
        return Ok(false);
    }
    match fs::rename(folder.join(name), target) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Moves a document that was taken in. It keeps its name where that is free; otherwise the beginning of its hash tells it apart,
/// and equal names then mean equal bytes.
pub(super) fn put_away(claims: &Path, name: &OsStr, folder: &Path, sha256: &str) -> io::Result<()> {
    make(folder)?;
    let taken = fs::symlink_metadata(folder.join(name)).is_ok();
    let target = if taken { apart(name, sha256) } else { name.to_owned() };
    match fs::rename(claims.join(name), folder.join(target)) {
        Err(error) if error.kind() == ErrorKind::CrossesDevices => Err(io::Error::new(
            ErrorKind::CrossesDevices,
            "lies on another file system than the watched folder, so that nothing can be moved there at once; name a folder on the same one",
        )),
        moved => moved,
    }
}

/// Writes why a document could not be read, for whoever finds it: `NAME.txt` beside it.
pub(super) fn explain(folder: &Path, name: &OsStr, words: &str) -> io::Result<()> {
    make(folder)?;
    let mut target = name.to_owned();
    target.push(".txt");
    let mut draft = OsString::from(".");
    draft.push(&target);
    let draft = folder.join(draft);
    let mut file = File::create(&draft)?;
    file.write_all(words.as_bytes())?;
    file.sync_all()?;
    fs::rename(draft, folder.join(target))
}

fn apart(name: &OsStr, sha256: &str) -> OsString {
    let mark = sha256.get(..8).unwrap_or(sha256);
    let path = Path::new(name);
    let mut target = path.file_stem().unwrap_or(name).to_owned();
    target.push(format!("-{mark}"));
    if let Some(extension) = path.extension() {
        target.push(".");
        target.push(extension);
    }
    target
}

fn make(folder: &Path) -> io::Result<()> {
    match fs::create_dir(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_folders_and_links_are_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a.pdf", ".hidden", "b.part"] {
            fs::write(at(name), "x").unwrap();
        }
        fs::create_dir(at("done")).unwrap();
        std::os::unix::fs::symlink(at("a.pdf"), at("link.pdf")).unwrap();
        let listing = list(folder.path()).unwrap();
        let names: Vec<_> = listing.files.iter().map(|(name, _)| name.to_string_lossy().into_owned()).collect();
        assert_eq!(names, ["a.pdf"]);
    }

    #[test]
    fn the_end_of_a_file_tells_whether_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pdf");
        let filler = "x".repeat(10_000);
        fs::write(&path, format!("%PDF-1.4\n{filler}")).unwrap();
        assert_eq!(peek(&path).unwrap(), Peeked::Unsure);
        fs::write(&path, format!("%PDF-1.4\n{filler}\n%%EOF\n")).unwrap();
        assert_eq!(peek(&path).unwrap(), Peeked::Whole);
        fs::write(&path, "no document").unwrap();
        assert_eq!(peek(&path).unwrap(), Peeked::Unsure);
    }

    #[test]
    fn a_document_lies_in_one_place_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let (inbox, done) = (folder.path(), folder.path().join("done"));
        let claims = claims(inbox).unwrap();
        let name = OsStr::new("a.pdf");
        fs::write(inbox.join(name), "one").unwrap();
        assert!(claim(inbox, &claims, name).unwrap());
        assert!(!claim(inbox, &claims, name).unwrap(), "it is gone");
        fs::write(inbox.join(name), "two").unwrap();
        assert!(!claim(inbox, &claims, name).unwrap(), "the one before is not done");
        let content = read(&claims.join(name), 10).unwrap().unwrap();
        assert_eq!(content.bytes.as_deref(), Some(&b"one"[..]));
        assert!(unchanged(&claims.join(name), &content).unwrap());
        put_away(&claims, name, &done, "0011223344").unwrap();
        assert!(claim(inbox, &claims, name).unwrap());
        put_away(&claims, name, &done, "5566778899").unwrap();
        let mut names = claimed(&done).unwrap();
        names.sort();
        assert_eq!(names, ["a-55667788.pdf", "a.pdf"]);
        assert!(claimed(&claims).unwrap().is_empty());
        explain(&done, name, "illisible").unwrap();
        assert_eq!(fs::read_to_string(done.join("a.pdf.txt")).unwrap(), "illisible");
    }

    #[test]
    fn a_file_that_still_grows_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pdf");
        fs::write(&path, "one").unwrap();
        let content = read(&path, 10).unwrap().unwrap();
        File::options().append(true).open(&path).unwrap().write_all(b"more").unwrap();
        assert!(!unchanged(&path, &content).unwrap());
        assert!(read(&path, 5).unwrap().unwrap().bytes.is_none(), "beyond the size that is kept");
    }
}
