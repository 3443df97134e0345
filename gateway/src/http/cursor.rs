//! Cursors as the API takes and gives them.

use voxea_core::feed::State;
use voxea_rules::cursor::{Cursor, epoch};

use super::problem::{Kind, Problem, WAY_BACK};

/// Writes a position of a list.
pub(crate) fn write(position: i64) -> String {
    Cursor::List(position).to_string()
}

/// Reads a cursor of a list; nothing stands for the beginning.
///
/// # Errors
/// 400 for what no page of ours handed out.
pub(crate) fn read(text: Option<&str>) -> Result<i64, Problem> {
    let Some(text) = text else { return Ok(0) };
    match text.parse() {
        Ok(Cursor::List(position)) => Ok(position),
        _ => Err(unreadable()),
    }
}

/// Writes a position of the feed.
pub(crate) fn of_feed(feed: &str, position: i64) -> String {
    let epoch = epoch(feed);
    Cursor::Feed { epoch, position }.to_string()
}

/// Writes the place of a snapshot of requests: where its list goes on, and where the feed was when it was begun.
pub(crate) fn of_snapshot(feed: &str, position: i64, begun: i64) -> String {
    let epoch = epoch(feed);
    Cursor::Snapshot { epoch, position, begun }.to_string()
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
        let (epoch, position, begun) = match text.parse() {
            Ok(Cursor::Feed { epoch, position }) => (epoch, position, None),
            Ok(Cursor::Snapshot { epoch, position, begun }) => (epoch, position, Some(begun)),
            _ => return Err(unreadable()),
        };
        Ok(Self { epoch, position, begun })
    }

    /// Its position, and where a snapshot was begun, if the feed is still the one that it is of.
    ///
    /// # Errors
    /// 409 with the way back.
    pub(crate) fn within(self, state: &State) -> Result<(i64, Option<i64>), Problem> {
        if self.epoch == epoch(&state.epoch) {
            return Ok((self.position, self.begun));
        }
        let detail = "the cursor is of another epoch of the feed: a backup was restored since, and changes that you were told of may be \
                      undone. Fetch the snapshot, and go on from the cursor in its `changes`";
        Err(Problem::new(Kind::FEED_EPOCH, detail)
            .with("epoch", state.epoch.as_str().into())
            .with("snapshot", WAY_BACK.into()))
    }
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
        for bad in ["", "42", "AAAA", &of_feed("a", 1), &of_snapshot("a", 1, 1)] {
            assert_eq!(read(Some(bad)).unwrap_err().status(), 400, "{bad}");
        }
        for bad in ["", "42", "AAAA", &write(1)] {
            assert_eq!(Named::read(bad).unwrap_err().status(), 400, "{bad}");
        }
    }
}
