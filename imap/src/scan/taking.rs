//! One document of a folder, from its bytes to the commit.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use voxea_core::Core;
use voxea_core::artefact::Blobs;
use voxea_core::base::account::Account;
use voxea_core::base::error::CoreError;
use voxea_core::base::stop::Stop;
use voxea_core::base::{failpoint, time};
use voxea_core::channel::Reporter;
use voxea_core::contact::{Accepted, Contact, Dedup, Flag, IntakeError, NewAttachment, Outcome, Raw};

use super::config::Folder;
use super::document::Kind;
use super::files::Content;
use super::paper::{self, Searched};
use crate::name;

/// Pauses while the store is away.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// The type of what is no document.
const UNKNOWN: &str = "application/octet-stream";

/// Why following ended early.
pub(super) enum End {
    Share(String),
    Fenced,
    Stopped,
}

/// A document in hand.
pub(super) struct Document {
    pub(super) name: OsString,
    pub(super) path: PathBuf,
    pub(super) content: Content,
    pub(super) sha256: String,
}

impl Document {
    /// One that was read.
    pub(super) fn of(name: OsString, path: PathBuf, content: Content) -> Self {
        let sha256 = match &content.bytes {
            Some(bytes) => Blobs::hash(bytes),
            // Its size and time stand for what is not read.
            None => format!("size:{}:{}", content.stamp.size, content.stamp.modified),
        };
        Self {
            name,
            path,
            content,
            sha256,
        }
    }
}

/// Where documents come from.
pub(super) struct Desk {
    pub(super) config: Arc<Folder>,
    pub(super) core: Core,
    pub(super) account: Account,
    pub(super) epoch: i64,
    pub(super) reporter: Reporter,
    pub(super) stop: Stop,
}

impl Desk {
    /// Commits a document.
    pub(super) async fn take(&self, document: &Document, stamp: Option<String>) -> Result<(Accepted, Searched), End> {
        let bytes = document.content.bytes.clone();
        let searched = match &bytes {
            Some(bytes) => paper::search(std::slice::from_ref(bytes), &self.account, &self.core.counters).await,
            None => Searched {
                unsearched: Some("it is larger than is kept".to_owned()),
                failed: true,
                ..Searched::default()
            },
        };
        let mut contact = self.contact(document, stamp);
        paper::place(&mut contact, &searched);
        if let Some(bytes) = bytes {
            let kind = Kind::of(&bytes);
            let media_type = kind.map_or(UNKNOWN, Kind::media_type);
            let blob = self.store(|| self.core.blobs.put(bytes.clone())).await?;
            if kind.is_none() {
                contact.flags.push(Flag::Undecodable);
            }
            contact.raw = Some(Raw::Stored {
                media_type,
                blob: blob.clone(),
            });
            contact.attachments.push(NewAttachment {
                name: name::file(&document.name.to_string_lossy(), ""),
                media_type: media_type.to_owned(),
                blob,
                inline: false,
                content_id: None,
            });
        } else {
            contact.flags.push(Flag::Oversize);
        }
        failpoint::hit("scan.before_commit");
        let accepted = self.accept(contact).await?;
        self.reporter.activity();
        Ok((accepted, searched))
    }

    fn contact(&self, document: &Document, stamp: Option<String>) -> Contact {
        let now = time::now();
        let shown = name::line(&document.name.to_string_lossy(), name::FILE_NAME_BYTES);
        let rule = self.config.paper.sender.as_ref();
        let from = rule.and_then(|rule| rule.pattern.find(&shown)).unwrap_or_default();
        // Equal bytes under equal names are one document, however often they are found.
        let mut keys = vec![format!(
            "file:{}:{}",
            Blobs::hash(document.name.as_encoded_bytes()),
            document.sha256
        )];
        keys.extend(stamp);
        let mut contact = Contact::new(
            self.account.clone(),
            self.epoch,
            self.config.paper.channel,
            Dedup::Keys(keys),
            from,
            self.config.name.clone(),
            now,
        );
        contact.subject = Some(shown).filter(|shown| !shown.is_empty());
        let written = i64::try_from(document.content.stamp.modified / 1_000_000).unwrap_or(now);
        contact.occurred_at = if written > 0 { written.min(now) } else { now };
        contact.default_theme.clone_from(&self.config.theme);
        contact
    }

    async fn accept(&self, mut contact: Contact) -> Result<Accepted, End> {
        let mut pause = PAUSE;
        loop {
            match self.core.intake.accept(contact.clone()).await {
                Ok(accepted) => {
                    let event = if accepted.outcome == Outcome::Known {
                        "document_known"
                    } else {
                        "document_fresh"
                    };
                    self.core.counters.add(&self.account, event, 1);
                    return Ok(accepted);
                }
                Err(IntakeError::Fenced) => return Err(End::Fenced),
                Err(IntakeError::Unavailable(words)) => self.away(&words, &mut pause).await?,
                // What was read out of it goes; the document stays.
                Err(IntakeError::Invalid(words)) => {
                    if contact.flags.contains(&Flag::Quarantined) {
                        return Err(End::Share(words));
                    }
                    tracing::error!(account = %self.account, %words, "the core refuses a document as it is; it is kept raw");
                    contact.flags = vec![Flag::Quarantined];
                    contact.subject = None;
                    contact.from = String::new();
                }
            }
        }
    }

    /// Asks the store until it answers.
    pub(super) async fn store<T, F: Future<Output = Result<T, CoreError>>>(&self, ask: impl Fn() -> F) -> Result<T, End> {
        let mut pause = PAUSE;
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(error @ (CoreError::Unavailable(_) | CoreError::Away(_) | CoreError::File { .. })) => {
                    self.away(&error.to_string(), &mut pause).await?;
                }
                Err(CoreError::Fenced { .. }) => return Err(End::Fenced),
                Err(error) => return Err(End::Share(error.to_string())),
            }
        }
    }

    async fn away(&self, words: &str, pause: &mut Duration) -> Result<(), End> {
        self.core.counters.add(&self.account, "store_unavailable", 1);
        self.reporter.trouble(words);
        tokio::select! {
            () = sleep(*pause) => {}
            () = self.stop.soft.cancelled() => return Err(End::Stopped),
        }
        *pause = (*pause * 2).min(LONGEST_PAUSE);
        Ok(())
    }
}
