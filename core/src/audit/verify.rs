//! Walking along the chain: rows go in, in order, and the first thing that is wrong comes out.

use std::cmp::Ordering;
use std::fmt;

use super::chain::{Hash, Record, START, unhex};
use super::checkpoint::Checkpoint;
use super::key::PublicKey;
use crate::base::time::{Millis, rfc3339};

/// The first thing that is wrong with a trail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Broken {
    /// The content of a row is not what was written.
    Edited(i64),
    /// These rows are gone, first and last.
    Deleted(i64, i64),
    /// A row was put in.
    Inserted(i64),
    /// A row and the next one have changed places.
    Swapped(i64),
    /// A checkpoint has a signature that its key did not make.
    Forged(i64),
    /// From a row on, first and the row of its first checkpoint, a key signs that was not given.
    Stranger(i64, i64, String),
    /// These rows, first and last, are not those that were signed.
    Rewritten(i64, i64),
    /// What names the last row names another one.
    Head(i64),
    /// Rows up to here are gone before their time; when they were signed.
    Early(i64, Millis),
    /// A file that was exported ends before its end.
    Cut(i64),
    /// Every row follows from the one before, but the checkpoint at a row that was seen is gone, and so many rows behind the
    /// last one that is left may be anybody's.
    Stripped(i64, i64),
    /// Every row follows from the one before, but nothing is signed by the keys that were named.
    Unsigned,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edited(seq) => write!(
                f,
                "row {seq} was edited: its hash does not follow from its content and the row before"
            ),
            Self::Deleted(from, to) if from == to => write!(f, "row {from} was deleted"),
            Self::Deleted(from, to) => write!(f, "rows {from} to {to} were deleted"),
            Self::Inserted(seq) => write!(f, "row {seq} was inserted"),
            Self::Swapped(seq) => write!(f, "rows {seq} and {} were swapped", seq + 1),
            Self::Forged(seq) => write!(f, "the checkpoint at row {seq} is forged: its key did not make its signature"),
            Self::Stranger(from, seq, key) => write!(
                f,
                "from row {from} on another key signs: the checkpoint at row {seq} is one of the key {key}, which was not given; it is \
                 forged, or the town's key was changed or lost (a row `key_changed` tells of it), and --public-key must name each"
            ),
            Self::Rewritten(from, to) => {
                write!(
                    f,
                    "rows {from} to {to} were rewritten: they are not those that were signed at row {to}"
                )
            }
            Self::Head(seq) => write!(f, "row {seq} is not the last one that was written: the head names another"),
            Self::Early(seq, at) => write!(
                f,
                "rows up to {seq} were deleted before their time: they were signed {}, less than six months ago",
                rfc3339(*at)
            ),
            Self::Cut(seq) => write!(f, "the file was cut after row {seq}: its end is missing"),
            Self::Stripped(seq, 1) => write!(
                f,
                "the checkpoint at row {seq} was seen and is gone; 1 row without one may be anybody's"
            ),
            Self::Stripped(seq, rows) => write!(
                f,
                "the checkpoint at row {seq} was seen and is gone; {rows} rows without one may be anybody's"
            ),
            Self::Unsigned => {
                f.write_str("nothing is signed by the key that was given: its checkpoints were taken away, or it is another trail's")
            }
        }
    }
}

/// A trail in which nothing is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sound {
    /// Rows that were verified.
    pub rows: i64,
    /// The first of them.
    pub first: i64,
    /// The last of them.
    pub last: i64,
    /// The checkpoint from which verification began, and when it was signed; nothing when it began with the first row.
    pub anchor: Option<(i64, Millis)>,
    /// Checkpoints that were verified, the one above included.
    pub checkpoints: i64,
    /// The last of them, and when it was signed.
    pub signed: Option<(i64, Millis)>,
    /// From which row on which key signs, as often as it changes.
    pub keys: Vec<(i64, String)>,
}

/// A checkpoint that somebody kept apart from the database: its row and its hash in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// The row.
    pub seq: i64,
    /// Its hash.
    pub hash: String,
}

impl std::str::FromStr for Seen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.trim().split_once([' ', ':']);
        let seen = parts.and_then(|(seq, hash)| {
            unhex(hash)?;
            Some(Self {
                seq: seq.parse().ok()?,
                hash: hash.to_owned(),
            })
        });
        seen.ok_or_else(|| "is no checkpoint: the number of its row, a colon, its hash".to_owned())
    }
}

/// The row that was read last, and the hash before it.
#[derive(Debug)]
struct Step {
    before: Hash,
    row: Record,
}

/// The walk.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    keys: &'a [PublicKey],
    seen: Option<&'a Seen>,
    must_be_signed: bool,
    hash: Hash,
    last: i64,
    behind: Option<Step>,
    suspect: Option<Record>,
    sound: Sound,
}

impl<'a> Walk<'a> {
    /// From the first row on, with the keys that may have signed, and a checkpoint that was seen.
    pub(super) const fn new(keys: &'a [PublicKey], seen: Option<&'a Seen>) -> Self {
        let sound = Sound {
            rows: 0,
            first: 1,
            last: 0,
            anchor: None,
            checkpoints: 0,
            signed: None,
            keys: Vec::new(),
        };
        Self {
            keys,
            seen,
            must_be_signed: false,
            hash: START,
            last: 0,
            behind: None,
            suspect: None,
            sound,
        }
    }

    /// A trail of which nothing is signed is not sound: anybody can make a chain, and only its signatures tell whose it is.
    pub(super) const fn must_be_signed(mut self, must: bool) -> Self {
        self.must_be_signed = must;
        self
    }

