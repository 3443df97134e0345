//! A disk that stalls: a folder handed through by FUSE, all of whose operations wait for seconds now and then, as behind a
//! controller that resets, or a network that is away. It takes root and `/dev/fuse`, and nothing else.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    MountOption, OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyStatfs,
    ReplyWrite, Request, TimeOrNow, WriteFlags,
};
use nix::mount::{MntFlags, umount2};
use nix::sys::statvfs::statvfs;

/// How long the kernel may believe what it was told of a file.
const TTL: Duration = Duration::from_secs(1);

/// When and for how long it stalls.
#[derive(Debug, Clone, Copy)]
pub struct Stalls {
    /// From the beginning of one stall to the next; the first comes after this time.
    pub every: Duration,
    /// How long one lasts; shorter than `every`.
    pub last: Duration,
}

/// A mounted slow disk; gone when this is dropped.
pub struct SlowDisk {
    at: PathBuf,
    gate: Arc<Gate>,
    session: Option<BackgroundSession>,
    _below: tempfile::TempDir,
}

impl SlowDisk {
    /// Mounts an empty one at this folder.
    ///
    /// # Errors
    /// When nothing can be mounted: not root, or no `/dev/fuse`.
    pub fn mount(at: &Path, stalls: Stalls) -> Result<Self> {
        let below = tempfile::Builder::new().prefix("voxea-disk-").tempdir()?;
        let gate = Arc::new(Gate {
            begun: Instant::now(),
            stalls,
            stalled: AtomicU64::new(0),
        });
        let folder = Folder::new(below.path(), Arc::clone(&gate))?;
        let mut config = Config::default();
        config.mount_options = vec![MountOption::FSName("slow".to_owned()), MountOption::DefaultPermissions];
        let session = fuser::spawn_mount(folder, at, &config).context("a slow disk takes root and /dev/fuse")?;
        Ok(Self {
            at: at.to_owned(),
            gate,
            session: Some(session),
            _below: below,
        })
    }

    /// Stalls that somebody had to wait for.
    #[must_use]
    pub fn stalled(&self) -> u64 {
        self.gate.stalled.load(Ordering::Relaxed)
    }
}

impl Drop for SlowDisk {
    fn drop(&mut self) {
        // Also while somebody who failed still holds a file.
        let _ = umount2(&self.at, MntFlags::MNT_DETACH);
        drop(self.session.take());
    }
}

/// What every operation passes, one after the other.
#[derive(Debug)]
struct Gate {
    begun: Instant,
    stalls: Stalls,
    stalled: AtomicU64,
}

impl Gate {
    /// What is left of a stall so long after the beginning.
    fn left(stalls: Stalls, elapsed: Duration) -> Duration {
        let into = Duration::from_nanos((elapsed.as_nanos() % stalls.every.as_nanos()) as u64);
        let first = elapsed < stalls.every;
        if first { Duration::ZERO } else { stalls.last.saturating_sub(into) }
    }

    fn pass(&self) {
        let left = Self::left(self.stalls, self.begun.elapsed());
        if !left.is_zero() {
            self.stalled.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(left);
        }
    }
}

/// The folder below. Numbers of files are its own; where each stands is known from when it was looked up.
struct Folder {
    gate: Arc<Gate>,
    root: u64,
    known: Mutex<Known>,
}

struct Known {
    paths: HashMap<u64, PathBuf>,
    open: HashMap<u64, File>,
    next: u64,
}

type Told<T> = Result<T, Errno>;

impl Folder {
    fn new(below: &Path, gate: Arc<Gate>) -> io::Result<Self> {
        let root = std::fs::metadata(below)?.ino();
        let known = Known {
            paths: HashMap::from([(root, below.to_owned())]),
            open: HashMap::new(),
            next: 1,
        };
        Ok(Self {
            gate,
            root,
            known: Mutex::new(known),
        })
    }

    /// Does something once no stall goes on.
    fn through<T>(&self, does: impl FnOnce() -> Told<T>) -> Told<T> {
        self.gate.pass();
        does()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, ino: INodeNo) -> Told<PathBuf> {
        let ino = if ino == INodeNo::ROOT { self.root } else { ino.0 };
        self.known().paths.get(&ino).cloned().ok_or(Errno::ENOENT)
    }

    /// What is known of a file, by what is open of it when it has no name any more.
    fn attr(&self, ino: INodeNo) -> Told<FileAttr> {
        if let Ok(path) = self.path(ino)
            && let Ok(found) = path.symlink_metadata()
        {
            return Ok(self.shown(&found));
        }
        let known = self.known();
        let mut found = known.open.values().filter_map(|file| file.metadata().ok());
        found
            .find(|found| found.ino() == ino.0)
            .map(|found| self.shown(&found))
            .ok_or(Errno::ENOENT)
    }

