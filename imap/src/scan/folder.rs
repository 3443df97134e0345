//! Follows a watched folder: looks at it, takes in what is complete, and moves it away after the commit.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use voxea_core::Core;
use voxea_core::artefact::Blobs;
use voxea_core::base::exit::Exit;
use voxea_core::base::stop::Stop;
use voxea_core::base::{failpoint, mutant};
use voxea_core::channel::Reporter;

use super::config::{After, Folder};
use super::files::{self, Content};
use super::paper::Searched;
use super::taking::{Desk, Document, End};
use super::watch::{Peeked, Stamp, Watch};

/// How often the folder is looked at; often enough that `settle` is two looks.
const LOOKS: Duration = Duration::from_secs(2);
/// A share that takes longer for one thing is not there.
const PATIENCE: Duration = Duration::from_secs(60);
/// A document that changes under every reading is left for the next look after so many.
const READINGS: usize = 5;

/// Follows the folder until it is stopped. A folder that is away is looked for again.
pub async fn run(config: Arc<Folder>, core: Core, reporter: Reporter, stop: Stop) -> Exit {
    reporter.connecting();
    let account = config.account();
    let epoch = match core.intake.register(&account).await {
        Ok(epoch) => epoch,
        Err(error) => return Exit::Retry(error.to_string()),
    };
    let mut follower = Follower {
        watch: Watch::new(config.watch),
        desk: Desk {
            config,
            core,
            account,
            epoch,
            reporter,
            stop,
        },
        settled: HashMap::new(),
        refused: HashMap::new(),
        unmoved: 0,
        began: Instant::now(),
    };
    match follower.follow().await {
        Ok(never) => match never {},
        Err(End::Share(words)) => Exit::Retry(words),
        Err(End::Fenced) => Exit::Halt("another node serves this folder now".to_owned()),
        Err(End::Stopped) => {
            follower.desk.reporter.stopping();
            Exit::Stopped
        }
    }
}

/// Whether the folder can be read, and documents moved in it; changes nothing but for one file that comes and goes.
///
/// # Errors
/// What failed and what to do about it.
pub async fn probe(config: &Folder) -> Result<String, String> {
    let (path, keeps) = (config.path.clone(), config.after == After::Keep);
    let tried = blocking(move || {
        let listing = files::list(&path)?;
        if !keeps {
            let trial = path.join(format!(".voxea-{}", std::process::id()));
            std::fs::write(&trial, "")?;
            std::fs::remove_file(&trial)?;
        }
        Ok(listing.files.len())
    });
    match tried.await {
        Ok(count) => Ok(format!("{} holds {count} documents", config.path.display())),
        Err(words) => Err(format!("{}: {words}", config.path.display())),
    }
}

/// Does something with files on a thread that may block.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, String> {
    match timeout(PATIENCE, tokio::task::spawn_blocking(work)).await {
        Ok(Ok(Ok(done))) => Ok(done),
        Ok(Ok(Err(error))) => Err(match error.kind() {
            io::ErrorKind::NotFound => "is not there; is the share mounted?".to_owned(),
            io::ErrorKind::PermissionDenied => {
                "the daemon may not; give folder and files to its user, and name the folder in ReadWritePaths= of the service".to_owned()
            }
            _ => error.to_string(),
        }),
        Ok(Err(_)) => Err("an internal error".to_owned()),
        Err(_) => Err(format!("does not answer within {} s", PATIENCE.as_secs())),
    }
}

struct Follower {
    desk: Desk,
    watch: Watch<OsString>,
    /// Of a folder whose files stay: those that are known to be taken in.
    settled: HashMap<OsString, Stamp>,
    /// Files that cannot be opened, as they were then.
    refused: HashMap<OsString, Stamp>,
    /// Documents that are ours and could not be read, or not be moved away.
    unmoved: usize,
    began: Instant,
}