    /// Up to which row all is well; not yet sure of the last one.
    pub(super) const fn last(&self) -> i64 {
        self.last
    }

    /// The hash of that row.
    pub(super) const fn hash(&self) -> &Hash {
        &self.hash
    }

    /// Begins behind a checkpoint instead, because the rows up to it were purged or are not asked for.
    pub(super) fn begin(&mut self, checkpoint: &Checkpoint) -> Result<(), Broken> {
        let hash = unhex(&checkpoint.hash).ok_or(Broken::Forged(checkpoint.seq))?;
        self.resume(checkpoint.seq, hash);
        self.sound.anchor = Some((checkpoint.seq, checkpoint.at));
        self.checkpoint(checkpoint)
    }

    /// Begins behind a row that is known to be well.
    pub(super) const fn resume(&mut self, seq: i64, hash: Hash) {
        self.last = seq;
        self.hash = hash;
        self.sound.first = seq + 1;
        self.sound.last = seq;
    }

    /// The next row.
    pub(super) fn row(&mut self, row: Record) -> Result<(), Broken> {
        if let Some(suspect) = self.suspect.take() {
            return Err(self.diagnose(&suspect, Some(&row)));
        }
        let expected = self.last + 1;
        if row.seq > expected {
            return Err(Broken::Deleted(expected, row.seq - 1));
        }
        if row.seq < expected {
            return Err(Broken::Inserted(row.seq));
        }
        let hash = row.hashed_at(row.seq, &self.hash);
        if unhex(&row.hash) != Some(hash) {
            // What has become of it shows at the next one.
            self.suspect = Some(row);
            return Ok(());
        }
        self.behind = Some(Step { before: self.hash, row });
        self.hash = hash;
        self.last = expected;
        self.sound.last = expected;
        self.sound.rows += 1;
        match self.seen {
            Some(seen) if seen.seq == expected && unhex(&seen.hash) != Some(hash) => Err(self.rewritten(expected)),
            _ => Ok(()),
        }
    }

    /// The checkpoint of the row that came last.
    pub(super) fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<(), Broken> {
        let seq = checkpoint.seq;
        let Some(key) = self.keys.iter().find(|key| key.id() == checkpoint.key_id) else {
            return Err(Broken::Stranger(self.unsigned().min(seq), seq, checkpoint.key_id.clone()));
        };
        if !checkpoint.is_of(key) {
            return Err(Broken::Forged(seq));
        }
        if unhex(&checkpoint.hash) != Some(self.hash) {
            return Err(self.rewritten(seq));
        }
        if self.sound.keys.last().is_none_or(|(_, last)| *last != checkpoint.key_id) {
            self.sound.keys.push((self.unsigned().min(seq), checkpoint.key_id.clone()));
        }
        self.sound.checkpoints += 1;
        self.sound.signed = Some((seq, checkpoint.at));
        Ok(())
    }

    /// The same where it stands behind its row in a file. A row that does not follow is judged by the next row, not by a
    /// signature.
    pub(super) fn signed_behind(&mut self, checkpoint: &Checkpoint) -> Result<(), Broken> {
        if self.suspect.is_some() {
            return Ok(());
        }
        match checkpoint.seq.cmp(&self.last) {
            Ordering::Less => Err(Broken::Forged(checkpoint.seq)),
            Ordering::Equal => self.checkpoint(checkpoint),
            Ordering::Greater => Err(Broken::Deleted(self.last + 1, checkpoint.seq)),
        }
    }

    /// Nothing follows.
    pub(super) fn end(mut self) -> Result<Sound, Broken> {
        if let Some(suspect) = self.suspect.take() {
            return Err(self.diagnose(&suspect, None));
        }
        let signed = self.sound.signed.map_or(0, |(seq, _)| seq);
        match self.seen {
            Some(seen) if seen.seq > self.last => Err(Broken::Deleted(self.last + 1, seen.seq)),
            Some(seen) if seen.seq > signed => Err(Broken::Stripped(seen.seq, self.last - signed)),
            _ if self.must_be_signed && self.sound.rows > 0 && signed == 0 => Err(Broken::Unsigned),
            _ => Ok(self.sound),
        }
    }

    /// The first row behind the last checkpoint.
    fn unsigned(&self) -> i64 {
        self.sound.signed.map_or(self.sound.first, |(signed, _)| signed + 1)
    }

    fn rewritten(&self, seq: i64) -> Broken {
        Broken::Rewritten(self.unsigned(), seq)
    }

    /// What has happened where a row does not follow from the one before. `next` stands behind it.
    fn diagnose(&self, suspect: &Record, next: Option<&Record>) -> Broken {
        let (seq, stored) = (suspect.seq, |row: &Record| unhex(&row.hash));
        if let Some(next) = next {
            // The next one belongs here. Its own hash may have moved with it or stayed.
            let here = next.hashed_at(seq, &self.hash);
            let there = suspect.hashed_at(seq + 1, &here);
            let moved = stored(next) == Some(here) && stored(suspect) == Some(there);
            if stored(suspect) == Some(here) || moved {
                return Broken::Swapped(seq);
            }
            if stored(next) == Some(here) {
                return Broken::Inserted(seq);
            }
        }
        // The one before fits, but this one was written in its place.
        match &self.behind {
            Some(behind) if stored(suspect) == Some(suspect.hashed_at(behind.row.seq, &behind.before)) => Broken::Inserted(behind.row.seq),
            _ => Broken::Edited(seq),
        }
    }
}
