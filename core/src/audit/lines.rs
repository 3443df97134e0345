//! The trail as JSON Lines: what `voxea audit export` writes, and verifying it without a database.
//!
//! Each line is an object of one member: `row`, `checkpoint` behind the row that it signs (or before the first row, where
//! what was purged or not asked for ends), and `end` at the end.

use std::io::BufRead;

use serde::{Deserialize, Serialize};

use super::chain::Record;
use super::checkpoint::Checkpoint;
use super::trail::Trust;
use super::verify::{Broken, Sound, Walk};

/// One line.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// A row of the trail.
    Row(Record),
    /// A signature over the row before it.
    Checkpoint(Checkpoint),
    /// The last row of the file, so that a file that was cut is known.
    End {
        /// Its number.
        seq: i64,
    },
}

/// Verifies a file that was exported.
///
/// # Errors
/// When it cannot be read: the number of the line and why. What is wrong with the trail is an answer, not an error.
pub fn verify(file: impl BufRead, trust: &Trust) -> Result<Result<Sound, Broken>, String> {
    let mut walk = Walk::new(&trust.keys, trust.seen.as_ref()).must_be_signed(trust.named);
    let (mut begun, mut ended) = (false, None);
    for (number, line) in (1..).zip(file.lines()) {
        let line = line.map_err(|error| format!("line {number}: {error}"))?;
        let line: Line = serde_json::from_str(&line).map_err(|error| format!("line {number}: no line of an export: {error}"))?;
        if let Some(end) = ended {
            return Ok(Err(Broken::Inserted(end + 1)));
        }
        let told = match line {
            Line::Row(row) => walk.row(row),
            Line::Checkpoint(checkpoint) if begun => walk.signed_behind(&checkpoint),
            Line::Checkpoint(checkpoint) => walk.begin(&checkpoint),
            Line::End { seq } => {
                ended = Some(seq);
                Ok(())
            }
        };
        if let Err(broken) = told {
            return Ok(Err(broken));
        }
        begun = true;
    }
    let (last, sound) = (walk.last(), walk.end());
    Ok(sound.and_then(|sound| match ended {
        Some(end) if end > last => Err(Broken::Deleted(last + 1, end)),
        Some(_) => Ok(sound),
        None => Err(Broken::Cut(last)),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::chain::{START, unhex};
    use crate::audit::entry::Entry;
    use crate::audit::key::SigningKey;
    use crate::base::actor::Actor;
    use crate::base::hex;

    const NOW: i64 = 1_795_507_200_000;

    fn key() -> SigningKey {
        SigningKey::from_pem(SigningKey::generate().unwrap().reveal()).unwrap()
    }

    /// Rows 1 to 6, signed at 3 and 6, and the end.
    fn lines(key: &SigningKey) -> Vec<Line> {
        let (mut hash, mut lines) = (START, Vec::new());
        for seq in 1..=6 {
            let entry = Entry::new(&Actor::System, "read", format!("request/{seq}")).at(NOW + seq);
            let (record, next) = Record::chained(&entry, seq, &hash);
            lines.push(Line::Row(record));
            hash = next;
            if seq % 3 == 0 {
                lines.push(Line::Checkpoint(Checkpoint::sign(key, seq, &hash, NOW)));
            }
        }
        lines.push(Line::End { seq: 6 });
        lines
    }

    fn judged(lines: &[Line], key: &SigningKey) -> Result<Sound, Broken> {
        let text: Vec<String> = lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
        let trust = Trust {
            keys: vec![key.public()],
            ..Trust::default()
        };
        verify(text.join("\n").as_bytes(), &trust).unwrap()
    }

    fn row(line: &mut Line) -> &mut Record {
        let Line::Row(row) = line else { panic!("{line:?}") };
        row
    }

    #[test]
    fn what_was_exported_is_sound_from_its_beginning_or_from_a_checkpoint() {
        let key = key();
        let all = lines(&key);
        let sound = judged(&all, &key).unwrap();
        assert_eq!((sound.rows, sound.checkpoints, sound.signed), (6, 2, Some((6, NOW))));
        let sound = judged(&all[3..], &key).unwrap();
        assert_eq!((sound.rows, sound.first, sound.anchor), (3, 4, Some((3, NOW))));
    }

    #[test]
    fn each_thing_that_can_be_done_to_it_is_named() {
        let (key, stranger) = (key(), key());
        let with = |change: &dyn Fn(&mut Vec<Line>)| {
            let mut lines = lines(&key);
            change(&mut lines);
            judged(&lines, &key).unwrap_err()
        };
        assert_eq!(with(&|lines| row(&mut lines[1]).actor.push('x')), Broken::Edited(2));
        assert_eq!(with(&|lines| row(&mut lines[1]).hash = "00".repeat(32)), Broken::Edited(2));
        // Its hash made anew: then the next one does not follow.
        let remade = |lines: &mut Vec<Line>, seq: usize, before: usize| {
            let before = unhex(&row(&mut lines[before]).hash).unwrap();
            let hash = row(&mut lines[seq]).hashed_at(2, &before);
            row(&mut lines[seq]).hash = hex::encode(&hash);
        };
        assert_eq!(
            with(&|lines| {
                row(&mut lines[1]).actor.push('x');
                remade(lines, 1, 0);
            }),
            Broken::Edited(3)
        );
        assert_eq!(with(&|lines| drop(lines.remove(1))), Broken::Deleted(2, 2));
        assert_eq!(with(&|lines| lines.truncate(5)), Broken::Cut(4));
        assert_eq!(with(&|lines| drop(lines.drain(5..7))), Broken::Deleted(5, 6));
        assert_eq!(with(&|lines| drop(lines.drain(..2))), Broken::Deleted(1, 2));
        // Swapped with their hashes, or but for them.
        let swap = |lines: &mut Vec<Line>, hashes: bool| {
            let (first, second) = (row(&mut lines[0]).clone(), row(&mut lines[1]).clone());
            *row(&mut lines[0]) = Record { seq: 1, ..second.clone() };
            *row(&mut lines[1]) = Record { seq: 2, ..first.clone() };
            if !hashes {
                row(&mut lines[0]).hash = first.hash;
                row(&mut lines[1]).hash = second.hash;
            }
        };
        assert_eq!(with(&|lines| swap(lines, true)), Broken::Swapped(1));
        assert_eq!(with(&|lines| swap(lines, false)), Broken::Swapped(1));
        // Put in between, those behind it renumbered.
        let insert = |lines: &mut Vec<Line>| {
            let mut new = lines[0].clone();
            row(&mut new).actor.push('x');
            lines.insert(1, new);
            for (line, seq) in lines[1..4].iter_mut().filter(|line| matches!(line, Line::Row(_))).zip(2..) {
                row(line).seq = seq;
            }
        };
        assert_eq!(with(&|lines| insert(lines)), Broken::Inserted(2));
        assert_eq!(
            with(&|lines| {
                insert(lines);
                remade(lines, 1, 0);
            }),
            Broken::Inserted(2)
        );
        let resign = |lines: &mut Vec<Line>, by: &SigningKey, named: &SigningKey| {
            let Line::Checkpoint(checkpoint) = &mut lines[3] else { panic!() };
            *checkpoint = Checkpoint::sign(by, 3, &unhex(&checkpoint.hash).unwrap(), NOW);
            checkpoint.key_id = named.public().id();
        };
        assert_eq!(with(&|lines| resign(lines, &stranger, &key)), Broken::Forged(3));
        assert_eq!(
            with(&|lines| resign(lines, &key, &stranger)),
            Broken::Stranger(1, 3, stranger.public().id())
        );
        // All hashes made anew by somebody without the key.
        assert_eq!(
            with(&|lines| {
                let mut hash = START;
                for seq in 1..=3 {
                    let row = row(&mut lines[seq - 1]);
                    row.actor.push('x');
                    hash = row.hashed_at(row.seq, &hash);
                    row.hash = hex::encode(&hash);
                }
            }),
            Broken::Rewritten(1, 3)
        );
    }

    #[test]
    fn a_chain_without_signatures_may_be_anybodys() {
        let key = key();
        let all = lines(&key);
        let judged = |lines: &[Line], seen: Option<&str>, named: bool| {
            let text: Vec<String> = lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
            let trust = Trust {
                keys: vec![key.public()],
                seen: seen.map(|seen| seen.parse().unwrap()),
                named,
            };
            verify(text.join("\n").as_bytes(), &trust).unwrap()
        };
        let stripped: Vec<Line> = all.iter().filter(|line| !matches!(line, Line::Checkpoint(_))).cloned().collect();
        let Line::Row(third) = &all[2] else { panic!() };
        let seen = format!("3:{}", third.hash);
        assert!(judged(&stripped, None, false).is_ok(), "nothing need be signed yet");
        assert_eq!(judged(&stripped, None, true), Err(Broken::Unsigned));
        assert_eq!(judged(&stripped, Some(&seen), false), Err(Broken::Stripped(3, 6)));
        assert!(judged(&all, Some(&seen), true).is_ok());
        assert!(Broken::Stripped(3, 1).to_string().contains("; 1 row without"));
    }

    #[test]
    fn a_checkpoint_that_was_kept_apart_is_looked_for() {
        let key = key();
        let all = lines(&key);
        let judged = |lines: &[Line], seen: &str| {
            let text: Vec<String> = lines.iter().map(|line| serde_json::to_string(line).unwrap()).collect();
            let trust = Trust {
                keys: vec![key.public()],
                seen: Some(seen.parse().unwrap()),
                named: false,
            };
            verify(text.join("\n").as_bytes(), &trust).unwrap()
        };
        let Line::Row(last) = &all[6] else { panic!() };
        let seen = format!("6:{}", last.hash);
        assert!(judged(&all, &seen).is_ok());
        // Turned back to the checkpoint before, with an end that fits.
        let back = [&all[..4], &[Line::End { seq: 3 }]].concat();
        assert_eq!(judged(&back, &seen), Err(Broken::Deleted(4, 6)));
        assert_eq!(judged(&all, &format!("5:{}", last.hash)), Err(Broken::Rewritten(4, 5)));
        assert!("5".parse::<super::super::verify::Seen>().is_err());
    }
}
