//! The contact points of a citizen: added, described, removed. Each change raises the citizen's version.

use serde_json::{Map, Value, json};

use super::address::Address;
use super::adoption::{Claimed, Outcome};
use super::check;
use super::door::{Citizens, Created, TRIES, expect};
use super::nouns::{Citizen, CitizenStatus, NewPoint, PointPatch};
use super::{table, undeliverable};
use crate::base::actor::Actor;
use crate::base::error::{CoreError, Result};
use crate::base::grant::Operation;
use crate::base::time;
use crate::feed;
use crate::store::on;
use crate::vault::Place;

/// What is compared when a point is changed.
#[derive(Debug, sqlx::FromRow)]
struct Described {
    label: Option<String>,
    verified_how: Option<String>,
}

impl Citizens {
    /// Adds an address, and gives the citizen what came from it before and is nobody's. One that is there already stays as
    /// it is. That others have it too is no error: a family shares a phone.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; [`CoreError::Conflict`] for a citizen that was merged or anonymised, or has 50 already;
    /// [`CoreError::Invalid`] with the member that is wrong; the store's.
    pub async fn add_point(&self, actor: &Actor, citizen: &str, new: &NewPoint) -> Result<Created> {
        let address = check::point("", new)?;
        self.reached(actor, Operation::Reply, citizen).await?;
        for last in (1..=TRIES).map(|number| number == TRIES) {
            if let Some(made) = self.try_add(actor, citizen, new, &address, last).await? {
                let citizen = self.get(&Actor::System, citizen).await?;
                return Ok(Created { citizen, made });
            }
        }
        Err(CoreError::Unavailable("requests of this address come in too fast".to_owned()))
    }

    /// Whether it was added; nothing when it is to be tried again.
    async fn try_add(&self, actor: &Actor, citizen: &str, new: &NewPoint, address: &Address, last: bool) -> Result<Option<bool>> {
        let now = time::now();
        let mut tx = self.store.begin().await?;
        let before = table::lock(&mut tx, &self.vault, citizen).await?;
        let sql = "SELECT COUNT(*) FROM contact_point WHERE citizen_id = $1 AND removed_at IS NULL";
        let count: i64 = on!(Tx, &mut tx, db => sqlx::query_scalar(sql).bind(citizen).fetch_one(db).await)?;
        let Some(point) = table::insert_point(&mut tx, &self.vault, citizen, new, address, now).await? else {
            return Ok(Some(false));
        };
        if usize::try_from(count).is_ok_and(|count| count >= check::POINTS) {
            return Err(CoreError::Conflict(format!(
                "a citizen has at most {} contact points; remove one first",
                check::POINTS
            )));
        }
        table::touch(&mut tx, citizen, now).await?;
        let detail = Map::from_iter([("contact_point".to_owned(), Value::from(point))]);
        table::record(&mut tx, &self.vault, citizen, now, actor, "contact_point_added", detail).await?;
        let object = format!("citizen/{citizen}");
        if before.status != CitizenStatus::Active {
            table::enter(&mut tx, object, now, actor, "contact_point_added").await?;
        } else {
            if last {
                table::enter(&mut tx, object.clone(), now, actor, "contact_point_added").await?;
                feed::next_positions(&mut tx, 0).await?;
            }
            let claimed = Claimed::of(&mut tx, [address.match_key(&self.vault)]).await?;
            if !last {
                table::enter(&mut tx, object, now, actor, "contact_point_added").await?;
            }
            // Taking none holds the counter all the same.
            feed::next_positions(&mut tx, 0).await?;
            if claimed.give(&mut tx, &self.vault, citizen, actor, now).await? == Outcome::Again {
                return Ok(None);
            }
        }
        tx.commit().await?;
        self.feed.committed();
        Ok(Some(true))
    }

