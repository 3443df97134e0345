//! Cursors: positions in commit order that clients hand back and cannot read.
//!
//! What follows the feed names the feed's epoch too: a restored backup gives positions anew that were given before.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use voxea_core::feed::State;

use super::problem::{Kind, Problem, WAY_BACK};

/// First byte of a cursor, its form: a position of a list.
const LIST: u8 = 1;
/// The feed's epoch and a position of it.
const FEED: u8 = 2;
/// The same of a list of requests, and the position of the feed at which the list was begun.
const SNAPSHOT: u8 = 3;

/// Writes a position of a list.
pub(crate) fn write(position: i64) -> String {
    encode(&[&[LIST], &position.to_be_bytes()])
}

/// Reads a cursor of a list; nothing stands for the beginning.
///
/// # Errors
/// 400 for what no page of ours handed out.
pub(crate) fn read(text: Option<&str>) -> Result<i64, Problem> {
    let Some(text) = text else { return Ok(0) };
    match decode(text).as_deref() {
        Some([LIST, rest @ ..]) => numbers(rest).map(|[position]| position).ok_or_else(unreadable),
        _ => Err(unreadable()),
    }
}

/// Writes a position of the feed.
pub(crate) fn of_feed(epoch: &str, position: i64) -> String {
    encode(&[&[FEED], &four(epoch), &position.to_be_bytes()])
}

/// Writes the place of a snapshot of requests: where its list goes on, and where the feed was when it was begun.
pub(crate) fn of_snapshot(epoch: &str, position: i64, begun: i64) -> String {
    encode(&[&[SNAPSHOT], &four(epoch), &position.to_be_bytes(), &begun.to_be_bytes()])
}

/// A cursor that names an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Named {
    epoch: [u8; 4],
    /// Where to go on.
    position: i64,
    /// Where the feed was when a snapshot was begun.
    begun: Option<i64>,
}

impl Named {
    /// Reads a cursor of the feed, or of a list of requests.
    ///
    /// # Errors
    /// 400 for what no page of ours handed out.
    pub(crate) fn read(text: &str) -> Result<Self, Problem> {
        let bytes = decode(text).ok_or_else(unreadable)?;
        let (form, rest) = bytes.split_first().ok_or_else(unreadable)?;
        let (epoch, rest) = rest.split_first_chunk::<4>().ok_or_else(unreadable)?;
        let (position, begun) = match *form {
            FEED => numbers(rest).map(|[position]| (position, None)),
            SNAPSHOT => numbers(rest).map(|[position, begun]| (position, Some(begun))),
            _ => None,
        }
        .ok_or_else(unreadable)?;
        let epoch = *epoch;
        Ok(Self { epoch, position, begun })
    }

    /// Its position, and where a snapshot was begun, if the feed is still the one that it is of.
    ///
    /// # Errors
    /// 409 with the way back.
    pub(crate) fn within(self, state: &State) -> Result<(i64, Option<i64>), Problem> {
        if self.epoch == four(&state.epoch) {
            return Ok((self.position, self.begun));
        }
        let detail = "the cursor is of another epoch of the feed: a backup was restored since, and changes that you were told of may be \
                      undone. Fetch the snapshot, and go on from the cursor in its `changes`";
        Err(Problem::new(Kind::FEED_EPOCH, detail)
            .with("epoch", state.epoch.as_str().into())
            .with("snapshot", WAY_BACK.into()))
    }
}

/// The epoch's eight hexadecimal digits as bytes.
fn four(epoch: &str) -> [u8; 4] {
    u32::from_str_radix(epoch, 16).unwrap_or_default().to_be_bytes()
}

fn encode(parts: &[&[u8]]) -> String {
    URL_SAFE_NO_PAD.encode(parts.concat())
}

fn decode(text: &str) -> Option<Vec<u8>> {
    // The longest of ours has 28 characters.
    URL_SAFE_NO_PAD.decode(text).ok().filter(|_| text.len() <= 28)
}

/// Exactly so many positions, none of them negative.
fn numbers<const N: usize>(bytes: &[u8]) -> Option<[i64; N]> {
    let (numbers, rest) = bytes.as_chunks::<8>();
    let numbers: Vec<i64> = numbers.iter().map(|bytes| i64::from_be_bytes(*bytes)).collect();
    let numbers: [i64; N] = numbers.try_into().ok()?;
    (rest.is_empty() && numbers.iter().all(|number| *number >= 0)).then_some(numbers)
}

fn unreadable() -> Problem {
    Problem::new(
        Kind::BAD_CURSOR,
        "`after` must be a cursor as an earlier page gave it in `next`; leave it out to begin",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(epoch: &str) -> State {
        let epoch = epoch.to_owned();
        State { epoch, floor: 0, head: 0 }
    }

    #[test]
    fn what_was_written_reads_back_and_nothing_else_does() {
        for position in [0, 1, 42, i64::MAX] {
            assert_eq!(read(Some(&write(position))).unwrap(), position);
            let here = state("00c0ffee");
            let feed = Named::read(&of_feed("00c0ffee", position)).unwrap();
            assert_eq!(feed.within(&here).unwrap(), (position, None));
            let snapshot = Named::read(&of_snapshot("00c0ffee", position, 7)).unwrap();
            assert_eq!(snapshot.within(&here).unwrap(), (position, Some(7)));
            assert_eq!(feed.within(&state("00c0ffef")).unwrap_err().status(), 409);
        }
        assert_eq!(read(None).unwrap(), 0);
        for bad in ["", "0", "42", "!!", "AAAA", &write(-1), &format!("{}A", write(1)), &of_feed("a", 1)] {
            assert_eq!(read(Some(bad)).unwrap_err().status(), 400, "{bad}");
        }
        for bad in [
            "",
            "AAAA",
            &write(1),
            &of_feed("a", -1),
            &of_snapshot("a", 1, -1),
            &of_snapshot("a", 1, 1)[..18],
        ] {
            assert_eq!(Named::read(bad).unwrap_err().status(), 400, "{bad}");
        }
    }

    #[test]
    fn one_text_stands_for_one_place() {
        let mut state = 7_u64;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            state >> 33
        };
        let mut read = 0;
        for _ in 0..200_000 {
            let length = next() % 24;
            let mut bytes: Vec<u8> = (0..length).map(|_| u8::try_from(next() % 256).unwrap()).collect();
            if let Some(form) = bytes.first_mut().filter(|_| next() % 2 == 0) {
                *form = u8::try_from(next() % 4).unwrap();
            }
            let text = URL_SAFE_NO_PAD.encode(&bytes);
            let Ok(named) = Named::read(&text) else { continue };
            let epoch = format!("{:08x}", u32::from_be_bytes(named.epoch));
            let again = match named.begun {
                Some(begun) => of_snapshot(&epoch, named.position, begun),
                None => of_feed(&epoch, named.position),
            };
            assert_eq!(again, text);
            read += 1;
        }
        assert!(read > 100, "{read} of them were cursors");
    }
}