impl Follower {
    async fn follow(&mut self) -> Result<std::convert::Infallible, End> {
        let claims = self.begin().await?;
        let mut device = None;
        let looks = LOOKS.min(self.desk.config.watch.settle / 2);
        loop {
            let folder = self.desk.config.path.clone();
            let listing = self.share(blocking(move || files::list(&folder)).await)?;
            if *device.get_or_insert(listing.device) != listing.device {
                return Err(End::Share(
                    "the folder lies on another file system than before; was a share unmounted?".to_owned(),
                ));
            }
            self.desk.reporter.up(vec![format!("file:{}", self.desk.config.path.display())]);
            let cut = listing.cut;
            let now = self.began.elapsed();
            let mut files = listing.files;
            if !self.settled.is_empty() {
                let there: HashMap<&OsString, &Stamp> = files.iter().map(|(name, stamp)| (name, stamp)).collect();
                self.settled
                    .retain(|name, stamp| there.get(name).is_some_and(|now| **now == *stamp));
            }
            files.retain(|(name, stamp)| self.settled.get(name) != Some(stamp));
            self.refused
                .retain(|name, stamp| files.iter().any(|(found, now)| found == name && now == stamp));
            self.watch.look(files, now);
            self.desk.reporter.queue(self.watch.waiting() as u64);
            self.peek(now).await?;
            for ready in self.watch.ready(now) {
                if self.desk.stop.soft.is_cancelled() {
                    return Err(End::Stopped);
                }
                if self.refused.contains_key(&ready.name) {
                    continue;
                }
                match &claims {
                    Some(claims) => self.move_in(claims, &ready.name, ready.stamp).await?,
                    None => self.take_where_it_lies(&ready.name, ready.stamp).await?,
                }
            }
            self.alarm(cut);
            tokio::select! {
                () = sleep(looks) => {}
                () = self.desk.stop.soft.cancelled() => return Err(End::Stopped),
            }
        }
    }

    /// Makes the hidden folder, and finishes what an earlier process had in hand.
    async fn begin(&mut self) -> Result<Option<PathBuf>, End> {
        let After::Move { .. } = &self.desk.config.after else {
            return Ok(None);
        };
        let folder = self.desk.config.path.clone();
        let claims = self.share(blocking(move || files::claims(&folder)).await)?;
        let place = claims.clone();
        for name in self.share(blocking(move || files::claimed(&place)).await)? {
            self.take_claimed(&claims, name).await?;
        }
        Ok(Some(claims))
    }

    fn share<T>(&self, done: Result<T, String>) -> Result<T, End> {
        done.map_err(|words| End::Share(format!("{} {words}", self.desk.config.path.display())))
    }

    /// Looks at the ends of files that seem complete.
    async fn peek(&mut self, now: Duration) -> Result<(), End> {
        for name in self.watch.to_peek(now) {
            let path = self.desk.config.path.join(&name);
            match blocking(move || files::peek(&path)).await {
                Ok(peeked) => self.watch.peeked(&name, peeked),
                // It is tried again as it is; one that goes is not there at the next look.
                Err(_) => self.watch.peeked(&name, Peeked::Unsure),
            }
        }
        Ok(())
    }

    fn alarm(&self, cut: bool) {
        let refused = self.refused.len();
        let words = if cut {
            Some(format!(
                "the folder holds more than {} files; only so many are looked at",
                files::MOST
            ))
        } else if refused > 0 {
            Some(format!("{refused} files cannot be opened; give them to the daemon's user"))
        } else {
            let left = self.unmoved;
            (left > 0).then(|| format!("{left} documents could not be moved away and lie in the folder .voxea; last_error says why"))
        };
        self.desk.reporter.alarm(words.as_deref());
        self.desk
            .core
            .counters
            .set_level(&self.desk.account, "documents_refused", refused as u64);
    }

    /// Makes a complete file ours and takes it in.
    async fn move_in(&mut self, claims: &std::path::Path, name: &OsStr, stamp: Stamp) -> Result<(), End> {
        // What cannot be opened is not claimed: it would lie in the hidden folder where nobody sees it.
        let path = self.desk.config.path.join(name);
        if blocking(move || std::fs::File::open(path).map(drop)).await.is_err() {
            self.refused.insert(name.to_owned(), stamp);
            return Ok(());
        }
        let (folder, into, wanted) = (self.desk.config.path.clone(), claims.to_owned(), name.to_owned());
        if !self.share(blocking(move || files::claim(&folder, &into, &wanted)).await)? {
            return Ok(());
        }
        failpoint::hit("scan.after_claim");
        self.take_claimed(claims, name.to_owned()).await
    }

