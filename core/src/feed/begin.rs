//! Where in the feed to stand.

use super::page::Feed;
use crate::base::error::Result;

/// Where in the feed to stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Before the first event that is kept.
    Beginning,
    /// Behind the last one of now.
    Now,
    /// Behind this position.
    Position(i64),
}

impl Begin {
    /// The position.
    ///
    /// # Errors
    /// [`CoreError::FeedAhead`] and [`CoreError::FeedGone`] for one from which nobody can go on without a hole; the store's.
    ///
    /// [`CoreError::FeedAhead`]: crate::base::error::CoreError::FeedAhead
    /// [`CoreError::FeedGone`]: crate::base::error::CoreError::FeedGone
    pub(crate) async fn position(self, feed: &Feed) -> Result<i64> {
        let state = feed.state().await?;
        match self {
            Self::Beginning => Ok(state.floor),
            Self::Now => Ok(state.head),
            Self::Position(position) => state.follows(position).map(|()| position),
        }
    }
}
