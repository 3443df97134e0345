//! Which mails are fetched together, and which are taken in together.

use std::collections::VecDeque;

/// Attempts after which a mail is quarantined: one among others and three alone. A process that is killed at random dies
/// now and then beside a mail that is innocent, and twice beside the same one when it is killed as soon as it starts.
pub const ATTEMPTS: i64 = 4;

/// What the server says of a mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// UID.
    pub uid: u32,
    /// RFC822.SIZE, bytes.
    pub size: u32,
    /// INTERNALDATE, milliseconds UTC; 0 when it is missing.
    pub internal_ms: i64,
}

/// A mail to be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Taken {
    /// UID.
    pub uid: u32,
    /// INTERNALDATE, milliseconds UTC; 0 when it is missing.
    pub internal_ms: i64,
    /// Only its headers were fetched.
    pub oversize: bool,
    /// The process died at it too often: it is kept raw and not parsed. Or nothing of it could be fetched: then there are no
    /// bytes to keep, and its place is all that is known.
    pub quarantined: bool,
    /// It was there before us: it is not acknowledged.
    pub import: bool,
}

/// A FETCH that will be asked for, if nothing else happens before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ahead {
    /// Whole mails.
    pub whole: Vec<u32>,
    /// Headers alone.
    pub headers: Vec<u32>,
    /// All of them, in the order in which they are laid a loss to.
    pub mails: Vec<Listed>,
    /// Bytes of the whole ones, as the server says.
    pub bytes: u64,
}

impl Ahead {
    /// The mail to which it is laid that the connection was lost when these had come.
    #[must_use]
    pub fn to_blame(&self, arrived: &[u32]) -> Option<Listed> {
        self.mails.iter().find(|one| !arrived.contains(&one.uid)).copied()
    }
}

/// What a listing leaves out.
pub(super) struct Passed {
    /// Those that are no longer there.
    pub(super) gone: Vec<u32>,
    /// Those that came too early to be taken in.
    pub(super) old: Vec<u32>,
}

#[derive(Debug)]
pub(super) struct Batches {
    most: usize,
    most_bytes: u64,
    oversize: u32,
    /// Sizes were asked for these.
    asked: Vec<u32>,
    /// Listed, not yet fetched, by UID.
    listed: VecDeque<Listed>,
    /// Being fetched, or fetched and not yet accepted, by UID.
    batch: Vec<Listed>,
    /// Of those, the headers alone.
    headers: Vec<u32>,
    /// To be accepted together.
    waiting: VecDeque<Vec<Taken>>,
    accepting: Vec<Taken>,
    /// The next fetches are of one mail each, this many: the server refused them together.
    alone: usize,
    /// The first mail of this connection is still to come: at it the last process may have died.
    head: bool,
    /// The batch is one mail that could not be fetched before.
    again: bool,
    /// The highest UID that was passed without being taken in.
    passed: u32,
}

impl Batches {
    pub(super) fn new(most: usize, most_bytes: u64, oversize: u32) -> Self {
        Self {
            most: most.max(1),
            most_bytes,
            oversize,
            asked: Vec::new(),
            listed: VecDeque::new(),
            batch: Vec::new(),
            headers: Vec::new(),
            waiting: VecDeque::new(),
            accepting: Vec::new(),
            alone: 0,
            head: true,
            again: false,
            passed: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self {
            head: self.head,
            ..Self::new(self.most, self.most_bytes, self.oversize)
        };
    }

    pub(super) fn waiting(&self) -> usize {
        self.listed.len() + self.batch.len()
    }

    /// The INTERNALDATEs of what waits.
    pub(super) fn waiting_since(&self) -> impl Iterator<Item = i64> + '_ {
        self.listed.iter().chain(&self.batch).map(|one| one.internal_ms)
    }

    pub(super) fn asked(&mut self, uids: Vec<u32>) {
        self.asked = uids;
    }