    fn shown(&self, found: &Metadata) -> FileAttr {
        let at = |seconds: i64, nanos: i64| {
            std::time::UNIX_EPOCH + Duration::new(u64::try_from(seconds).unwrap_or(0), u32::try_from(nanos).unwrap_or(0))
        };
        FileAttr {
            ino: if found.ino() == self.root {
                INodeNo::ROOT
            } else {
                INodeNo(found.ino())
            },
            size: found.size(),
            blocks: found.blocks(),
            atime: at(found.atime(), found.atime_nsec()),
            mtime: at(found.mtime(), found.mtime_nsec()),
            ctime: at(found.ctime(), found.ctime_nsec()),
            crtime: std::time::UNIX_EPOCH,
            kind: kind(found.file_type()),
            perm: (found.mode() & 0o7777) as u16,
            nlink: found.nlink() as u32,
            uid: found.uid(),
            gid: found.gid(),
            rdev: found.rdev() as u32,
            blksize: 4_096,
            flags: 0,
        }
    }

    /// A name in a folder, remembered if there is something of that name.
    fn entry(&self, parent: INodeNo, name: &OsStr) -> Told<FileAttr> {
        let path = self.path(parent)?.join(name);
        let found = path.symlink_metadata()?;
        self.known().paths.insert(found.ino(), path);
        Ok(self.shown(&found))
    }

    fn keep(&self, file: File) -> FileHandle {
        let mut known = self.known();
        known.next += 1;
        let number = known.next;
        known.open.insert(number, file);
        FileHandle(number)
    }

    fn with<T>(&self, handle: FileHandle, does: impl FnOnce(&File) -> io::Result<T>) -> Told<T> {
        let file = self.known().open.get(&handle.0).map(File::try_clone).ok_or(Errno::EBADF)??;
        Ok(does(&file)?)
    }
}

fn kind(found: std::fs::FileType) -> FileType {
    if found.is_dir() {
        FileType::Directory
    } else if found.is_symlink() {
        FileType::Symlink
    } else if found.is_socket() {
        FileType::Socket
    } else {
        FileType::RegularFile
    }
}

/// Passes the gate, does it, and answers.
macro_rules! answer {
    ($folder:expr, $reply:expr, $told:expr, $done:pat => $say:expr) => {{
        match $folder.through(|| $told) {
            Ok($done) => $say,
            Err(error) => $reply.error(error),
        }
    }};
}

