//! The next mails are fetched while these are committed: the server and the network work beside the disk.
//!
//! At most one FETCH is ahead, of what a batch may have, and only of what there is room for. What came of it is told to the
//! planner when that asks for it, so that nothing is decided in another order. Only a connection that was lost is told of at
//! once, since nothing can be asked of it any more: that is laid to the mail at which it was lost, as always, and what was
//! committed beside it is fetched again and known.

use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;
use voxea_core::base::mutant;

use crate::connection::HEADER_BYTES;
use crate::follow::{End, Follower};
use crate::planner::{Planner, Taken};
use crate::room::{self, Ahead};
use crate::trouble::Trouble;

/// How long a mailbox waits for room that others have.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a FETCH may bring, in bytes.
fn bytes(whole: u64, headers: &[u32]) -> u64 {
    whole.saturating_add(u64::from(HEADER_BYTES).saturating_mul(headers.len() as u64))
}

impl Follower<'_> {
    /// Commits mails, and fetches beside it what probably comes next.
    pub(crate) async fn accept_and_fetch(&mut self, taken: Vec<Taken>, planner: &Planner) -> Result<(), End> {
        // The mutant needs the connection.
        let ask = planner.ahead().filter(|_| self.settled && !mutant::active("ack_before_commit"));
        let found = ask.and_then(|ask| room::now(bytes(ask.bytes, &ask.headers)).map(|room| (ask, room)));
        let Some((asked, room)) = found else {
            return self.accept(taken).await;
        };
        let mut connection = self.connection.lend();
        let mut mails = Vec::with_capacity(asked.mails.len());
        let fetching = connection.fetch(&asked.whole, &asked.headers, &mut mails);
        // When these mails cannot be committed, following ends, and with it the connection.
        let ((), outcome) = tokio::try_join!(self.accept(taken), async { Ok(fetching.await) })?;
        self.connection = connection;
        match outcome {
            Ok(()) | Err(Trouble::Refused { .. }) => {
                self.ahead = Some(Ahead {
                    asked,
                    mails,
                    outcome,
                    room,
                });
                Ok(())
            }
            Err(trouble) => {
                let came: Vec<u32> = mails.iter().map(|(uid, _)| *uid).collect();
                if let Trouble::Lost(_) | Trouble::TooLarge = trouble
                    && let Some(mail) = asked.to_blame(&came)
                {
                    self.blame(mail).await?;
                }
                Err(trouble.into())
            }
        }
    }

    /// Mails by a FETCH, or by the one that was made ahead; with the room that they take, which is waited for.
    pub(crate) async fn bodies(
        &mut self,
        (whole, headers): (&[u32], &[u32]),
        planner: &Planner,
        mails: &mut Vec<(u32, Bytes)>,
    ) -> Result<(), End> {
        self.room = None;
        if let Some(ahead) = self.ahead.take()
            && ahead.asked.whole == whole
            && ahead.asked.headers == headers
        {
            *mails = ahead.mails;
            self.room = Some(ahead.room);
            return Ok(ahead.outcome?);
        }
        self.room = tokio::select! {
            room = room::wait(bytes(planner.bytes(), headers)) => room,
            // Who has the room may have a slow server: one mailbox never holds another up for it.
            () = sleep(PATIENCE) => None,
            () = self.stop.soft.cancelled() => return Err(End::Stopped),
        };
        Ok(self.connection.fetch(whole, headers, mails).await?)
    }
}
