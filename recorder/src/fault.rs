//! What can be wrong with evidence.

use std::fmt;

/// The first thing that is wrong with a recording.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Of the manifest.
    Member {
        /// Which member; `text` when the whole cannot be read, `file` when there is none.
        member: String,
        /// What is wrong.
        what: String,
    },
    /// The recording's file cannot be read.
    File {
        /// Why.
        what: String,
    },
    /// The header of the file.
    Header {
        /// What is wrong.
        what: String,
    },
    /// A chunk of the file.
    Chunk {
        /// Which, from 0 on.
        number: u64,
        /// What is wrong.
        what: &'static str,
    },
}

impl Fault {
    pub(crate) fn member(member: &str, what: impl Into<String>) -> Self {
        Self::Member {
            member: member.to_owned(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member { member, what } => write!(f, "manifest, {member}: {what}"),
            Self::File { what } => write!(f, "file: {what}"),
            Self::Header { what } => write!(f, "file, header: {what}"),
            Self::Chunk { number, what } => write!(f, "file, chunk {number}: {what}"),
        }
    }
}

impl std::error::Error for Fault {}