    /// Says what an address is, or by what it is known to be theirs, of a citizen that is still at `expected`.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; [`CoreError::Stale`] when somebody was faster; [`CoreError::Conflict`] for a citizen that was
    /// merged or anonymised; [`CoreError::Invalid`] with the member that is wrong; the store's.
    pub async fn patch_point(&self, actor: &Actor, citizen: &str, point: &str, expected: i64, patch: &PointPatch) -> Result<Citizen> {
        check::members_of_point("", patch)?;
        self.reached(actor, Operation::Reply, citizen).await?;
        let now = time::now();
        let mut tx = self.store.begin().await?;
        let before = table::lock(&mut tx, &self.vault, citizen).await?;
        let sql = "SELECT label, verified_how FROM contact_point WHERE id = $1 AND citizen_id = $2 AND removed_at IS NULL";
        let found: Option<Described> = on!(Tx, &mut tx, db => sqlx::query_as(sql).bind(point).bind(citizen).fetch_optional(db).await)?;
        let mut found = found.ok_or(CoreError::NotFound { what: "contact point" })?;
        let mut opening = self.vault.opening(point);
        opening
            .some(Place::PointLabel, &mut found.label)
            .some(Place::PointVerifiedHow, &mut found.verified_how);
        opening.strict()?;
        expect(expected, before.version)?;
        let mut detail = Map::new();
        if let Some(label) = patch.label.as_ref().filter(|label| **label != found.label) {
            let sql = "UPDATE contact_point SET label = $2 WHERE id = $1";
            let sealed = self.vault.seal_some(Place::PointLabel, point, label.as_deref())?;
            on!(Tx, &mut tx, db => sqlx::query(sql).bind(point).bind(sealed.as_deref()).execute(db).await.map(|_| ()))?;
            detail.insert("label".to_owned(), json!({"from": found.label, "to": label}));
        }
        if let Some(how) = patch.verified_how.as_ref().filter(|how| **how != found.verified_how) {
            let sql = "UPDATE contact_point SET verified_how = $2, verified_at = $3 WHERE id = $1";
            let at = how.is_some().then_some(now);
            let sealed = self.vault.seal_some(Place::PointVerifiedHow, point, how.as_deref())?;
            on!(Tx, &mut tx, db => sqlx::query(sql).bind(point).bind(sealed.as_deref()).bind(at).execute(db).await.map(|_| ()))?;
            detail.insert("verified_how".to_owned(), json!({"from": found.verified_how, "to": how}));
        }
        if patch.deliverable
            && let Some(reason) = undeliverable::forgive(&mut tx, &self.vault, point).await?
        {
            detail.insert("undeliverable".to_owned(), json!({"from": reason, "to": null}));
        }
        if !detail.is_empty() {
            detail.insert("contact_point".to_owned(), point.into());
            table::touch(&mut tx, citizen, now).await?;
            table::record(&mut tx, &self.vault, citizen, now, actor, "contact_point_changed", detail).await?;
            table::enter(&mut tx, format!("citizen/{citizen}"), now, actor, "contact_point_changed").await?;
            tx.commit().await?;
        }
        self.get(&Actor::System, citizen).await
    }

    /// Takes an address from a citizen that is still at `expected`. Requests that are theirs stay theirs.
    ///
    /// # Errors
    /// [`CoreError::NotFound`]; [`CoreError::Stale`] when somebody was faster; [`CoreError::Conflict`] for a citizen that was
    /// merged or anonymised; the store's.
    pub async fn remove_point(&self, actor: &Actor, citizen: &str, point: &str, expected: i64) -> Result<Citizen> {
        self.reached(actor, Operation::Reply, citizen).await?;
        let now = time::now();
        let mut tx = self.store.begin().await?;
        let before = table::lock(&mut tx, &self.vault, citizen).await?;
        let sql = "UPDATE contact_point SET removed_at = $3 WHERE id = $1 AND citizen_id = $2 AND removed_at IS NULL RETURNING id";
        let removed: Option<String> =
            on!(Tx, &mut tx, db => sqlx::query_scalar(sql).bind(point).bind(citizen).bind(now).fetch_optional(db).await)?;
        let removed = removed.ok_or(CoreError::NotFound { what: "contact point" })?;
        expect(expected, before.version)?;
        table::touch(&mut tx, citizen, now).await?;
        let detail = Map::from_iter([("contact_point".to_owned(), Value::from(removed))]);
        table::record(&mut tx, &self.vault, citizen, now, actor, "contact_point_removed", detail).await?;
        table::enter(&mut tx, format!("citizen/{citizen}"), now, actor, "contact_point_removed").await?;
        tx.commit().await?;
        self.get(&Actor::System, citizen).await
    }
}
