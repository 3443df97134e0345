//! Cursors: positions in commit order that clients hand back and cannot read.
//!
//! What follows the feed names the feed's epoch too: a restored backup gives positions anew that were given before.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Characters of the longest cursor.
pub const LONGEST: usize = 28;

/// First byte of a cursor, its form: a position of a list.
const LIST: u8 = 1;
/// The feed's epoch and a position of it.
const FEED: u8 = 2;
/// The same of a list of requests, and the position of the feed at which the list was begun.
const SNAPSHOT: u8 = 3;

/// A place from which a reader goes on. It is written as base64url without padding (RFC 4648 §5) of a byte for its form, the
/// epoch's four where it names one, and eight for each position, the highest first. One text stands for one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// Of a list; the position is not negative.
    List(i64),
    /// Of the feed.
    Feed {
        /// [`epoch`] of the feed's.
        epoch: [u8; 4],
        /// Where to go on, not negative.
        position: i64,
    },
    /// Of a snapshot of requests.
    Snapshot {
        /// [`epoch`] of the feed's.
        epoch: [u8; 4],
        /// Where its list goes on, not negative.
        position: i64,
        /// Where the feed was when it was begun, not negative.
        begun: i64,
    },
}

/// No page of ours handed it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable;

/// An epoch's eight hexadecimal digits as bytes; zeros for what is none.
#[must_use]
pub fn epoch(text: &str) -> [u8; 4] {
    u32::from_str_radix(text, 16).unwrap_or_default().to_be_bytes()
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = match self {
            Self::List(position) => [&[LIST][..], &position.to_be_bytes()].concat(),
            Self::Feed { epoch, position } => [&[FEED][..], epoch, &position.to_be_bytes()].concat(),
            Self::Snapshot { epoch, position, begun } => [&[SNAPSHOT][..], epoch, &position.to_be_bytes(), &begun.to_be_bytes()].concat(),
        };
        f.write_str(&URL_SAFE_NO_PAD.encode(bytes))
    }
}

impl FromStr for Cursor {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        if text.len() > LONGEST {
            return Err(Unreadable);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| Unreadable)?;
        let (form, rest) = bytes.split_first().ok_or(Unreadable)?;
        if *form == LIST {
            return numbers(rest).map(|[position]| Self::List(position));
        }
        let (epoch, rest) = rest.split_first_chunk::<4>().ok_or(Unreadable)?;
        let epoch = *epoch;
        match *form {
            FEED => numbers(rest).map(|[position]| Self::Feed { epoch, position }),
            SNAPSHOT => numbers(rest).map(|[position, begun]| Self::Snapshot { epoch, position, begun }),
            _ => Err(Unreadable),
        }
    }
}

/// Exactly so many positions, none of them negative.
fn numbers<const N: usize>(bytes: &[u8]) -> Result<[i64; N], Unreadable> {
    let (numbers, rest) = bytes.as_chunks::<8>();
    let numbers: Vec<i64> = numbers.iter().map(|bytes| i64::from_be_bytes(*bytes)).collect();
    let numbers: [i64; N] = numbers.try_into().map_err(|_| Unreadable)?;
    if rest.is_empty() && numbers.iter().all(|number| *number >= 0) {
        Ok(numbers)
    } else {
        Err(Unreadable)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(position: i64, begun: i64) -> [Cursor; 3] {
        let epoch = epoch("00c0ffee");
        [
            Cursor::List(position),
            Cursor::Feed { epoch, position },
            Cursor::Snapshot { epoch, position, begun },
        ]
    }

    #[test]
    fn what_was_written_reads_back() {
        for (position, begun) in [(0, 7), (1, 0), (42, 42), (i64::MAX, i64::MAX)] {
            for cursor in all(position, begun) {
                let text = cursor.to_string();
                assert_eq!(text.parse(), Ok(cursor));
                assert!(text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
            }
        }
    }

    #[test]
    fn nothing_else_is_read() {
        let [list, feed, snapshot] = all(1, 1).map(|cursor| cursor.to_string());
        let cut = [&feed[..16], &snapshot[..18], &format!("{list}A"), &format!("{list}==")].map(str::to_owned);
        let negative = all(-1, 1).map(|cursor| cursor.to_string());
        let begun = all(1, -1)[2].to_string();
        let bad = ["", "0", "42", "!!", "AAAA", "BA", &begun, &"A".repeat(1 << 20)];
        for text in bad.into_iter().chain(cut.iter().chain(&negative).map(String::as_str)) {
            assert_eq!(text.parse::<Cursor>(), Err(Unreadable), "{}", &text[..text.len().min(40)]);
        }
        // The last character has bits that say nothing: only zeros are read.
        let spelt = feed.strip_suffix('Q').map(|feed| format!("{feed}R"));
        assert_eq!(spelt.unwrap().parse::<Cursor>(), Err(Unreadable));
    }
}
