//! Recordings that were encoded lately, in memory alone: a player asks for a FLAC piece by piece, and none of it may lie
//! readable on the disk.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use tokio::sync::Semaphore;

use super::problem::{Kind, Problem};

/// Bytes that are kept; the last one is kept however long it is.
const ROOM: usize = 64 * 1024 * 1024;

/// The cache, the latest first. One is encoded at a time: it takes a core for as long as it lasts.
#[derive(Debug)]
pub(crate) struct Encoded {
    kept: Mutex<VecDeque<(String, Bytes)>>,
    turn: Semaphore,
}

impl Default for Encoded {
    fn default() -> Self {
        Self {
            kept: Mutex::default(),
            turn: Semaphore::new(1),
        }
    }
}

impl Encoded {
    /// The bytes of an id, encoded now if they are not there.
    ///
    /// # Errors
    /// What encoding says.
    pub(crate) async fn get<F: Future<Output = Result<Bytes, Problem>>>(
        &self,
        id: &str,
        encode: impl FnOnce() -> F,
    ) -> Result<Bytes, Problem> {
        if let Some(bytes) = self.find(id) {
            return Ok(bytes);
        }
        let closed = |_| Problem::new(Kind::INTERNAL, "nothing is encoded any more");
        let _turn = self.turn.acquire().await.map_err(closed)?;
        // Whoever had the turn before may have wanted the same.
        if let Some(bytes) = self.find(id) {
            return Ok(bytes);
        }
        let bytes = encode().await?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_front((id.to_owned(), bytes.clone()));
        while kept.len() > 1 && kept.iter().map(|(_, bytes)| bytes.len()).sum::<usize>() > ROOM {
            kept.pop_back();
        }
        Ok(bytes)
    }

    fn find(&self, id: &str) -> Option<Bytes> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let at = kept.iter().position(|(known, _)| known == id)?;
        let found = kept.remove(at)?;
        let bytes = found.1.clone();
        kept.push_front(found);
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_asked_for_often_is_encoded_once_and_room_is_bounded() {
        let cache = Encoded::default();
        let half = || async { Ok(Bytes::from(vec![0; ROOM / 2])) };
        let never = || async { Err(Problem::new(Kind::INTERNAL, "encoded twice")) };
        for id in ["a", "b"] {
            assert!(cache.get(id, half).await.is_ok());
        }
        assert!(cache.get("a", never).await.is_ok());
        assert!(cache.get("c", half).await.is_ok());
        assert!(cache.get("a", never).await.is_ok(), "asked for since");
        assert!(cache.get("b", never).await.is_err(), "the one that nobody asked for made room");
        let large = || async { Ok(Bytes::from(vec![0; 2 * ROOM])) };
        assert!(cache.get("d", large).await.is_ok() && cache.get("d", never).await.is_ok());
        assert_eq!(cache.kept.lock().unwrap().len(), 1);
    }
}
