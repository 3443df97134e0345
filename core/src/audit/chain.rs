//! The hash of a row: over the hash of the row before it, and everything that it says.

use ring::digest;
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use crate::base::hex;
use crate::base::time::Millis;

/// SHA-256.
pub(super) type Hash = [u8; 32];

/// What stands before the first row of all.
pub(super) const START: Hash = [0; 32];

/// What is hashed begins with it, so that no other program's hash can be taken for one of ours.
const DOMAIN: &[u8] = b"voxea-audit-1\0";

/// A row as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, sqlx::FromRow)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// 1, 2, 3…
    pub seq: i64,
    /// When, milliseconds UTC.
    pub at: Millis,
    /// Who, as history names them.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To what.
    pub object: String,
    /// A JSON object.
    pub detail: String,
    /// For what purpose.
    pub purpose: Option<String>,
    /// Its hash, hexadecimal.
    pub hash: String,
}

impl Record {
    /// An entry in its place.
    pub(super) fn chained(entry: &Entry, seq: i64, before: &Hash) -> (Self, Hash) {
        let mut record = Self {
            seq,
            at: entry.at,
            actor: entry.actor.clone(),
            action: entry.action.clone(),
            object: entry.object.clone(),
            detail: entry.detail.clone(),
            purpose: entry.purpose.clone(),
            hash: String::new(),
        };
        let hash = record.hashed_at(seq, before);
        record.hash = hex::encode(&hash);
        (record, hash)
    }

    /// The hash that its content has in a place, whatever it says of itself.
    pub(super) fn hashed_at(&self, seq: i64, before: &Hash) -> Hash {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, &self.encoded(seq, before)).as_ref());
        hash
    }

    /// Every text with its length before it, every number in eight bytes: two rows that differ are written differently.
    fn encoded(&self, seq: i64, before: &Hash) -> Vec<u8> {
        let mut bytes = [DOMAIN, before, &seq.to_be_bytes(), &self.at.to_be_bytes()].concat();
        for text in [&self.actor, &self.action, &self.object, &self.detail] {
            write(&mut bytes, text);
        }
        bytes.push(u8::from(self.purpose.is_some()));
        if let Some(purpose) = &self.purpose {
            write(&mut bytes, purpose);
        }
        bytes
    }
}

fn write(bytes: &mut Vec<u8>, text: &str) {
    bytes.extend_from_slice(&(text.len() as u64).to_be_bytes());
    bytes.extend_from_slice(text.as_bytes());
}

/// Reads the hexadecimal text of a hash.
pub(super) fn unhex(text: &str) -> Option<Hash> {
    hex::decode(text)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Rows whose texts, written one behind the other, are all alike.
    fn alike() -> Vec<Record> {
        let text = "abc";
        let mut rows = Vec::new();
        for a in 0..=3 {
            for b in a..=3 {
                for c in b..=3 {
                    for d in c..=3 {
                        for purpose in [None, Some(text[d..].to_owned()), Some(String::new())] {
                            rows.push(Record {
                                seq: 1,
                                at: 2,
                                actor: text[..a].to_owned(),
                                action: text[a..b].to_owned(),
                                object: text[b..c].to_owned(),
                                detail: text[c..d].to_owned(),
                                purpose,
                                hash: String::new(),
                            });
                        }
                    }
                }
            }
        }
        rows
    }

    #[test]
    fn rows_that_differ_are_written_differently() {
        let mut rows = alike();
        rows.sort_by_key(|row| format!("{row:?}"));
        rows.dedup();
        let written: BTreeSet<Vec<u8>> = rows.iter().map(|row| row.encoded(1, &START)).collect();
        assert_eq!(written.len(), rows.len());
        // Not even as the beginning of another: what follows a row in a file could otherwise be read as part of it.
        let first = &rows[0];
        assert_ne!(first.encoded(1, &START), first.encoded(2, &START));
        assert_ne!(first.encoded(1, &START), first.encoded(1, &[1; 32]));
        let later = Record { at: 3, ..first.clone() };
        assert_ne!(first.encoded(1, &START), later.encoded(1, &START));
    }

    #[test]
    fn the_encoding_stays_what_it_was_when_the_first_rows_were_signed() {
        let entry = Entry {
            at: 1_795_507_200_000,
            actor: "key:abc".to_owned(),
            action: "read".to_owned(),
            object: "request/1".to_owned(),
            detail: "{}".to_owned(),
            purpose: Some("état civil".to_owned()),
        };
        let (record, hash) = Record::chained(&entry, 1, &START);
        assert_eq!(unhex(&record.hash), Some(hash));
        assert_eq!(record.hash, "dc576b86e04c8256ddd95c9014494c389dd4580d60ff4959f70090f6757aada9");
    }

    #[test]
    fn a_hash_is_written_in_one_way_only() {
        assert_eq!(unhex(&hex::encode(&[0xab; 32])), Some([0xab; 32]));
        for bad in [String::new(), "AB".repeat(32), "zz".repeat(32), "ab".repeat(31), "é".repeat(32)] {
            assert_eq!(unhex(&bad), None, "{bad}");
        }
    }
}