    pub(super) fn sized(&mut self, mut listed: Vec<Listed>, floor_ms: Option<i64>) -> Passed {
        listed.sort_unstable_by_key(|one| one.uid);
        listed.dedup_by_key(|one| one.uid);
        listed.retain(|one| self.asked.contains(&one.uid));
        let gone: Vec<u32> = self
            .asked
            .iter()
            .copied()
            .filter(|uid| listed.binary_search_by_key(uid, |one| one.uid).is_err())
            .collect();
        self.passed = self.asked.iter().copied().max().unwrap_or(0).max(self.passed);
        // A mail without a date is taken in: too many is better than lost.
        let wanted = |one: &Listed| floor_ms.is_none_or(|floor| one.internal_ms == 0 || one.internal_ms >= floor);
        let (listed, old): (Vec<Listed>, Vec<Listed>) = listed.into_iter().partition(wanted);
        self.listed.extend(listed);
        self.asked.clear();
        Passed {
            gone,
            old: old.iter().map(|one| one.uid).collect(),
        }
    }

    /// So few are listed that the mails after them should be listed before the next FETCH, so that it is known in time what
    /// follows it.
    pub(super) fn runs_low(&self) -> bool {
        self.alone == 0 && self.listed.len() <= self.most
    }

    /// How many of the listed the next FETCH asks for, and of how many bytes.
    fn next(&self) -> (usize, u64) {
        let most = if self.alone > 0 { 1 } else { self.most };
        let (mut count, mut bytes) = (0, 0);
        for next in self.listed.iter().take(most) {
            let more = if self.by_headers(next) { 0 } else { u64::from(next.size) };
            if count > 0 && bytes + more > self.most_bytes {
                break;
            }
            (count, bytes) = (count + 1, bytes + more);
        }
        (count, bytes)
    }

    fn by_headers(&self, one: &Listed) -> bool {
        self.headers.contains(&one.uid) || one.size > self.oversize
    }

    /// The next FETCH: whole mails and headers alone.
    pub(super) fn fetch(&mut self) -> Option<(Vec<u32>, Vec<u32>)> {
        let (count, _) = self.next();
        self.alone = self.alone.saturating_sub(1);
        self.batch = self.listed.drain(..count).collect();
        let headers: Vec<u32> = self.batch.iter().filter(|one| self.by_headers(one)).map(|one| one.uid).collect();
        let new = headers.iter().filter(|uid| !self.headers.contains(uid)).copied();
        self.headers.extend(new.collect::<Vec<u32>>());
        let whole = self.batch.iter().map(|one| one.uid).filter(|uid| !headers.contains(uid)).collect();
        (!self.batch.is_empty()).then_some((whole, headers))
    }

    /// The FETCH that follows, once what is being accepted is settled; `None` where it is not known, or more than a batch.
    pub(super) fn ahead(&self) -> Option<Ahead> {
        let (count, bytes) = self.next();
        if self.alone > 0 || !self.waiting.is_empty() || count == 0 || bytes > self.most_bytes {
            return None;
        }
        let mails: Vec<Listed> = self.listed.iter().take(count).copied().collect();
        let (headers, whole): (Vec<&Listed>, Vec<&Listed>) = mails.iter().partition(|one| self.by_headers(one));
        let uids = |mails: Vec<&Listed>| mails.iter().map(|one| one.uid).collect();
        Some(Ahead {
            whole: uids(whole),
            headers: uids(headers),
            mails,
            bytes,
        })
    }

    /// Bytes of the mails that are being fetched whole.
    pub(super) fn bytes(&self) -> u64 {
        let whole = self.batch.iter().filter(|one| !self.by_headers(one));
        whole.map(|one| u64::from(one.size)).sum()
    }

    /// One mail alone that could not be fetched before: whole or its headers.
    pub(super) fn alone(&mut self, listed: Listed, headers: bool) -> (Vec<u32>, Vec<u32>) {
        (self.batch, self.again) = (vec![listed], true);
        if headers || listed.size > self.oversize {
            self.headers.push(listed.uid);
            return (Vec::new(), vec![listed.uid]);
        }
        (vec![listed.uid], Vec::new())
    }