impl Filesystem for Folder {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        answer!(self, reply, self.entry(parent, name), attr => reply.entry(&TTL, &attr, Generation(0)));
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        answer!(self, reply, self.attr(ino), attr => reply.attr(&TTL, &attr));
    }

    fn setattr(
        &self,
        _: &Request,
        ino: INodeNo,
        mode: Option<u32>,
        _: Option<u32>,
        _: Option<u32>,
        size: Option<u64>,
        _: Option<TimeOrNow>,
        _: Option<TimeOrNow>,
        _: Option<std::time::SystemTime>,
        handle: Option<FileHandle>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<std::time::SystemTime>,
        _: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        let change = || {
            if let Some(mode) = mode {
                std::fs::set_permissions(self.path(ino)?, std::fs::Permissions::from_mode(mode & 0o7777))?;
            }
            match (size, handle) {
                (Some(size), Some(handle)) => self.with(handle, |file| file.set_len(size))?,
                (Some(size), None) => OpenOptions::new().write(true).open(self.path(ino)?)?.set_len(size)?,
                (None, _) => {}
            }
            self.attr(ino)
        };
        answer!(self, reply, change(), attr => reply.attr(&TTL, &attr));
    }

    fn mkdir(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, reply: ReplyEntry) {
        let make = || {
            std::fs::DirBuilder::new().mode(mode).create(self.path(parent)?.join(name))?;
            self.entry(parent, name)
        };
        answer!(self, reply, make(), attr => reply.entry(&TTL, &attr, Generation(0)));
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer!(self, reply, Ok(std::fs::remove_file(self.path(parent)?.join(name))?), () => reply.ok());
    }

    fn rmdir(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        answer!(self, reply, Ok(std::fs::remove_dir(self.path(parent)?.join(name))?), () => reply.ok());
    }

    fn rename(&self, _: &Request, parent: INodeNo, name: &OsStr, to: INodeNo, new: &OsStr, _: RenameFlags, reply: ReplyEmpty) {
        let rename = || {
            std::fs::rename(self.path(parent)?.join(name), self.path(to)?.join(new))?;
            self.entry(to, new).map(|_| ())
        };
        answer!(self, reply, rename(), () => reply.ok());
    }

    fn link(&self, _: &Request, ino: INodeNo, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let link = || {
            std::fs::hard_link(self.path(ino)?, self.path(parent)?.join(name))?;
            self.entry(parent, name)
        };
        answer!(self, reply, link(), attr => reply.entry(&TTL, &attr, Generation(0)));
    }

    fn open(&self, _: &Request, ino: INodeNo, flags: OpenFlags, reply: ReplyOpen) {
        let open = || {
            let writes = flags.0 & nix::libc::O_ACCMODE != nix::libc::O_RDONLY;
            let file = OpenOptions::new().read(true).write(writes).open(self.path(ino)?)?;
            Ok(self.keep(file))
        };
        answer!(self, reply, open(), handle => reply.opened(handle, FopenFlags::empty()));
    }

    fn create(&self, _: &Request, parent: INodeNo, name: &OsStr, mode: u32, _: u32, flags: i32, reply: ReplyCreate) {
        let create = || {
            let mut options = OpenOptions::new();
            options.read(true).write(true).mode(mode);
            if flags & nix::libc::O_EXCL == 0 {
                options.create(true).truncate(flags & nix::libc::O_TRUNC != 0);
            } else {
                options.create_new(true);
            }
            let file = options.open(self.path(parent)?.join(name))?;
            Ok((self.entry(parent, name)?, self.keep(file)))
        };
        answer!(self, reply, create(), (attr, handle) => {
            reply.created(&TTL, &attr, Generation(0), handle, FopenFlags::empty());
        });
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let read = || {
            let mut octets = vec![0; size as usize];
            let mut length = 0;
            while length < octets.len() {
                match self.with(handle, |file| file.read_at(&mut octets[length..], offset + length as u64))? {
                    0 => break,
                    read => length += read,
                }
            }
            octets.truncate(length);
            Ok(octets)
        };
        answer!(self, reply, read(), octets => reply.data(&octets));
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        answer!(self, reply, self.with(handle, |file| file.write_all_at(data, offset)), () => reply.written(data.len() as u32));
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }

    fn release(&self, _: &Request, _: INodeNo, handle: FileHandle, _: OpenFlags, _: Option<LockOwner>, _: bool, reply: ReplyEmpty) {
        self.known().open.remove(&handle.0);
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, handle: FileHandle, _: bool, reply: ReplyEmpty) {
        // What is below is a folder of the machine that runs the test; that the power may fail there is none of its subject.
        answer!(self, reply, self.with(handle, |_| Ok(())), () => reply.ok());
    }

    fn fsyncdir(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        answer!(self, reply, Ok(()), () => reply.ok());
    }

    fn readdir(&self, _: &Request, ino: INodeNo, _: FileHandle, offset: u64, mut reply: ReplyDirectory) {
        let list = || {
            let entries = std::fs::read_dir(self.path(ino)?)?.flatten();
            let mut found: Vec<_> = entries.map(|entry| (entry.file_name(), entry.metadata())).collect();
            found.sort_by(|a, b| a.0.cmp(&b.0));
            Ok(found)
        };
        answer!(self, reply, list(), found => {
            let found = found.into_iter().filter_map(|(name, found)| Some((name, found.ok()?)));
            for (at, (name, found)) in found.enumerate().skip(offset as usize) {
                if reply.add(INodeNo(found.ino()), at as u64 + 1, kind(found.file_type()), name) {
                    break;
                }
            }
            reply.ok();
        });
    }

    fn statfs(&self, _: &Request, _: INodeNo, reply: ReplyStatfs) {
        let stat = || {
            let path = self.path(INodeNo::ROOT)?;
            statvfs(&path).map_err(|error| Errno::from_i32(error as i32))
        };
        answer!(self, reply, stat(), found => reply.statfs(
            found.blocks(),
            found.blocks_free(),
            found.blocks_available(),
            found.files(),
            found.files_free(),
            found.block_size() as u32,
            255,
            found.fragment_size() as u32,
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_comes_when_its_time_is() {
        let stalls = Stalls {
            every: Duration::from_secs(5),
            last: Duration::from_secs(2),
        };
        let left = |ms| Gate::left(stalls, Duration::from_millis(ms)).as_millis();
        assert_eq!(
            [0, 1_000, 4_999, 5_000, 6_500, 7_000, 9_999, 10_100].map(left),
            [0, 0, 0, 2_000, 500, 0, 0, 1_900]
        );
    }

    #[test]
    fn what_is_written_is_there_and_waits() {
        let at = tempfile::tempdir().unwrap();
        let stalls = Stalls {
            every: Duration::from_millis(400),
            last: Duration::from_millis(200),
        };
        let disk = SlowDisk::mount(at.path(), stalls).unwrap();
        let folder = at.path().join("folder");
        std::fs::create_dir(&folder).unwrap();
        let file = File::create_new(folder.join("a")).unwrap();
        let mut longest = Duration::ZERO;
        for number in 0..100u64 {
            let begun = Instant::now();
            file.write_all_at(&[number as u8; 10], number * 10).unwrap();
            longest = longest.max(begun.elapsed());
            std::thread::sleep(Duration::from_millis(10));
        }
        file.sync_data().unwrap();
        file.set_len(995).unwrap();
        assert!(longest > Duration::from_millis(100), "{longest:?}");
        assert!(disk.stalled() > 0);
        std::fs::hard_link(folder.join("a"), folder.join("b")).unwrap();
        std::fs::remove_file(folder.join("a")).unwrap();
        std::fs::rename(folder.join("b"), folder.join("c")).unwrap();
        let names: Vec<_> = std::fs::read_dir(&folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["c"]);
        let octets = std::fs::read(folder.join("c")).unwrap();
        assert!(octets.len() == 995 && octets[994] == 99 && octets[..10] == [0; 10]);
        assert_eq!(file.metadata().unwrap().len(), 995);
        drop((file, disk));
        assert!(!folder.exists(), "it is gone");
    }
}
