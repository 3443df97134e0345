//! What follows when a citizen comes back to a request that was closed.

use serde_json::json;

use super::history;
use super::status::Status;
use super::transition::{self, Transition};
use crate::artefact;
use crate::base::actor::Actor;
use crate::base::error::Result;
use crate::base::time::Millis;
use crate::catalogue::Catalogue;
use crate::store::Tx;
use crate::vault::Vault;

/// A request that an answer reopened: its row says so already.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reopened<'a> {
    pub(crate) request_id: &'a str,
    /// After the answer.
    pub(crate) version: i64,
    /// When its first contact came.
    pub(crate) received_at: Millis,
    /// The theme's code, whose service's hours are counted.
    pub(crate) theme: Option<&'a str>,
    /// The answer.
    pub(crate) interaction_id: &'a str,
    pub(crate) at: Millis,
}

impl Reopened<'_> {
    /// Counts how long it was closed, keeps its recordings and enters it in its history.
    ///
    /// # Errors
    /// The store's, the vault's.
    pub(crate) async fn note(&self, tx: &mut Tx, vault: &Vault, catalogue: &Catalogue, actor: &Actor) -> Result<()> {
        let (from, to) = (Status::Closed.as_str(), Status::Reopened.as_str());
        let transition = Transition {
            request_id: self.request_id,
            version: self.version,
            received_at: self.received_at,
            at: self.at,
            from,
            to,
        };
        let lasted = transition::record(tx, transition, &catalogue.calendar(self.theme)).await?;
        artefact::request_moved(tx, self.request_id, self.at).await?;
        let detail = json!({
            "status": {"from": from, "to": to, "elapsed_ms": lasted.elapsed, "working_ms": lasted.working},
            "interaction_id": self.interaction_id,
        });
        history::record(tx, vault, self.request_id, self.at, actor, "reopened", &detail).await
    }
}