    /// One mail of which nothing can be fetched is to be accepted without it.
    pub(super) fn nothing_of(&mut self, listed: Listed) {
        self.waiting.push_back(vec![Taken {
            uid: listed.uid,
            internal_ms: listed.internal_ms,
            oversize: false,
            quarantined: true,
            import: false,
        }]);
    }

    /// The server refused the FETCH: its mails are fetched one by one. One that was alone is returned.
    pub(super) fn refused(&mut self) -> Option<Listed> {
        let batch = std::mem::take(&mut self.batch);
        self.again = false;
        if let [one] = batch.as_slice() {
            self.headers.retain(|uid| *uid != one.uid);
            return Some(*one);
        }
        self.alone += batch.len();
        for one in batch.into_iter().rev() {
            self.listed.push_front(one);
        }
        None
    }

    /// The first mail of the FETCH that did not come.
    pub(super) fn not_fetched(&self, arrived: &[u32]) -> Option<Listed> {
        self.batch.iter().find(|one| !arrived.contains(&one.uid)).copied()
    }

    /// The first mail of which no size came.
    pub(super) fn not_sized(&self, arrived: &[u32]) -> Option<Listed> {
        let uid = self.asked.iter().copied().filter(|uid| !arrived.contains(uid)).min()?;
        Some(Listed {
            uid,
            size: 0,
            internal_ms: 0,
        })
    }

    /// Keeps what came and returns what did not.
    pub(super) fn fetched(&mut self, arrived: &[u32]) -> Vec<u32> {
        let (came, gone): (Vec<Listed>, Vec<Listed>) = self.batch.drain(..).partition(|one| arrived.contains(&one.uid));
        self.batch = came;
        gone.iter().map(|one| one.uid).collect()
    }

    pub(super) fn arrived(&self) -> Vec<u32> {
        self.batch.iter().map(|one| one.uid).collect()
    }

    /// Decides who is accepted with whom. Counts are in the order of [`Self::arrived`].
    ///
    /// Once any of them was attempted before, the process may have died at one: they go one by one, and each is saved
    /// before the next. So the one at which it dies is the first of the next run, and only the first can be guilty.
    pub(super) fn attempted(&mut self, counts: &[i64]) {
        let head = std::mem::replace(&mut self.head, false);
        let (first, alone) = (
            counts.first().is_some_and(|count| *count > ATTEMPTS),
            std::mem::take(&mut self.again),
        );
        let guilty = first && (head || alone);
        let again = counts.iter().any(|count| *count > 1);
        let mut all: Vec<Taken> = self
            .batch
            .drain(..)
            .enumerate()
            .map(|(index, one)| Taken {
                uid: one.uid,
                internal_ms: one.internal_ms,
                oversize: self.headers.contains(&one.uid),
                quarantined: guilty && index == 0,
                import: false,
            })
            .collect();
        self.headers.retain(|uid| all.iter().all(|one| one.uid != *uid));
        if again {
            self.waiting.extend(all.into_iter().map(|one| vec![one]));
        } else {
            // So that a mail comes before its answers.
            all.sort_by_key(|one| (one.internal_ms, one.uid));
            self.waiting.push_back(all);
        }
    }

    /// The next mails to be accepted together, each marked when it was there before us.
    pub(super) fn accept(&mut self, was_there: impl Fn(&Taken) -> bool) -> Option<Vec<Taken>> {
        let mut next = self.waiting.pop_front()?;
        for one in &mut next {
            one.import = was_there(one);
        }
        self.accepting.clone_from(&next);
        Some(next)
    }

    /// The UIDs that are being accepted, rising.
    pub(super) fn accepting(&self) -> Vec<u32> {
        let mut uids: Vec<u32> = self.accepting.iter().map(|one| one.uid).collect();
        uids.sort_unstable();
        uids
    }

    /// The highest UID of what was accepted.
    pub(super) fn settled(&mut self) -> u32 {
        self.accepting.drain(..).map(|one| one.uid).max().unwrap_or(0)
    }

    /// The highest UID that may be passed once everything listed is done.
    pub(super) fn take_passed(&mut self) -> u32 {
        std::mem::take(&mut self.passed)
    }
}