    /// Takes in a file that is ours, as often as it still changes, and moves it away.
    async fn take_claimed(&mut self, claims: &std::path::Path, name: OsString) -> Result<(), End> {
        for _ in 0..READINGS {
            let path = claims.join(&name);
            // One that cannot be read must not hold up the others; a share that is away is told by the next look.
            let document = match self.open(path.clone()).await {
                Ok(Some(content)) => Document::of(name.clone(), path, content),
                Ok(None) => continue,
                Err(words) => {
                    self.desk.reporter.trouble(&format!("a document cannot be read: it {words}"));
                    self.unmoved += 1;
                    return Ok(());
                }
            };
            if mutant::active("scan_move_before_commit") {
                self.put_away(claims, &document, &Searched::default(), "").await;
            }
            let (accepted, searched) = self.desk.take(&document, None).await?;
            failpoint::hit("scan.after_commit");
            // Whoever had it open may have gone on writing: then it is another document, and this one is safe.
            let (path, content) = (document.path.clone(), document.content);
            let (steady, content) =
                self.share(blocking(move || files::unchanged(&path, &content).map(|steady| (steady, content))).await)?;
            if steady {
                let document = Document { content, ..document };
                self.put_away(claims, &document, &searched, &accepted.reference).await;
                failpoint::hit("scan.after_move");
                return Ok(());
            }
            self.desk.core.counters.add(&self.desk.account, "document_changed", 1);
        }
        self.desk
            .reporter
            .trouble("a document changes whenever it is read; it is tried again at the next start");
        Ok(())
    }

    /// Takes in a file that stays where it is, unless it is known.
    async fn take_where_it_lies(&mut self, name: &OsStr, stamp: Stamp) -> Result<(), End> {
        let key = stamp_key(name, stamp);
        let keys = [key.clone()];
        let known = self.desk.store(|| self.desk.core.intake.knows(&self.desk.account, &keys)).await?;
        if known != [true] {
            let path = self.desk.config.path.join(name);
            let read = match self.open(path.clone()).await {
                Ok(read) => read,
                Err(_) => {
                    self.refused.insert(name.to_owned(), stamp);
                    return Ok(());
                }
            };
            // One that is not as it was when it was complete is looked at again.
            let Some(content) = read.filter(|content| content.stamp == stamp) else {
                return Ok(());
            };
            let document = Document::of(name.to_owned(), path, content);
            self.desk.take(&document, Some(key)).await?;
            failpoint::hit("scan.after_commit");
        }
        self.settled.insert(name.to_owned(), stamp);
        Ok(())
    }

    async fn open(&self, path: PathBuf) -> Result<Option<Content>, String> {
        let most = self.desk.config.oversize;
        blocking(move || files::read(&path, most)).await
    }

    /// Moves a document where it belongs now; one that could not be searched has words beside it.
    ///
    /// It is ours all the same where it cannot be moved: the next ones must not wait for that, and it is tried again at the next
    /// start.
    async fn put_away(&mut self, claims: &std::path::Path, document: &Document, searched: &Searched, reference: &str) {
        let After::Move { done, failed } = &self.desk.config.after else {
            return;
        };
        let (into, words) = match &searched.unsearched {
            Some(reason) if searched.failed => (failed.clone(), Some(explanation(reason, reference))),
            _ => (done.clone(), None),
        };
        let (claims, name, sha256) = (claims.to_owned(), document.name.clone(), document.sha256.clone());
        let target = into.clone();
        let moved = blocking(move || {
            if let Some(words) = words {
                files::explain(&into, &name, &words)?;
            }
            files::put_away(&claims, &name, &into, &sha256)
        });
        if let Err(words) = moved.await {
            let words = format!("{} {words}", target.display());
            tracing::warn!(account = %self.desk.account, %words, "a document that was taken in could not be moved");
            self.desk.reporter.trouble(&words);
            self.unmoved += 1;
        }
    }
}

/// By which a file that stays is known without reading it.
fn stamp_key(name: &OsStr, stamp: Stamp) -> String {
    let Stamp {
        size,
        modified,
        changed,
        inode,
    } = stamp;
    format!("stamp:{}:{size}:{modified}:{changed}:{inode}", Blobs::hash(name.as_encoded_bytes()))
}

/// For whoever finds the document among those that failed.
fn explanation(reason: &str, reference: &str) -> String {
    let known = [
        (
            "it is no PDF, PNG, JPEG or TIFF",
            "ce n’est ni un PDF, ni une image PNG, JPEG ou TIFF",
        ),
        ("it is a PDF with a password", "le PDF est protégé par un mot de passe"),
        ("it is larger than is kept", "le fichier est trop volumineux pour être conservé"),
        ("it is too large to be searched", "le fichier est trop volumineux pour être examiné"),
        (
            "its images are too large to be searched",
            "les images sont trop grandes pour être examinées",
        ),
    ];
    let words = known.iter().find(|(english, _)| *english == reason).map(|(_, french)| *french);
    let words = words.unwrap_or("le fichier est endommagé ou n’a pas pu être lu");
    format!(
        "Ce document n’a pas pu être examiné : {words}.\nIl est enregistré sous la demande {reference}, qui est à qualifier.\n({reason})\n"
    )
}
